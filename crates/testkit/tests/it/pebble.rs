use gatecert_testkit::{Pebble, https_client, served_chain};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};

async fn directory(pebble: &Pebble) -> Value {
    let client = https_client(pebble.ca_pem(), &[]).unwrap();
    let text = client.get(pebble.directory_url()).send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn two_run_side_by_side_and_end_on_drop() {
    let (first, second) = tokio::join!(Pebble::builder().start(), Pebble::builder().strict(true).start());
    let (first, second) = (first.unwrap(), second.unwrap());
    for pebble in [&first, &second] {
        assert!(directory(pebble).await["newOrder"].is_string());
    }
    assert_ne!(first.directory_url(), second.directory_url());
    assert_ne!(first.root_pem(0).await.unwrap(), second.root_pem(0).await.unwrap());
    let (client, url) = (https_client(first.ca_pem(), &[]).unwrap(), first.directory_url());
    drop(first);
    client.get(url).send().await.unwrap_err();
    directory(&second).await;
}

#[tokio::test]
async fn starts_on_any_thread() {
    let pebble = tokio::spawn(Pebble::builder().start()).await.unwrap().unwrap();
    directory(&pebble).await;
}

#[tokio::test]
async fn is_as_the_builder_says() {
    let pebble = Pebble::builder()
        .eab(&[("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")])
        .profiles(&[("short", "for a day", 86_400)])
        .alternate_roots(1)
        .chain_length(2)
        .start()
        .await
        .unwrap();
    let directory = directory(&pebble).await;
    assert_eq!(directory["meta"]["externalAccountRequired"], true);
    assert_eq!(directory["meta"]["profiles"]["short"], "for a day");
    assert!(pebble.root_pem(1).await.unwrap().contains("BEGIN CERTIFICATE"));
    pebble.root_pem(2).await.unwrap_err();
    assert!(pebble.intermediate_pem(0).await.unwrap().contains("BEGIN CERTIFICATE"));
    assert!(pebble.management_url().as_str().starts_with("https://localhost:"));
}

#[tokio::test]
async fn serves_a_leaf_that_its_root_signed() {
    let pebble = Pebble::builder().start().await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], pebble.directory_url().port().unwrap()));
    let chain = served_chain(address, "localhost", pebble.ca_pem()).await.unwrap();
    assert_eq!(chain.len(), 1);
    // The root of what it issues is another one.
    let foreign = pebble.root_pem(0).await.unwrap();
    served_chain(address, "localhost", &foreign).await.unwrap_err();
    served_chain(address, "elsewhere.test", pebble.ca_pem()).await.unwrap_err();
}

#[tokio::test]
async fn the_dns_server_answers_as_told() {
    let pebble = Pebble::builder().start().await.unwrap();
    let dns = pebble.challtestsrv();
    dns.add_a("there.test", &["192.0.2.7".parse().unwrap()]).await.unwrap();
    dns.set_servfail("broken.test").await.unwrap();
    assert_eq!(ask(dns.dns_address(), "any.test"), (0, [127, 0, 0, 1]));
    assert_eq!(ask(dns.dns_address(), "there.test"), (0, [192, 0, 2, 7]));
    assert_eq!(ask(dns.dns_address(), "broken.test").0, 2);
    dns.set_default_ipv4("192.0.2.9").await.unwrap();
    assert_eq!(ask(dns.dns_address(), "any.test"), (0, [192, 0, 2, 9]));
    assert_eq!(dns.dns_queries("any.test").await.unwrap(), [1, 1]);
    assert!(dns.dns_queries("never.test").await.unwrap().is_empty());
}

/// The response code, and the address where there is one.
fn ask(server: &str, name: &str) -> (u8, [u8; 4]) {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.push(0);
    // The answer repeats the question, and then the name, before type, class, time to live, length and address.
    let address = query.len() + 4 + (query.len() - 12) + 10;
    query.extend([0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).unwrap();
    (answer[3] & 0x0f, answer[address..address + 4].try_into().unwrap())
}
