//! An Envoy that is an Istio ingress gateway.

use super::istiod::Istiod;
use super::network::Network;
use super::objects;
use crate::{Envoy, StartError};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::net::Ipv4Addr;
use tempfile::TempDir;

/// Which gateway.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The namespace of its Pod, Service and Secrets.
    pub namespace: String,
    /// The name of its Service and ServiceAccount.
    pub name: String,
    /// The label `istio` of its Pod, which Gateways select.
    pub label: String,
    /// Its address, with ports 80 and 443.
    pub address: Ipv4Addr,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            namespace: "istio-system".to_owned(),
            name: "istio-ingressgateway".to_owned(),
            label: "ingressgateway".to_owned(),
            address: Ipv4Addr::new(10, 99, 0, 1),
        }
    }
}

/// A running gateway. Dropping it ends its Envoy; its objects stay.
#[derive(Debug)]
pub struct IstioGateway {
    envoy: Envoy,
    _files: TempDir,
    address: Ipv4Addr,
}

impl IstioGateway {
    /// Makes its objects and starts its Envoy.
    ///
    /// # Errors
    /// The API server refuses an object, or Envoy does not become live.
    pub async fn start(
        network: &Network,
        client: &Client,
        istiod: &Istiod,
        options: &GatewayOptions,
    ) -> Result<Self, StartError> {
        network.add_address(options.address)?;
        objects::apply(client, &manifests(options)).await?;
        run_pod(client, options).await?;
        let files = TempDir::with_prefix("gatecert-gateway-")
            .map_err(|source| StartError::set_up("gateway", source))?;
        let spiffe = format!("spiffe://cluster.local/ns/{}/sa/{}", options.namespace, options.name);
        let (certificate, key) = istiod.authority().workload(&spiffe)?;
        for (name, text) in
            [("client.pem", certificate), ("client.key", key), ("root-cert.pem", istiod.authority().pem())]
        {
            std::fs::write(files.path().join(name), text)
                .map_err(|source| StartError::set_up("gateway", source))?;
        }
        let envoy = Envoy::start(&bootstrap(options, &files.path().display().to_string())).await?;
        Ok(Self { envoy, _files: files, address: options.address })
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }
}

/// No kubelet runs: the Pod's status is written by hand.
async fn run_pod(client: &Client, options: &GatewayOptions) -> Result<(), StartError> {
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client.clone(), &options.namespace);
    let address = options.address.to_string();
    let status = json!({"status": {
        "podIP": address,
        "podIPs": [{"ip": address}],
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let patched = pods.patch_status(&options.name, &PatchParams::default(), &Patch::Merge(status)).await;
    patched.map(|_| ()).map_err(|source| StartError::set_up("gateway", source))
}

fn manifests(options: &GatewayOptions) -> String {
    let GatewayOptions { namespace, name, label, address } = options;
    format!(
        "apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}, namespace: {namespace}}}
rules: [{{apiGroups: [\"\"], resources: [secrets], verbs: [get, list, watch]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
subjects: [{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{istio: {label}}}
  ports: [{{name: http, port: 80, targetPort: 80}}, {{name: https, port: 443, targetPort: 443}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{istio: {label}, app: {name}}}}}
spec: {{nodeName: node, serviceAccountName: {name}, containers: [{{name: proxy, image: none}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}, {{name: https, port: 443, protocol: TCP}}]
endpoints:
- addresses: [\"{address}\"]
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: {name}, namespace: {namespace}}}
"
    )
}

fn bootstrap(options: &GatewayOptions, files: &str) -> String {
    let GatewayOptions { namespace, name, label, address } = options;
    format!(
        "node:
  id: router~{address}~{name}.{namespace}~{namespace}.svc.cluster.local
  cluster: {name}.{namespace}
  metadata:
    NAMESPACE: {namespace}
    LABELS: {{istio: {label}, app: {name}}}
    CLUSTER_ID: Kubernetes
    ISTIO_VERSION: \"1.31.0\"
    INSTANCE_IPS: \"{address}\"
    SERVICE_ACCOUNT: {name}
    WORKLOAD_NAME: {name}
    MESH_ID: cluster.local
dynamic_resources:
  lds_config: {{ads: {{}}, initial_fetch_timeout: 0s, resource_api_version: V3}}
  cds_config: {{ads: {{}}, initial_fetch_timeout: 0s, resource_api_version: V3}}
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services: [{{envoy_grpc: {{cluster_name: xds-grpc}}}}]
static_resources:
  clusters:
  - name: xds-grpc
    type: STATIC
    connect_timeout: 1s
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: istiod.istio-system.svc
        common_tls_context:
          alpn_protocols: [h2]
          tls_certificates:
          - certificate_chain: {{filename: {files}/client.pem}}
            private_key: {{filename: {files}/client.key}}
          validation_context: {{trusted_ca: {{filename: {files}/root-cert.pem}}}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: xds-grpc
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 15012}}}}}}
"
    )
}
