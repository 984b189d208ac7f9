//! Where a server listens.

use crate::token::shown;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use thiserror::Error;

/// One or two sockets, written as one address:
///
/// | text | listens on |
/// |---|---|
/// | `:80` or `*:80` | every address of the machine, IPv4 and IPv6 |
/// | `localhost:5002` | `127.0.0.1` and `[::1]` |
/// | `0.0.0.0:80` | every IPv4 address, no IPv6 |
/// | `[::]:80` | every IPv6 address, no IPv4 |
/// | `127.0.0.1:5002` | that address |
///
/// Port 0 takes a free port, the same one for both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(Sockets);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sockets {
    Any(u16),
    Loopback(u16),
    One(SocketAddr),
}

/// The text is no [`ListenAddress`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not an address to listen on; such are `:80`, `0.0.0.0:80`, `[::]:80` and `127.0.0.1:5002`"
)]
pub struct ListenAddressError {
    text: String,
}

impl ListenAddress {
    /// Every address of the machine, IPv4 and IPv6: `:80`.
    pub const fn any(port: u16) -> Self {
        Self(Sockets::Any(port))
    }

    /// `127.0.0.1` and `[::1]`: `localhost:5002`.
    pub const fn loopback(port: u16) -> Self {
        Self(Sockets::Loopback(port))
    }

    /// The port, 0 for a free one.
    pub const fn port(&self) -> u16 {
        match self.0 {
            Sockets::Any(port) | Sockets::Loopback(port) => port,
            Sockets::One(address) => address.port(),
        }
    }

    /// Whether both can not be listened on at once: they have a port in common on one of the machine's addresses.
    pub fn overlaps(&self, other: &Self) -> bool {
        let sockets = |address: &Self| {
            let (first, second) = address.socket_addresses();
            [Some(first), second].into_iter().flatten().collect::<Vec<_>>()
        };
        let is_both = |one: SocketAddr, other: SocketAddr| {
            let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
            one.is_ipv4() == other.is_ipv4() && (one.ip() == other.ip() || is_any)
        };
        self.port() == other.port()
            && self.port() != 0
            && sockets(self)
                .into_iter()
                .any(|one| sockets(other).into_iter().any(|other| is_both(one, other)))
    }

    /// The socket that must be had, and the one of the other family that is had where the machine has that family.
    pub(crate) fn socket_addresses(&self) -> (SocketAddr, Option<SocketAddr>) {
        match self.0 {
            Sockets::Any(port) => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, port),
            Sockets::Loopback(port) => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, port),
            Sockets::One(address) => (address, None),
        }
    }
}

fn both(v4: Ipv4Addr, v6: Ipv6Addr, port: u16) -> (SocketAddr, Option<SocketAddr>) {
    (SocketAddr::new(IpAddr::V4(v4), port), Some(SocketAddr::new(IpAddr::V6(v6), port)))
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(Sockets::One(address))
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let sockets = match text.rsplit_once(':') {
            Some(("" | "*", port)) => parse_port(port).map(Sockets::Any),
            Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
                parse_port(port).map(Sockets::Loopback)
            }
            _ => text.parse().ok().map(Sockets::One),
        };
        sockets.map(Self).ok_or_else(|| ListenAddressError { text: shown(text) })
    }
}

/// `u16` alone would take `+80`.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Sockets::Any(port) => write!(f, ":{port}"),
            Sockets::Loopback(port) => write!(f, "localhost:{port}"),
            Sockets::One(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for text in [":80", "localhost:5002", "0.0.0.0:80", "[::]:80", "127.0.0.1:0", "[2001:db8::1]:65535"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        assert_eq!("*:80".parse(), Ok(ListenAddress::any(80)));
        assert_eq!("LOCALHOST:80".parse(), Ok(ListenAddress::loopback(80)));
        assert_eq!("[::1]:81".parse::<ListenAddress>().unwrap().port(), 81);
    }

    #[test]
    fn what_overlaps_can_not_be_listened_on_at_once() {
        let of = |text: &str| text.parse::<ListenAddress>().unwrap();
        for (one, other, is_so) in [
            (":80", ":80", true),
            (":80", "127.0.0.1:80", true),
            (":80", "[::1]:80", true),
            ("localhost:80", "[::]:80", true),
            ("0.0.0.0:80", "[::]:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            (":80", ":81", false),
            (":0", ":0", false),
        ] {
            assert_eq!(
                (of(one).overlaps(&of(other)), of(other).overlaps(&of(one))),
                (is_so, is_so),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "80",
            ":",
            ":+80",
            ":65536",
            ":80 ",
            "::80",
            "::1:80",
            "[::1]",
            "127.0.0.1",
            "example.com:80",
            "*",
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not")), "{error}");
        }
    }
}
