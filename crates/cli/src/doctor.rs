//! `gatecert doctor`: what keeps a name from its certificate. Each check gathers (asks), has facts (plain data) and makes
//! verdicts of them (pure).

mod address;
mod authority;
mod caa;
mod certificate;
mod cluster;
mod controller;
mod dns;
mod gateway;
mod inside;
mod issuer;
mod kind;
mod policy;
mod public;
mod report;
mod resolver;
mod responder;
mod secret;
mod small;

use crate::Exit;
use crate::args::Doctor;
use crate::error::Failure;
use crate::output::Output;
use crate::stop;
use caa::CaaFacts;
use cluster::Reader;
use dns::DnsFacts;
use gatecert_acme::{Clock, Identifier};
use indicatif::ProgressBar;
use inside::Inside;
use kind::Kind;
use public::{Asking, Hop};
use report::{Report, Verdict};
use resolver::{Addresses, Dns};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The port that a CA asks on.
const HTTP: u16 = 80;

/// How long all redirects together may take: of eleven requests, each of which has ten seconds, few are slow.
const PUBLIC_TIMEOUT: Duration = Duration::from_secs(45);

/// How long reading the cluster may take.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(120);

/// Names of load balancers that are looked up.
const MAX_BALANCERS: usize = 8;

/// How often the moving part moves.
const TICK: Duration = Duration::from_millis(120);

pub(crate) async fn run(arguments: &Doctor, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    if arguments.host.is_wildcard() {
        let text = format!(
            "`{}` can not be proved over HTTP: a wildcard needs DNS (RFC 8555 §8.3)",
            arguments.host.value()
        );
        return Err(Failure::usage(text).hint("ask about a name below it"));
    }
    let dns = Dns::open(arguments.resolver)?;
    let client = match arguments.no_cluster {
        true => None,
        false => Some(crate::cluster::connect(&arguments.cluster).await.map_err(|failure| {
            let hint = failure.hint.clone().unwrap_or_default();
            failure.hint(format!("{hint}\n--no-cluster looks from outside only"))
        })?),
    };
    let spinner = begin(arguments, output);
    let examined = stop::or_stopped(examine(arguments, &dns, client, clock), None).await;
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    let report = examined?;
    output.result(&report, || report.text())?;
    Ok(report.exit())
}

fn begin(arguments: &Doctor, output: &Output) -> Option<ProgressBar> {
    let whom = if arguments.no_cluster { "DNS and port 80" } else { "DNS, port 80 and the cluster" };
    let text = format!("asking {whom} about {}", arguments.host.value());
    if !output.is_drawn() {
        output.note(&text);
        return None;
    }
    let spinner = ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(TICK);
    Some(spinner)
}

async fn examine(
    arguments: &Doctor,
    dns: &Dns,
    client: Option<kube::Client>,
    clock: Arc<dyn Clock>,
) -> Result<Report, Failure> {
    let inside = async {
        let Some(client) = client else { return Ok(None) };
        let reader = Reader::new(client);
        let read =
            inside::look(&reader, &arguments.host, arguments.cluster.namespace.as_deref(), clock.now());
        match tokio::time::timeout(CLUSTER_TIMEOUT, read).await {
            Ok(inside) => inside.map(Some),
            Err(_) => Err(too_slow()),
        }
    };
    let (outside, inside) = tokio::join!(Outside::look(arguments, dns), inside);
    let inside = inside?;
    let mut checks = outside.verdicts(arguments, dns, inside.as_ref(), clock).await;
    match inside {
        Some(inside) => checks.extend(inside.verdicts),
        None => {
            checks.push(Verdict::skipped(Kind::ClusterSkipped, "looked at from outside only (--no-cluster)"));
        }
    }
    Ok(Report::new(arguments.host.value(), checks))
}

fn too_slow() -> Failure {
    let text = format!("the cluster has not been read within {} s", CLUSTER_TIMEOUT.as_secs());
    Failure {
        exit: Exit::Failed,
        kind: "cluster",
        message: text,
        hint: Some("--no-cluster looks from outside only".into()),
        names: Vec::new(),
        retry: None,
    }
}

/// What is seen from outside.
struct Outside {
    /// Nothing for an address, which is in no DNS.
    named: Option<Named>,
    hops: Vec<Hop>,
}

/// What DNS says of a name.
struct Named {
    addresses: Addresses,
    caa: caa::Found,
}

impl Outside {
    async fn look(arguments: &Doctor, dns: &Dns) -> Self {
        let host = arguments.host.value();
        let named = async {
            match arguments.host {
                Identifier::Ip(_) => None,
                _ => {
                    let (addresses, caa) = tokio::join!(dns.addresses(&host), caa::look(dns, &host));
                    Some(Named { addresses, caa })
                }
            }
        };
        let asking = Asking { dns, is_private_allowed: arguments.allow_private, port: HTTP };
        let hops = tokio::time::timeout(PUBLIC_TIMEOUT, public::look(&asking, &host));
        let (named, hops) = tokio::join!(named, hops);
        Self { named, hops: hops.unwrap_or_else(|_| vec![Hop::timed_out(&host)]) }
    }

    async fn verdicts(
        self,
        arguments: &Doctor,
        dns: &Dns,
        inside: Option<&Inside>,
        clock: Arc<dyn Clock>,
    ) -> Vec<Verdict> {
        let host = arguments.host.value();
        let mut verdicts = Vec::new();
        if let Some(Named { addresses, caa }) = self.named {
            let meant = inside.and_then(|inside| inside.issuer.as_ref());
            let named = inside.map(|inside| inside.addresses.clone()).unwrap_or_default();
            let identities =
                authority::identities(&arguments.authority, meant, arguments.allow_private, clock);
            let (gateway, identities) = tokio::join!(numeric(dns, &named), identities);
            let is_private_allowed = arguments.allow_private;
            verdicts.extend(dns::verdicts(&DnsFacts {
                host: host.clone(),
                addresses,
                gateway,
                is_private_allowed,
            }));
            let account = meant.and_then(|meant| meant.account()).map(str::to_owned);
            verdicts.extend(caa::verdicts(&CaaFacts { host: host.clone(), found: caa, identities, account }));
        } else {
            verdicts.push(Verdict::skipped(Kind::DnsSkipped, "an address needs no DNS").object(host.clone()));
            verdicts.push(
                Verdict::skipped(Kind::CaaSkipped, "an address has no CAA records").object(host.clone()),
            );
        }
        verdicts.extend(public::verdicts(&host, &self.hops));
        verdicts
    }
}

/// The addresses of gateways, of which some clouds give names.
async fn numeric(dns: &Dns, named: &BTreeSet<String>) -> BTreeSet<std::net::IpAddr> {
    let (numbers, names): (Vec<_>, Vec<_>) =
        named.iter().partition(|one| one.parse::<std::net::IpAddr>().is_ok());
    let mut all: BTreeSet<_> = numbers.iter().filter_map(|one| one.parse().ok()).collect();
    for name in names.iter().take(MAX_BALANCERS).filter_map(|name| Identifier::dns(name).ok()) {
        all.extend(dns.addresses(&name.value()).await.all());
    }
    all
}
