//! The Envoy of `deploy/envoy-sds.yaml`, and what it serves.

use super::service::{LOOKS, Service, pause};
use crate::setting::Setting;
use gatecert_testkit::{Envoy, Handshakes, StandaloneEnvoy, free_port, https_client, served_chain};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::fs;
use std::net::SocketAddr;

/// The certificate that it asks for.
pub(super) const NAME: &str = "www.example.com";

/// An Envoy as `deploy/envoy-sds.yaml` has it, and what it serves.
pub(super) struct Served {
    envoy: Envoy,
    address: SocketAddr,
    roots: String,
}

impl Served {
    pub(super) async fn start(service: &Service) -> Self {
        Self::start_with(service, |config| config).await
    }

    /// With a changed configuration.
    pub(super) async fn start_with(service: &Service, change: impl FnOnce(String) -> String) -> Self {
        let https = free_port();
        let asked = service.setting.pebble.http_port();
        let config = StandaloneEnvoy {
            // Unless the CA asks the responder itself.
            http: if asked == service.responder { free_port() } else { asked },
            https,
            responder: service.responder,
            socket: &service.socket(),
            certificate: NAME,
        };
        let roots = service.setting.pebble.root_pem(0).await.unwrap();
        let envoy = Envoy::start(&change(config.config())).await.unwrap();
        Self { envoy, address: ([127, 0, 0, 1], https).into(), roots }
    }

    pub(super) async fn leaf(&self) -> Option<Vec<u8>> {
        served_chain(self.address, NAME, &self.roots).await.ok().map(|chain| chain[0].to_vec())
    }

    /// The leaf that is served as soon as it is another one.
    pub(super) async fn until_changed(&self, old: Option<&[u8]>, service: &Service) -> Vec<u8> {
        for _ in 0..LOOKS {
            match self.leaf().await {
                Some(leaf) if old != Some(leaf.as_slice()) => return leaf,
                _ => pause().await,
            }
        }
        panic!("nothing else is served:\n{}\n{}", service.told(), self.envoy.log());
    }

    /// Until it has made so many connections for SDS.
    pub(super) async fn until_connected(&self, times: usize) {
        for _ in 0..LOOKS {
            if self.connections().await >= times {
                return;
            }
            pause().await;
        }
        panic!("it has not connected {times} times:\n{}", self.envoy.log());
    }

    async fn connections(&self) -> usize {
        let name = "cluster.gatecert-sds.upstream_cx_total: ";
        let url = format!("{}/stats?filter=gatecert-sds.upstream_cx_total", self.envoy.admin());
        let stats = https_client("", &[]).unwrap().get(url).send().await.unwrap().text().await.unwrap();
        stats.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    }

    pub(super) fn handshakes(&self) -> Handshakes {
        Handshakes::start(self.address, NAME, &self.roots)
    }
}

/// A root with two certificates for the SDS server and its clients.
pub(super) struct Root(pub(super) CertifiedIssuer<'static, KeyPair>);

impl Root {
    pub(super) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        // Another name than that of the leaves, which Envoy would else take for self-signed.
        parameters.distinguished_name.push(DnType::OrganizationName, "SDS of the tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(super) fn write_leaf(&self, setting: &Setting, name: &str) {
        let mut parameters = CertificateParams::new(["sds.test".to_owned()]).unwrap();
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        fs::write(setting.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(setting.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// The configuration of an Envoy that asks on a TCP port, with the certificate of this name.
pub(super) fn by_tls(config: &str, service: &Service, port: u16, name: &str) -> String {
    let file = |file: &str| service.setting.path(file).display().to_string();
    let (certificate, key, ca) =
        (file(&format!("{name}.crt")), file(&format!("{name}.key")), file("envoys.pem"));
    let pipe = format!("pipe: {{path: {}}}", service.socket().display());
    let assignment = "    load_assignment:\n      cluster_name: gatecert-sds\n";
    assert!(config.contains(&pipe) && config.contains(assignment));
    let socket = format!(
        r#"    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: sds.test
        common_tls_context:
          tls_certificates: [{{certificate_chain: {{filename: "{certificate}"}}, private_key: {{filename: "{key}"}}}}]
          validation_context: {{trusted_ca: {{filename: "{ca}"}}}}
"#
    );
    config
        .replace(&pipe, &format!("socket_address: {{address: 127.0.0.1, port_value: {port}}}"))
        .replace(assignment, &format!("{socket}{assignment}"))
}
