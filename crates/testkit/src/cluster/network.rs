//! A network of one's own: real ports 80 and 443, addresses for every host, and no way off the machine.

use crate::StartError;
use crate::tools::{self, Tool};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The servers of a cluster.
pub const TOOLS: [Tool; 7] = [
    Tool::Pebble,
    Tool::PebbleChalltestsrv,
    Tool::Envoy,
    Tool::Etcd,
    Tool::KubeApiserver,
    Tool::Istiod,
    Tool::GatewayApiCrds,
];

/// Set in the process that runs in the network.
const INSIDE: &str = "GATECERT_OWN_NETWORK";

/// The network that this process is in. Nothing outside of it can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Network(());

impl Network {
    /// Puts this process into a network of its own. To be called first in `main`: the program begins anew in there, as
    /// the same process, so that signals reach it as before.
    ///
    /// # Errors
    /// `unshare` or `ip` is missing, or the machine does not permit it; a server can not be had.
    pub fn enter() -> Result<Self, StartError> {
        if std::env::var_os(INSIDE).is_some() {
            ip(&["link", "set", "lo", "up"])?;
            return Ok(Self(()));
        }
        // Nothing can be fetched from in there.
        for tool in TOOLS {
            tools::ensure(tool)?;
        }
        let program = std::env::current_exe().map_err(|source| StartError::set_up("network", source))?;
        let is_root = rustix::process::geteuid().is_root();
        let failed = Command::new("unshare")
            .arg(if is_root { "--net" } else { "-rn" })
            .arg(program)
            .args(std::env::args_os().skip(1))
            .env(INSIDE, "1")
            .exec();
        let text =
            format!("`unshare` (util-linux) can not be run, or user namespaces are not permitted: {failed}");
        Err(StartError::set_up("network", text))
    }

    /// Gives the loopback interface another address.
    ///
    /// # Errors
    /// `ip` is missing or refuses.
    pub fn add_address(&self, address: Ipv4Addr) -> Result<(), StartError> {
        ip(&["addr", "replace", &format!("{address}/32"), "dev", "lo"])
    }
}

fn ip(arguments: &[&str]) -> Result<(), StartError> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| StartError::set_up("network", format!("`ip` (iproute2) can not be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(StartError::set_up("network", format!("`ip {}`: {text}", arguments.join(" "))))
}
