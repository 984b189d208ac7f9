//! The SDS server, asked by a client over its real sockets.

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use futures::channel::mpsc;
use gatecert_publish::sds::{MutualTls, SdsError, SdsServer, Secrets};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Streaming};

/// How often a place is asked for before it counts as not coming free.
const LOOKS: usize = 100_000;

type Client = SecretDiscoveryServiceClient<Channel>;

async fn connect(path: &Path) -> Client {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    SecretDiscoveryServiceClient::new(endpoint.connect_with_connector(connector).await.unwrap())
}

/// A server on a Unix socket.
struct Running {
    secrets: Secrets,
    path: PathBuf,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), SdsError>>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sds.sock");
        let (secrets, server) = (Secrets::new(), SdsServer::bind_unix(&path, 0o600).unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(secrets.clone(), async { drop(stopped.await) }));
        Self { secrets, path, stop, serving, _folder: folder }
    }

    fn set(&self, name: &str, content: &str) {
        set(&self.secrets, name, content);
    }
}

fn set(secrets: &Secrets, name: &str, content: &str) {
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
    secrets.set(&name.parse().unwrap(), &pem("CERTIFICATE"), pem("PRIVATE KEY").into()).unwrap();
}

/// A stream, and what is sent on it.
struct Stream {
    requests: mpsc::UnboundedSender<DiscoveryRequest>,
    answers: Streaming<DiscoveryResponse>,
}

impl Stream {
    async fn open(client: &mut Client, names: &[&str]) -> Self {
        let (requests, sent) = mpsc::unbounded();
        requests.unbounded_send(asking(names, "")).unwrap();
        Self { requests, answers: client.stream_secrets(sent).await.unwrap().into_inner() }
    }

    fn send(&self, names: &[&str], nonce: &str) {
        self.requests.unbounded_send(asking(names, nonce)).unwrap();
    }

    async fn next(&mut self) -> DiscoveryResponse {
        self.answers.message().await.unwrap().unwrap()
    }
}

fn asking(names: &[&str], nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        response_nonce: nonce.to_owned(),
        ..DiscoveryRequest::default()
    }
}

fn names(response: &DiscoveryResponse) -> Vec<String> {
    response.resources.iter().map(|any| Secret::decode(any.value.as_slice()).unwrap().name).collect()
}

#[tokio::test]
async fn a_rotation_goes_to_all_who_asked_for_it() {
    let running = Running::start();
    running.set("a", "one");
    let mut first = connect(&running.path).await;
    let mut second = connect(&running.path).await;
    let mut streams = [Stream::open(&mut first, &["a"]).await, Stream::open(&mut second, &["a", "b"]).await];
    let mut other = Stream::open(&mut second, &["b"]).await;
    for stream in &mut streams {
        assert_eq!(names(&stream.next().await), ["a"]);
        stream.send(&["a"], "1");
    }
    running.set("a", "two");
    for stream in &mut streams {
        let answer = stream.next().await;
        assert_eq!(answer.nonce, "2");
        let secret = answer.resources[0].value.clone();
        assert!(secret.windows(3).any(|part| part == b"two"));
    }
    running.set("b", "one");
    let answer = other.next().await;
    assert_eq!(
        (names(&answer), answer.nonce.as_str()),
        (vec!["b".to_owned()], "1"),
        "it waited for its own alone"
    );
}

#[tokio::test]
async fn single_questions_and_what_is_refused() {
    let running = Running::start();
    running.set("a", "one");
    let mut client = connect(&running.path).await;
    let answer = client.fetch_secrets(asking(&["a", "b"], "")).await.unwrap().into_inner();
    assert_eq!(names(&answer), ["a"]);
    assert_eq!(client.fetch_secrets(asking(&["b"], "")).await.unwrap_err().code(), Code::NotFound);
    let delta = client.delta_secrets(futures::stream::iter([DeltaDiscoveryRequest::default()])).await;
    assert_eq!(delta.unwrap_err().code(), Code::Unimplemented);
    let other = DiscoveryRequest { type_url: "type.googleapis.com/other".into(), ..asking(&["a"], "") };
    assert_eq!(client.fetch_secrets(other).await.unwrap_err().code(), Code::InvalidArgument);
    let large = asking(&[&"x".repeat(1024 * 1024)], "");
    assert_eq!(client.fetch_secrets(large).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(names(&client.fetch_secrets(asking(&["a"], "")).await.unwrap().into_inner()), ["a"]);
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_come_free() {
    let running = Running::start();
    running.set("a", "one");
    // 256 to a connection, 1024 in all.
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut client = connect(&running.path).await;
        for _ in 0..256 {
            let mut stream = Stream::open(&mut client, &["a"]).await;
            stream.next().await;
            streams.push(stream);
        }
    }
    let mut client = connect(&running.path).await;
    let refused = client.stream_secrets(futures::stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(streams);
    for _ in 0..LOOKS {
        match client.stream_secrets(futures::stream::iter([asking(&["a"], "")])).await {
            Ok(_) => return,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
        }
        tokio::task::yield_now().await;
    }
    panic!("no place comes free");
}

#[tokio::test]
async fn the_end_ends_streams_and_removes_the_socket() {
    let running = Running::start();
    let mut client = connect(&running.path).await;
    let mut waiting = Stream::open(&mut client, &["a"]).await;
    running.stop.send(()).unwrap();
    assert_eq!(waiting.answers.message().await.unwrap(), None);
    running.serving.await.unwrap().unwrap();
    assert!(!running.path.exists());
}

#[tokio::test]
async fn a_socket_is_private_taken_over_when_dead_and_never_stolen() {
    let running = Running::start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&running.path), 0o600);
    let error = SdsServer::bind_unix(&running.path, 0o600).unwrap_err();
    assert!(matches!(error, SdsError::InUse { .. }), "{error:?}");

    let folder = running.path.parent().unwrap();
    let dead = folder.join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let taken = SdsServer::bind_unix(&dead, 0o660).unwrap();
    assert_eq!(mode(&dead), 0o660);
    // Another one in its place is not removed by the first.
    fs::remove_file(&dead).unwrap();
    fs::write(&dead, "mine").unwrap();
    drop(taken);
    assert_eq!(fs::read_to_string(&dead).unwrap(), "mine");
    let error = SdsServer::bind_unix(&dead, 0o660).unwrap_err();
    assert!(matches!(error, SdsError::NotASocket { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&dead).unwrap(), "mine");
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A root, and certificates of it.
struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn leaf(&self) -> (String, String) {
        let mut parameters = CertificateParams::new(["sds.test".to_owned()]).unwrap();
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn tls_lets_in_who_has_a_certificate_of_the_ca_alone() {
    let (servers, clients, others) = (Root::new(), Root::new(), Root::new());
    let (certificate_pem, key_pem) = servers.leaf();
    let tls = MutualTls { certificate_pem, key_pem: key_pem.clone().into(), client_ca_pem: clients.0.pem() };
    assert!(!format!("{tls:?}").contains(key_pem.lines().nth(1).unwrap()));
    let server = SdsServer::bind_tls("127.0.0.1:0".parse().unwrap(), &tls).unwrap();
    let address = server.local_addr().unwrap();
    let secrets = Secrets::new();
    set(&secrets, "a", "one");
    tokio::spawn(server.serve(secrets, std::future::pending()));

    let fetch = async |identity: Option<(String, String)>| {
        let mut tls = ClientTlsConfig::new()
            .domain_name("sds.test")
            .ca_certificate(Certificate::from_pem(servers.0.pem()));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        let mut client = SecretDiscoveryServiceClient::new(channel);
        client.fetch_secrets(asking(&["a"], "")).await.map_err(|status| status.to_string())
    };
    assert_eq!(names(&fetch(Some(clients.leaf())).await.unwrap().into_inner()), ["a"]);
    fetch(None).await.unwrap_err();
    fetch(Some(others.leaf())).await.unwrap_err();
    assert_eq!(names(&fetch(Some(clients.leaf())).await.unwrap().into_inner()), ["a"]);

    let mut plain = SecretDiscoveryServiceClient::connect(format!("http://{address}")).await.unwrap();
    plain.fetch_secrets(asking(&["a"], "")).await.unwrap_err();
}

#[tokio::test]
async fn a_wrong_identity_is_found_when_binding() {
    let root = Root::new();
    let (certificate_pem, key_pem) = root.leaf();
    let good = MutualTls { certificate_pem, key_pem: key_pem.into(), client_ca_pem: root.0.pem() };
    let wrong = [
        MutualTls { certificate_pem: "none".into(), ..good.clone() },
        MutualTls { key_pem: "none".to_owned().into(), ..good.clone() },
        MutualTls { key_pem: Root::new().leaf().1.into(), ..good.clone() },
        MutualTls { client_ca_pem: "none".into(), ..good.clone() },
    ];
    for tls in wrong {
        let error = SdsServer::bind_tls("127.0.0.1:0".parse().unwrap(), &tls).unwrap_err();
        assert!(matches!(error, SdsError::Tls(_)), "{error:?}");
    }
}
