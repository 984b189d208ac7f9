//! A server with one host and one token, and a client that sends bytes.

use gatecert_http01::{Limits, ListenAddress, Responder, Server, ServerHandle, TokenStore};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) const HOST: &str = "www.example.com";
pub(crate) const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
pub(crate) const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

pub(crate) fn key_authorization() -> String {
    format!("{TOKEN}.{THUMBPRINT}")
}

pub(crate) fn path() -> String {
    format!("/.well-known/acme-challenge/{TOKEN}")
}

/// A request for the token, on a connection that stays open.
pub(crate) fn request() -> String {
    format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", path())
}

pub(crate) struct Fixture {
    pub(crate) store: TokenStore,
    pub(crate) responder: Responder,
    pub(crate) server: ServerHandle,
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        let store = TokenStore::new();
        store.insert(HOST, TOKEN, &key_authorization()).unwrap();
        let responder = Responder::new(store.clone());
        let server = Server::bind(ListenAddress::loopback(0))
            .unwrap()
            .limits(limits)
            .spawn(responder.clone())
            .unwrap();
        Self { store, responder, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addrs()[0]
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }

    /// Sends `request` on a connection of its own and reads until the server closes it.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.finish_sending().await;
        connection.rest().await
    }

    /// The status of a request for `path` of `host`.
    pub(crate) async fn status(&self, host: &str, path: &str) -> u16 {
        let mut connection = self.connect().await;
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        connection.response().await.status
    }
}

pub(crate) struct Connection(BufReader<TcpStream>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.unwrap();
    }

    /// False when the server has hung up.
    pub(crate) async fn try_send(&mut self, text: &str) -> bool {
        self.0.get_mut().write_all(text.as_bytes()).await.is_ok()
    }

    pub(crate) async fn finish_sending(&mut self) {
        self.0.get_mut().shutdown().await.unwrap();
    }

    /// One response to `GET`, with as many bytes of body as it says.
    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.expect("the server closed the connection before a response")
    }

    /// `None` when the server closes the connection before the first byte.
    pub(crate) async fn try_response(&mut self) -> Option<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) if head.is_empty() => return None,
                Err(error) => panic!("{error} within a head: {:?}", String::from_utf8_lossy(&head)),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = header(&head, "content-length").expect("a content length").parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Response { status, head, body: String::from_utf8(body).unwrap() })
    }

    /// All that comes until the server closes the connection; a reset ends it too.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _reset = self.0.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    /// Sends a little, again and again, until the server has hung up.
    pub(crate) async fn send_until_refused_slowly(&mut self, bytes: &[u8]) {
        while self.0.get_mut().write_all(bytes).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends until the server has hung up.
    pub(crate) async fn send_until_refused(&mut self, bytes: &[u8]) {
        while self.0.get_mut().write_all(bytes).await.is_ok() {}
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A reqwest client for which [`HOST`] is at `address`.
pub(crate) fn reqwest_client(address: SocketAddr) -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .resolve(HOST, address)
        .build()
        .unwrap()
}

/// Waits until `done`, which something that goes on already will bring about.
pub(crate) async fn eventually(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
