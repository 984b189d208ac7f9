//! Free ports.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below the range that the kernel takes the ports of outgoing connections from, so that none of those is in the way.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many ports stay claimed, each by an open file; servers listen on theirs long before as many more are taken.
const CLAIMS: usize = 128;

/// Another loopback address: a claim is not in the way of a server on 127.0.0.1.
const CLAIM_ADDRESS: &str = "127.0.0.2";

static NEXT: AtomicU16 = AtomicU16::new(0);
static CLAIMED: Mutex<VecDeque<UdpSocket>> = Mutex::new(VecDeque::new());

/// A port that nothing listens on, of 127.0.0.1 (TCP and UDP) and of ::1 (TCP).
///
/// Each call of one process gives another one. Processes that use this begin at different places, and leave out what
/// another one was given until its server listens. Any other program may still be faster than the server.
pub fn free_port() -> u16 {
    let start = u16::try_from(u64::from(std::process::id()) * 131 % u64::from(COUNT)).unwrap_or(0);
    loop {
        let offset = (u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if claim(port) && is_free(port) {
            return port;
        }
    }
}

fn is_free(port: u16) -> bool {
    let is_free = |address: &str| TcpListener::bind((address, port)).is_ok();
    // A machine without IPv6 has no ::1 to be taken.
    is_free("127.0.0.1")
        && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        && (is_free("::1") || TcpListener::bind("[::1]:0").is_err())
}

/// Keeps other processes from being given this port.
fn claim(port: u16) -> bool {
    let socket = match UdpSocket::bind((CLAIM_ADDRESS, port)) {
        Ok(socket) => socket,
        // A system with one loopback address does without.
        Err(error) => return error.kind() != ErrorKind::AddrInUse,
    };
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    claimed.push_back(socket);
    if claimed.len() > CLAIMS {
        claimed.pop_front();
    }
    true
}
