//! Which process listens on a port, as Linux tells in `/proc` (proc_pid_fd(5), proc_pid_net(5)).

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// `TCP_LISTEN` in the table's column `st`.
const LISTEN: &str = "0A";

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortHolder {
    /// Its process id.
    pub pid: u32,
    /// Its command name, as the kernel keeps it: 15 bytes at most, control characters escaped.
    pub command: String,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {})", self.command, self.pid)
    }
}

pub(crate) fn described(holder: Option<&PortHolder>) -> String {
    holder.map_or_else(|| "a process that cannot be seen from here".to_owned(), PortHolder::to_string)
}

/// Who keeps `address` from being bound; `None` when it can not be found: no `/proc`, another user's process, another container.
pub(crate) fn find(address: SocketAddr) -> Option<PortHolder> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| conflicting_inodes(&table, address))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| holder(&process.path(), &links))
}

/// The sockets in a table that listen where `address` would.
fn conflicting_inodes(table: &str, address: SocketAddr) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(listening)
        .filter(|(local, _)| conflict(*local, address))
        .map(|(_, inode)| inode)
        .collect()
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let local = columns.nth(1)?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    let inode = columns.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    Some((SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?), inode))
}

/// Words of 32 bits in the byte order of the machine.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (place, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                place.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// An unspecified address stands in the way of all; whether `[::]` holds IPv4 too the table does not say.
fn conflict(held: SocketAddr, wanted: SocketAddr) -> bool {
    held.port() == wanted.port()
        && (held.ip() == wanted.ip() || held.ip().is_unspecified() || wanted.ip().is_unspecified())
}

fn holder(process: &Path, links: &[String]) -> Option<PortHolder> {
    let pid = process.file_name()?.to_str()?.parse().ok()?;
    let descriptors = fs::read_dir(process.join("fd")).ok()?;
    let holds = descriptors.flatten().any(|descriptor| {
        fs::read_link(descriptor.path())
            .is_ok_and(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    });
    holds.then(|| PortHolder { pid, command: command(process) })
}

fn command(process: &Path) -> String {
    let name = fs::read(process.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:138A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 100 0 0 10 0
   1: 0100007F:138A 0100007F:C000 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0000000000000000 100 0 0 10 0
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0000000000000000 100 0 0 10 0
   3: broken
";
    #[cfg(target_endian = "little")]
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0 100 0 0 10 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn finds_the_socket_in_the_way() {
        let inodes = |table, address: &str| conflicting_inodes(table, address.parse().unwrap());
        assert_eq!(inodes(TCP, "127.0.0.1:5002"), [111]);
        assert_eq!(inodes(TCP, "0.0.0.0:5002"), [111]);
        assert!(inodes(TCP, "127.0.0.2:5002").is_empty());
        assert_eq!(inodes(TCP, "192.0.2.1:80"), [333]);
        assert!(inodes(TCP, "192.0.2.1:81").is_empty());
        assert_eq!(inodes(TCP6, "[2001:db8::1]:80"), [444]);
        assert!(inodes(TCP6, "[2001:db8::2]:80").is_empty());
    }

    #[test]
    fn odd_tables_hold_nothing() {
        for table in [
            "",
            "x",
            "sl\n0: :: 0 0A",
            "sl\n0: zz:zz 0:0 0A 0 0 0 0 0 1",
            "sl\n0: é0000000:1 0:0 0A 0 0 0 0 0 1",
        ] {
            assert!(conflicting_inodes(table, "0.0.0.0:0".parse().unwrap()).is_empty(), "{table}");
        }
    }
}
