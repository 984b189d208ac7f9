//! The arguments of `gatecert doctor`.

use super::{Authority, ClusterArguments};
use clap::Args;
use gatecert_acme::Identifier;
use std::net::{IpAddr, SocketAddr};

/// The port of DNS, where an address without one is given.
const DNS_PORT: u16 = 53;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert doctor www.example.com
  gatecert doctor www.example.com --no-cluster
  gatecert doctor www.example.com --resolver 9.9.9.9 -o json

Looks at what a challenge needs, from outside (DNS, CAA, port 80) and in the cluster (gateways, \
routes, policies, the Secret, the Certificate, its issuer), and changes nothing. With -n only the \
Certificates of that namespace count. Exit code 1 where a check failed, 0 where there are warnings \
at most. What each verdict means: docs/doctor.md.")]
pub(crate) struct Doctor {
    /// The name or address that the certificate is for.
    #[arg(value_name = "HOST")]
    pub(crate) host: Identifier,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Looks from outside only.
    #[arg(long, conflicts_with_all = ["kubeconfig", "context", "namespace"])]
    pub(crate) no_cluster: bool,
    /// The DNS server to ask, instead of the system's: an address, perhaps with a port.
    #[arg(long, value_name = "ADDRESS", value_parser = resolver)]
    pub(crate) resolver: Option<SocketAddr>,
    /// Asks addresses too that are private, of this machine, or of its link, where the name leads there.
    #[arg(long)]
    pub(crate) allow_private: bool,
    #[command(flatten)]
    pub(crate) authority: Authority,
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    address.or_else(|_| text.parse()).map_err(|_| {
        "it is neither an IP address nor address:port, such as 9.9.9.9 or [2620:fe::9]:53".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_an_address() {
        for (text, wanted) in [
            ("9.9.9.9", Some("9.9.9.9:53")),
            ("127.0.0.1:8053", Some("127.0.0.1:8053")),
            ("2620:fe::9", Some("[2620:fe::9]:53")),
            ("[2620:fe::9]", Some("[2620:fe::9]:53")),
            ("[2620:fe::9]:5353", Some("[2620:fe::9]:5353")),
            ("dns.example.com", None),
            ("", None),
        ] {
            assert_eq!(resolver(text).ok().map(|found| found.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
