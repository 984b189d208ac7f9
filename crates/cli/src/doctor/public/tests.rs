//! Small servers that are asked as a CA asks.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers by path, and the paths that it was asked for.
struct Server {
    port: u16,
    task: tokio::task::JoinHandle<()>,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` makes the whole answer out of a path and the server's port.
    async fn start(answer: impl Fn(&str, u16) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let _ = stream.write_all(answer(&path, port).as_bytes()).await;
                seen.lock().unwrap().push(head);
            }
        });
        Self { port, task, asked }
    }

    async fn look(&self, is_private_allowed: bool) -> (Vec<Hop>, Vec<(&'static str, String)>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dns = Dns::open(Some("127.0.0.1:1".parse().unwrap())).unwrap();
        let hops = look(&Asking { dns: &dns, is_private_allowed, port: self.port }, "127.0.0.1").await;
        let verdicts = verdicts("127.0.0.1", &hops);
        let kinds = verdicts.into_iter().map(|one| (one.kind.as_str(), one.message)).collect();
        (hops, kinds)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn status(status: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 6\r\nConnection: close\r\n{more}\r\nsecret")
}

async fn kind(answer: impl Fn(&str, u16) -> String + Send + 'static) -> Vec<&'static str> {
    let (_, verdicts) = Server::start(answer).await.look(true).await;
    assert!(verdicts.iter().all(|(_, text)| !text.contains("secret")), "{verdicts:?}");
    verdicts.into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test]
async fn a_status_is_judged_and_no_body_is_told() {
    for (text, wanted) in [
        ("404 Not Found", "http-ok"),
        ("200 OK", "http-answered"),
        ("401 Unauthorized", "http-denied"),
        ("403 Forbidden", "http-denied"),
        ("503 Service Unavailable", "http-error"),
        ("418 Teapot", "http-unexpected"),
        // Not one that a CA follows.
        ("303 See Other", "http-unexpected"),
    ] {
        let more = if text.starts_with("303") { "Location: /other\r\n" } else { "" };
        assert_eq!(kind(move |_, _| status(text, more)).await, [wanted], "{text}");
    }
    assert_eq!(kind(|_, _| "SSH-2.0-x\r\n".to_owned()).await, ["http-broken"]);
}

#[tokio::test]
async fn the_request_is_a_cas() {
    let server = Server::start(|_, _| status("404 Not Found", "")).await;
    server.look(true).await;
    let asked = server.asked.lock().unwrap().join("");
    assert!(asked.starts_with("GET /.well-known/acme-challenge/gatecert-doctor-"), "{asked}");
    assert_eq!(asked.matches("GET").count(), 1);
    let host = format!("host: 127.0.0.1:{}\r\n", server.port);
    assert_eq!(asked.to_lowercase().matches("host: ").count(), 1, "{asked}");
    assert!(asked.to_lowercase().contains(&host), "{asked}");
}

#[tokio::test]
async fn redirects_are_followed_as_a_ca_does() {
    let once = |path: &str, _: u16| match path {
        "/there" => status("404 Not Found", ""),
        _ => status("301 Moved Permanently", "Location: /there\r\n"),
    };
    assert_eq!(kind(once).await, ["http-ok"]);
    let server = Server::start(|_, _| status("302 Found", "Location: /again\r\n")).await;
    let (hops, verdicts) = server.look(true).await;
    assert_eq!(verdicts[0].0, "http-redirects");
    assert_eq!((hops.len(), server.asked.lock().unwrap().len()), (11, 11), "the first and ten redirects");
    let ten = |path: &str, _: u16| match path.len() {
        11 => status("404 Not Found", ""),
        length if length < 11 => status("307 Temporary Redirect", &format!("Location: {path}a\r\n")),
        _ => status("308 Permanent Redirect", "Location: /a\r\n"),
    };
    assert_eq!(kind(ten).await, ["http-ok"]);
    for target in ["http://127.0.0.1:8443/", "ftp://127.0.0.1/", "https://127.0.0.1:6443/", "http://["] {
        let answer = move |_: &str, _: u16| status("301 Moved", &format!("Location: {target}\r\n"));
        assert!(kind(answer).await.contains(&"http-redirect-target"), "{target}");
    }
    let elsewhere = |path: &str, port: u16| match path {
        "/x" => status("404 Not Found", ""),
        _ => status("301 Moved", &format!("Location: http://127.0.0.2:{port}/x\r\n")),
    };
    assert_eq!(kind(elsewhere).await[0], "http-redirect-elsewhere");
}

#[tokio::test]
async fn private_addresses_are_not_asked() {
    let server = Server::start(|_, _| status("404 Not Found", "")).await;
    let (hops, verdicts) = server.look(false).await;
    assert_eq!(verdicts[0].0, "http-skipped");
    assert_eq!(hops.len(), 1);
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_listens() {
    let server = Server::start(|_, _| String::new()).await;
    let port = server.port;
    drop(server);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dns = Dns::open(Some("127.0.0.1:1".parse().unwrap())).unwrap();
    let asking = Asking { dns: &dns, is_private_allowed: true, port };
    // The task of the server ends at its next step.
    tokio::task::yield_now().await;
    let hops = look(&asking, "127.0.0.1").await;
    assert_eq!(verdicts("127.0.0.1", &hops)[0].kind.as_str(), "http-unreachable");
}

#[test]
fn a_redirect_to_what_is_not_public_is_a_failure() {
    let hop = |at: &str, outcome| Hop { at: at.into(), passed_over: Vec::new(), address: None, outcome };
    let near = "169.254.169.254".parse().unwrap();
    let hops = [
        hop("http://www.example.com", Outcome::Redirect(301)),
        hop("http://169.254.169.254", Outcome::Private(near)),
    ];
    let kinds: Vec<_> = verdicts("www.example.com", &hops).iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["http-redirect-elsewhere", "http-redirect-target"]);
    let passed = Hop {
        passed_over: vec!["2001:db8::1".parse().unwrap()],
        ..hop("http://a.test", Outcome::Status(404))
    };
    let kinds: Vec<_> = verdicts("a.test", &[passed]).iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["http-ipv6", "http-ok"]);
}

#[test]
fn a_place_is_of_a_host() {
    let hop = |at: &str| Hop::timed_out("x").clone_at(at);
    assert!(is_at(&hop("https://www.example.com"), "www.example.com"));
    assert!(is_at(&hop("http://[2001:db8::1]:80"), "2001:db8::1"));
    assert!(!is_at(&hop("http://example.com"), "www.example.com"));
}

impl Hop {
    fn clone_at(&self, at: &str) -> Self {
        Self { at: at.to_owned(), ..self.clone() }
    }
}
