//! Which host a request is for.

use crate::client::{Connection, Fixture, HOST, THUMBPRINT, TOKEN, key_authorization, path};

#[tokio::test]
async fn case_port_and_trailing_dot_do_not_matter() {
    let fixture = Fixture::start();
    for host in [
        HOST,
        "WWW.EXAMPLE.COM",
        "www.example.com:80",
        "www.example.com:5002",
        "www.example.com.",
        "Www.Example.Com.:80",
    ] {
        assert_eq!(fixture.status(host, &path()).await, 200, "{host}");
    }
    for host in [
        "",
        "example.com",
        "a.www.example.com",
        "www.example.com..",
        "www.example.com:x",
        "127.0.0.1",
        "[www.example.com]",
        "www.example.com, a",
    ] {
        assert_eq!(fixture.status(host, &path()).await, 404, "{host}");
    }
    let counts = fixture.responder.counts();
    assert_eq!((counts.exact, counts.unknown_host), (6, 8));
}

#[tokio::test]
async fn addresses() {
    let fixture = Fixture::start();
    for address in ["192.0.2.1", "2001:db8::1"] {
        fixture.store.insert(address, TOKEN, &key_authorization()).unwrap();
    }
    for host in ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:DB8::1]:80", "[2001:db8:0:0:0:0:0:1]"] {
        assert_eq!(fixture.status(host, &path()).await, 200, "{host}");
    }
    for host in ["192.0.2.2", "[2001:db8::2]", "[2001:db8::1", "[192.0.2.1]"] {
        assert_eq!(fixture.status(host, &path()).await, 404, "{host}");
    }
}

#[tokio::test]
async fn the_server_answers_on_ipv6_too() {
    let fixture = Fixture::start();
    let [v4, v6] = fixture.server.local_addrs() else { panic!("the machine has no IPv6 loopback") };
    assert!(v4.is_ipv4() && v6.is_ipv6());
    assert_eq!(v4.port(), v6.port());
    fixture.store.insert("::1", TOKEN, &key_authorization()).unwrap();
    let mut connection = Connection::open(*v6).await;
    connection.send(format!("GET {} HTTP/1.1\r\nHost: [::1]:{}\r\n\r\n", path(), v6.port())).await;
    assert_eq!(connection.response().await.body, key_authorization());
}

#[tokio::test]
async fn an_absolute_target_goes_before_the_host_line() {
    let fixture = Fixture::start();
    for (target, line, status) in [
        ("http://www.example.com", "other.example.com", 200),
        ("http://WWW.example.com:80", HOST, 200),
        ("https://www.example.com.", "", 200),
        ("http://user@www.example.com", "", 200),
        ("http://other.example.com", HOST, 404),
        ("http://[::1]:80", HOST, 404),
    ] {
        let mut connection = fixture.connect().await;
        connection.send(format!("GET {target}{} HTTP/1.1\r\nHost: {line}\r\n\r\n", path())).await;
        assert_eq!(connection.response().await.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_request_without_one_host_is_not_found() {
    let fixture = Fixture::start();
    for (version, lines) in [
        ("1.0", String::new()),
        ("1.1", String::new()),
        ("1.1", format!("Host: {HOST}\r\nHost: {HOST}\r\n")),
        ("1.1", "Host: www.example.c\u{f6}m\r\n".to_owned()),
    ] {
        let response = fixture.exchange(format!("GET {} HTTP/{version}\r\n{lines}\r\n", path())).await;
        assert_eq!(response.split(' ').nth(1), Some("404"), "{lines}");
    }
    assert_eq!(fixture.responder.counts().unknown_host, 4);
}

#[tokio::test]
async fn http_1_0_with_a_host_is_answered() {
    let fixture = Fixture::start();
    let response = fixture.exchange(format!("GET {} HTTP/1.0\r\nHost: {HOST}\r\n\r\n", path())).await;
    assert!(
        response.starts_with("HTTP/1.0 200 OK\r\n") && response.ends_with(&key_authorization()),
        "{response}"
    );
}

#[tokio::test]
async fn stateless_mode_answers_for_its_hosts_only() {
    let fixture = Fixture::start();
    fixture.store.set_thumbprint("stateless.example.com", THUMBPRINT).unwrap();
    assert_eq!(
        fixture.status("Stateless.example.com:80", "/.well-known/acme-challenge/any-token_0").await,
        200
    );
    assert_eq!(fixture.status("www.example.com", "/.well-known/acme-challenge/any-token_0").await, 404);
    assert_eq!(
        fixture.exchange(format!("GET {} HTTP/1.0\r\n\r\n", path())).await.split(' ').nth(1),
        Some("404")
    );
    let counts = fixture.responder.counts();
    assert_eq!((counts.stateless, counts.unknown_token, counts.unknown_host), (1, 1, 1));
    assert_eq!(fixture.store.answered_stateless("stateless.example.com"), 1);
    fixture.store.remove_thumbprint("stateless.example.com");
    assert_eq!(fixture.status("stateless.example.com", "/.well-known/acme-challenge/any-token_0").await, 404);
}
