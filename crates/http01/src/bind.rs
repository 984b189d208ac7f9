//! Opening the sockets of a server, and saying why one can not be had.

use crate::listen_address::ListenAddress;
use crate::port_holder::{self, PortHolder};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use thiserror::Error;

/// Connections that wait to be accepted. The kernel caps it (`net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;

/// How often a free port of one family is tried in the other.
const FREE_PORT_ATTEMPTS: usize = 16;

/// Where the ports begin that everybody may bind, unless `net.ipv4.ip_unprivileged_port_start` says otherwise.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// Why an address can not be listened on. `Display` says what and why; [`BindError::hint`] what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket listens there.
    #[error("cannot listen on `{address}`: the port is taken by {}", port_holder::described(.holder.as_ref()))]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// Who holds the port; `None` when this user may not see it, or without `/proc`.
        holder: Option<PortHolder>,
        /// What the kernel said.
        source: io::Error,
    },
    /// The port is reserved to privileged processes.
    #[error(
        "cannot listen on `{address}`: the process lacks CAP_NET_BIND_SERVICE, which ports below {FIRST_UNPRIVILEGED_PORT} need"
    )]
    PrivilegedPort {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address belongs to another machine, or to a family that this one does not have.
    #[error("cannot listen on `{address}`: the machine does not have this address")]
    NoSuchAddress {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else that the kernel refuses, for want of descriptors as an example.
    #[error("cannot listen on `{address}`")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    /// What the person who runs the program can do, in a sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PortTaken { address, holder: None, .. } => Some(format!(
                "Find the process with `ss -ltnp 'sport = :{0}'` as root and stop it, or listen on another port and forward {0} to it.",
                address.port()
            )),
            Self::PortTaken { address, holder: Some(holder), .. } => Some(format!(
                "Stop process {}, or listen on another port and forward {} to it.",
                holder.pid,
                address.port()
            )),
            Self::PrivilegedPort { address, .. } => Some(format!(
                "Give the program the capability with `setcap cap_net_bind_service=+ep <program>` (in a container: add NET_BIND_SERVICE), \
                 or run `sysctl net.ipv4.ip_unprivileged_port_start={0}`, or listen on a higher port and forward {0} to it.",
                address.port()
            )),
            Self::NoSuchAddress { address, .. } => Some(format!(
                "List the addresses with `ip address`, or listen on all of them with `:{}`.",
                address.port()
            )),
            Self::Socket { .. } => None,
        }
    }

    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::PortTaken { address, holder: port_holder::find(address), source },
            ErrorKind::PermissionDenied if address.port() < FIRST_UNPRIVILEGED_PORT => {
                Self::PrivilegedPort { address, source }
            }
            ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address, source },
            _ if Errno::from_io_error(&source) == Some(Errno::AFNOSUPPORT) => {
                Self::NoSuchAddress { address, source }
            }
            _ => Self::Socket { address, source },
        }
    }
}

/// Binds the sockets of `address`: one, or one for each family.
pub(crate) fn open(address: ListenAddress) -> Result<Vec<TcpListener>, BindError> {
    match address.socket_addresses() {
        (only, None) => Ok(vec![listen(only)?]),
        (v4, Some(v6)) => open_both(v4, v6),
    }
}

/// A free port of IPv4 may be taken in IPv6: then another one is tried.
fn open_both(v4: SocketAddr, v6: SocketAddr) -> Result<Vec<TcpListener>, BindError> {
    let mut attempts = if v4.port() == 0 { FREE_PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match open_pair(v4, v6) {
            Err(BindError::PortTaken { .. }) if attempts > 0 => {}
            done => return done,
        }
    }
}

fn open_pair(v4: SocketAddr, mut v6: SocketAddr) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::with_capacity(2);
    listeners.extend(unless_family_is_missing(listen(v4))?);
    if let Some(first) = listeners.first() {
        let port = first.local_addr().map_err(|source| BindError::Socket { address: v4, source })?.port();
        v6.set_port(port);
        listeners.extend(unless_family_is_missing(listen(v6))?);
    } else {
        listeners.push(listen(v6)?);
    }
    Ok(listeners)
}

/// A machine or container without IPv6 is common, one without IPv4 is possible.
fn unless_family_is_missing(bound: Result<TcpListener, BindError>) -> Result<Option<TcpListener>, BindError> {
    match bound {
        Err(BindError::NoSuchAddress { address, .. }) => {
            tracing::warn!(%address, "not listening: the machine does not have this address family");
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    listening_socket(address).map_err(|source| BindError::new(address, source))
}

fn listening_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The default of the system differs; without it `[::]` takes the port of IPv4 too.
        socket.set_only_v6(true)?;
    }
    // Connections of the program that ran before may be in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it on Linux: one system call less for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn refused(kind: ErrorKind) -> BindError {
        BindError::new("192.0.2.1:80".parse().unwrap(), kind.into())
    }

    #[test]
    fn a_privileged_port_names_the_ways_out() {
        let error = refused(ErrorKind::PermissionDenied);
        assert!(
            error.to_string().contains("`192.0.2.1:80`")
                && error.to_string().contains("CAP_NET_BIND_SERVICE"),
            "{error}"
        );
        let hint = error.hint().unwrap();
        for way in [
            "setcap cap_net_bind_service=+ep",
            "sysctl net.ipv4.ip_unprivileged_port_start=80",
            "NET_BIND_SERVICE",
        ] {
            assert!(hint.contains(way), "{hint}");
        }
    }

    #[test]
    fn a_taken_port_says_how_to_find_its_holder() {
        let address = "192.0.2.1:80".parse().unwrap();
        let error = BindError::PortTaken { address, holder: None, source: ErrorKind::AddrInUse.into() };
        assert!(
            error.to_string().ends_with("the port is taken by a process that cannot be seen from here"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("ss -ltnp 'sport = :80'"));
    }

    #[test]
    fn a_missing_family_is_no_such_address() {
        let error = BindError::new("[::1]:80".parse().unwrap(), Errno::AFNOSUPPORT.into());
        assert!(matches!(error, BindError::NoSuchAddress { .. }));
        assert!(unless_family_is_missing(Err(error)).unwrap().is_none());
        assert!(unless_family_is_missing(Err(refused(ErrorKind::OutOfMemory))).is_err());
    }

    #[test]
    fn display_does_not_repeat_the_source() {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::AddrInUse,
            ErrorKind::AddrNotAvailable,
            ErrorKind::OutOfMemory,
        ] {
            let error = refused(kind);
            assert!(!error.to_string().contains(&error.source().unwrap().to_string()), "{error}");
        }
    }
}
