//! What connections cost in memory. A test binary of its own, since it counts what is allocated.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use gatecert_http01::{Limits, ListenAddress, Responder, Server, TokenStore};
use peak_alloc::PeakAlloc;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What one connection may cost, as the documentation of [`Limits`] has it: 8 KiB read, 8 KiB written, 4 KiB of state.
const BYTES_EACH: usize = 20 * 1024;

/// Connections that are tried, most of which have to give way.
const TRIED: usize = 2_000;

#[tokio::test]
async fn connections_have_a_price_and_a_most() {
    let server = Server::bind(ListenAddress::loopback(0)).unwrap();
    let server = server.spawn_responder(Responder::new(TokenStore::new())).unwrap();
    let (address, most) = (server.local_addrs()[0], Limits::default().connections as usize);
    let open = || server.open_connections() as usize;
    // Threads of the clients would allocate, and so would their runtime: these are plain sockets.
    let mut clients = Vec::with_capacity(TRIED);
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    while clients.len() < most {
        clients.push(TcpStream::connect(address).unwrap());
        tokio::task::yield_now().await;
    }
    while open() < most {
        tokio::task::yield_now().await;
    }
    let silent = ALLOCATED.current_usage() - before;
    while clients.len() < TRIED {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
        client.write_all(&[b'x'; 4096]).unwrap();
        clients.push(client);
        tokio::task::yield_now().await;
    }
    while clients.iter().filter(|client| is_closed(client)).count() < TRIED - most {
        assert!(open() <= most);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = ALLOCATED.current_usage() - before;
    let peak = ALLOCATED.peak_usage() - before;
    eprintln!(
        "{most} connections: {} bytes each when silent, {} with half a head, at most {} KiB in all of {TRIED}",
        silent / most,
        begun / most,
        peak / 1024
    );
    assert!(peak <= most * BYTES_EACH, "{peak} bytes");
}

/// Whether the server has hung up.
fn is_closed(mut client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    !matches!(client.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
