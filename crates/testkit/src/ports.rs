//! Free ports.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that the kernel takes the ports of outgoing connections from, so that none of those is in the way.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A TCP port that nothing listens on, of 127.0.0.1 and of ::1. Each call of one process gives another one; processes
/// begin at different places.
pub fn free_port() -> u16 {
    let start = u16::try_from(u64::from(std::process::id()) * 131 % u64::from(COUNT)).unwrap_or(0);
    loop {
        let offset = (u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        let is_free = |address: &str| TcpListener::bind((address, port)).is_ok();
        // A machine without IPv6 has no ::1 to be taken.
        if is_free("127.0.0.1") && (is_free("::1") || TcpListener::bind("[::1]:0").is_err()) {
            return port;
        }
    }
}
