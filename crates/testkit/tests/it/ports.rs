use gatecert_testkit::free_port;
use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};

#[test]
fn each_is_another_one_and_free() {
    let ports: BTreeSet<u16> = (0..300).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 300);
    let port = free_port();
    TcpListener::bind(("0.0.0.0", port)).unwrap();
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
}
