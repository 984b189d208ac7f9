//! DNS as a CA asks it: no hosts file, no search domains.

use crate::error::Failure;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata::CAA;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long one answer may take; there are two attempts.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most records of an answer that are read: with more than these an answer tells nothing new.
const MAX_RECORDS: usize = 32;

/// Asks DNS.
#[derive(Clone)]
pub(super) struct Dns(TokioResolver);

/// The addresses of a name.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) v4: Answer<Vec<IpAddr>>,
    pub(super) v6: Answer<Vec<IpAddr>>,
}

impl Addresses {
    /// All there are, IPv6 first, as Let's Encrypt asks.
    pub(super) fn all(&self) -> Vec<IpAddr> {
        self.v6.iter().chain(self.v4.iter()).flatten().copied().collect()
    }
}

/// What DNS says, nothing being an answer too; or why there is no answer.
pub(super) type Answer<T> = Result<T, Unanswered>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unanswered(pub(super) String);

impl Dns {
    /// Asks this server, or those of the system.
    pub(super) fn open(server: Option<SocketAddr>) -> Result<Self, Failure> {
        let unusable = |error: NetError| {
            Failure::local("resolver", &error).hint("name a DNS server with --resolver ADDRESS")
        };
        let mut builder = match server {
            Some(server) => {
                let config = ResolverConfig::from_name_servers(vec![name_server(server)]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(unusable)?,
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = 2;
        options.use_hosts_file = ResolveHosts::Never;
        Ok(Self(builder.build().map_err(unusable)?))
    }

    /// A and AAAA.
    pub(super) async fn addresses(&self, host: &str) -> Addresses {
        let (v4, v6) =
            tokio::join!(self.lookup(host, RecordType::A, v4), self.lookup(host, RecordType::AAAA, v6));
        Addresses { v4, v6 }
    }

    /// CAA of exactly this name.
    pub(super) async fn caa(&self, name: &str) -> Answer<Vec<CAA>> {
        let caa = |data: &RData| match data {
            RData::CAA(caa) => Some(caa.clone()),
            _ => None,
        };
        self.lookup(name, RecordType::CAA, caa).await
    }

    async fn lookup<T>(
        &self,
        name: &str,
        record_type: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Answer<Vec<T>> {
        match self.0.lookup(format!("{name}."), record_type).await {
            Ok(lookup) => {
                let read = lookup.answers().iter().filter_map(|record| read(&record.data));
                Ok(read.take(MAX_RECORDS).collect())
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(unanswered(&error)),
        }
    }
}

fn v4(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        _ => None,
    }
}

fn v6(data: &RData) -> Option<IpAddr> {
    match data {
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn unanswered(error: &NetError) -> Unanswered {
    Unanswered(match error {
        NetError::Dns(DnsError::ResponseCode(code)) => format!("DNS answers `{code}`"),
        NetError::Timeout => "DNS does not answer in time".to_owned(),
        error => format!("DNS can not be asked: {error}"),
    })
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}
