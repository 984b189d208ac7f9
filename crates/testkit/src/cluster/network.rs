//! A network of one's own: real ports 80 and 443, addresses for every host, and no way off the machine.

use crate::StartError;
use crate::tools::{self, Tool};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
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
            .args(if is_root { &["--net", "--mount"][..] } else { &["-rn", "--mount"] })
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

    /// Puts a folder in the place of one of the machine's, for this process and those that it starts. The machine's is as
    /// it was for all others.
    ///
    /// # Errors
    /// There is no such folder, or `mount` is missing or refuses.
    pub fn put(&self, folder: &Path, over: &str) -> Result<(), StartError> {
        run("mount", "util-linux", &["--bind", &folder.display().to_string(), over])
    }
}

fn ip(arguments: &[&str]) -> Result<(), StartError> {
    run("ip", "iproute2", arguments)
}

fn run(program: &str, package: &str, arguments: &[&str]) -> Result<(), StartError> {
    let output = Command::new(program).args(arguments).output().map_err(|error| {
        StartError::set_up("network", format!("`{program}` ({package}) can not be run: {error}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(StartError::set_up("network", format!("`{program} {}`: {text}", arguments.join(" "))))
}
