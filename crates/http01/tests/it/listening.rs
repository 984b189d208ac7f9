//! Sockets: both families, and why one can not be had.

use gatecert_http01::{BindError, ListenAddress, Server};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

fn bind(address: &str) -> Result<Server, BindError> {
    Server::bind(address.parse().unwrap())
}

#[test]
fn both_families_get_the_same_free_port() {
    let servers: Vec<Server> = (0..20).map(|_| bind("localhost:0").unwrap()).collect();
    for server in &servers {
        let port = server.local_addrs()[0].port();
        assert_ne!(port, 0);
        assert_eq!(
            server.local_addrs(),
            [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
        );
    }
}

#[test]
fn an_ipv6_socket_leaves_the_port_of_ipv4_alone() {
    let v6 = bind("[::1]:0").unwrap();
    let port = v6.local_addrs()[0].port();
    let v4 = bind(&format!("127.0.0.1:{port}")).unwrap();
    assert_eq!(v4.local_addrs().len() + v6.local_addrs().len(), 2);
}

#[test]
fn a_taken_port_names_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = bind(&address.to_string()).unwrap_err();
    let BindError::PortTaken { holder: Some(process), address: refused, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((process.pid, *refused), (std::process::id(), address));
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("cannot listen on `{address}`: the port is taken by `")),
        "{message}"
    );
    assert!(message.ends_with(&format!("(process {})", std::process::id())), "{message}");
    assert!(error.hint().unwrap().contains(&format!("Stop process {}", std::process::id())));
}

#[test]
fn one_family_taken_is_an_error() {
    let holder = TcpListener::bind("[::1]:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let error = Server::bind(ListenAddress::loopback(port)).unwrap_err();
    let BindError::PortTaken { address, .. } = error else { panic!("{error:?}") };
    assert_eq!(address, holder.local_addr().unwrap());
}

#[test]
fn an_address_of_another_machine() {
    for address in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        let error = bind(address).unwrap_err();
        assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("cannot listen on `{address}`: the machine does not have this address")
        );
    }
}
