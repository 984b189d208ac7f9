//! Port 80 of the public name, asked as Let's Encrypt asks it: IPv6 first, IPv4 only where no connection comes about,
//! redirects followed to ports 80 and 443, certificates behind them not checked. Bodies are not read.

use super::address::is_public;
use super::kind::Kind;
use super::report::Verdict;
use super::resolver::Dns;
use gatecert_render::CHALLENGE_PATH;
use rand::Rng as _;
use reqwest::header::{HOST, LOCATION};
use reqwest::redirect::Policy;
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use url::{Host, Url};

/// How long one request may take, as with Let's Encrypt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The most redirects that Let's Encrypt follows.
const MAX_REDIRECTS: usize = 10;

/// Addresses of a name that are tried, of each family: Let's Encrypt tries one.
const MAX_TRIED: usize = 1;

/// A token that no CA gives out: it says whose request it is in the logs of whoever is asked.
const TOKEN: &str = "gatecert-doctor-";

/// How a request is made.
#[derive(Clone)]
pub(super) struct Asking<'a> {
    pub(super) dns: &'a Dns,
    pub(super) is_private_allowed: bool,
    /// The port of the first request: 80, but in tests.
    pub(super) port: u16,
}

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// Scheme, host and port, as far as they are not the usual.
    pub(super) at: String,
    /// Addresses of IPv6 that took no connection before this one did.
    pub(super) passed_over: Vec<IpAddr>,
    /// The address that was asked; none where there is none.
    pub(super) address: Option<IpAddr>,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Status(u16),
    /// To another place, which is the next hop.
    Redirect(u16),
    /// To a place that a CA does not go to.
    ForbiddenRedirect(u16, String),
    TooManyRedirects,
    /// The name has no address, or none that may be asked.
    NoAddress,
    Private(IpAddr),
    NoConnection,
    TimedOut,
    /// No HTTP, or no TLS.
    Broken,
}

impl Hop {
    /// The whole of it took too long.
    pub(super) fn timed_out(host: &str) -> Self {
        Self {
            at: format!("http://{host}"),
            passed_over: Vec::new(),
            address: None,
            outcome: Outcome::TimedOut,
        }
    }
}

/// Asks, and follows.
pub(super) async fn look(asking: &Asking<'_>, host: &str) -> Vec<Hop> {
    let token: String =
        rand::thread_rng().sample_iter(rand::distributions::Alphanumeric).take(16).map(char::from).collect();
    let authority = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = if asking.port == 80 { String::new() } else { format!(":{}", asking.port) };
    let first = format!("http://{authority}{port}{CHALLENGE_PATH}{TOKEN}{token}");
    let mut hops = Vec::new();
    let mut next = first.parse::<Url>().ok();
    while let Some(url) = next.take() {
        let (hop, target) = asking.hop(&url, hops.is_empty()).await;
        hops.push(hop);
        if target.is_some() && hops.len() > MAX_REDIRECTS {
            if let Some(last) = hops.last_mut() {
                last.outcome = Outcome::TooManyRedirects;
            }
            break;
        }
        next = target;
    }
    hops
}

impl Asking<'_> {
    async fn hop(&self, url: &Url, is_first: bool) -> (Hop, Option<Url>) {
        let mut hop =
            Hop { at: place(url), passed_over: Vec::new(), address: None, outcome: Outcome::NoAddress };
        for address in self.candidates(url).await {
            hop.address = Some(address);
            if !self.is_private_allowed && !is_public(&address) {
                hop.outcome = Outcome::Private(address);
                return (hop, None);
            }
            let (outcome, target) = self.ask(url, address).await;
            hop.outcome = outcome;
            let is_v4_next = is_first && address.is_ipv6();
            if !matches!(hop.outcome, Outcome::NoConnection) || !is_v4_next {
                return (hop, target);
            }
            hop.passed_over.push(address);
        }
        (hop, None)
    }

    /// The first address of each family, IPv6 first.
    async fn candidates(&self, url: &Url) -> Vec<IpAddr> {
        match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                let found = self.dns.addresses(name).await;
                let first = |all: Vec<IpAddr>| all.into_iter().take(MAX_TRIED);
                let (v6, v4) = (found.v6.unwrap_or_default(), found.v4.unwrap_or_default());
                first(v6).chain(first(v4)).collect()
            }
            None => Vec::new(),
        }
    }

    async fn ask(&self, url: &Url, address: IpAddr) -> (Outcome, Option<Url>) {
        let Some(port) = url.port_or_known_default() else { return (Outcome::Broken, None) };
        let response = match client(url, SocketAddr::new(address, port)) {
            Ok(client) => client.get(url.clone()).header(HOST, host_of(url)).send().await,
            Err(error) => Err(error),
        };
        match response {
            Ok(response) => {
                let status = response.status().as_u16();
                let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                match (status, location) {
                    (301 | 302 | 307 | 308, Some(location)) => self.redirect(url, status, location),
                    _ => (Outcome::Status(status), None),
                }
            }
            Err(error) => (failed(&error), None),
        }
    }

    fn redirect(&self, url: &Url, status: u16, location: &str) -> (Outcome, Option<Url>) {
        let Ok(target) = url.join(location) else {
            return (Outcome::ForbiddenRedirect(status, "an address that is none".into()), None);
        };
        let is_followed = matches!(
            (target.scheme(), target.port_or_known_default()),
            ("http" | "https", Some(port)) if matches!(port, 80 | 443) || port == self.port
        );
        if !is_followed {
            return (Outcome::ForbiddenRedirect(status, place(&target)), None);
        }
        (Outcome::Redirect(status), Some(target))
    }
}

/// A client that finds the name at this address only, and has a connection of its own.
fn client(url: &Url, address: SocketAddr) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .http1_only()
        .tls_danger_accept_invalid_certs(true)
        .resolve(url.host_str().unwrap_or_default(), address)
        .user_agent(concat!("gatecert/", env!("CARGO_PKG_VERSION"), " (doctor)"))
        .build()
}

/// As the CA sends it: without a usual port.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn failed(error: &reqwest::Error) -> Outcome {
    if error.is_timeout() {
        return Outcome::TimedOut;
    }
    // A TLS handshake that fails counts as a connection to reqwest.
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind as Io;
            let is_refused = matches!(
                io.kind(),
                Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable
            );
            return if is_refused { Outcome::NoConnection } else { Outcome::Broken };
        }
        source = cause.source();
    }
    if error.is_connect() { Outcome::NoConnection } else { Outcome::Broken }
}

/// Scheme and host, and a port that is not the usual. Nothing else of a URL that somebody else wrote is told.
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

pub(super) fn verdicts(host: &str, hops: &[Hop]) -> Vec<Verdict> {
    let Some(last) = hops.last() else { return Vec::new() };
    let mut verdicts = Vec::new();
    if let Some(first) = hops.first().filter(|hop| !hop.passed_over.is_empty()) {
        let addresses: Vec<_> = first.passed_over.iter().map(ToString::to_string).collect();
        let text =
            format!("{} takes no connection on port 80; the CA tries IPv4 then, once", addresses.join(", "));
        verdicts.push(
            Verdict::warn(Kind::HttpIpv6, text)
                .object(format!("AAAA {host}"))
                .fix("let the gateway listen there, or take the AAAA record away"),
        );
    }
    let elsewhere = hops.iter().find(|hop| !is_at(hop, host));
    if let Some(hop) = elsewhere {
        let text = format!(
            "the challenge's path is redirected to {}, which has to answer in place of {host}",
            hop.at
        );
        verdicts.push(Verdict::warn(Kind::HttpRedirectElsewhere, text).object(host.to_owned()).fix(
            "right if the gateway serves that name too and gatecert's route is reached by it; else keep \
             /.well-known/acme-challenge/* out of the redirect",
        ));
    }
    verdicts.push(judge(last, hops.len() - 1).object(title(last)));
    verdicts
}

fn is_at(hop: &Hop, host: &str) -> bool {
    let at = hop.at.split_once("://").map_or("", |(_, at)| at);
    let bare = if at.starts_with('[') { at.split_inclusive(']').next() } else { at.split(':').next() };
    bare.unwrap_or_default().trim_matches(['[', ']']).eq_ignore_ascii_case(host)
}

fn title(hop: &Hop) -> String {
    hop.address.map_or_else(|| hop.at.clone(), |address| format!("{} at {address}", hop.at))
}

fn judge(hop: &Hop, redirects: usize) -> Verdict {
    let behind = match redirects {
        0 => String::new(),
        1 => " behind a redirect".to_owned(),
        count => format!(" behind {count} redirects"),
    };
    match &hop.outcome {
        Outcome::Status(status) => judge_status(*status, &behind),
        Outcome::Redirect(status) => {
            Verdict::fail(Kind::HttpRedirectTarget, format!("answers {status}{behind}"))
        }
        Outcome::ForbiddenRedirect(status, target) => Verdict::fail(
            Kind::HttpRedirectTarget,
            format!(
                "answers {status}{behind} to {target}, where a CA does not follow: only to ports 80 and 443"
            ),
        )
        .fix("let the redirect lead to port 80 or 443, or keep /.well-known/acme-challenge/* out of it"),
        Outcome::TooManyRedirects => Verdict::fail(
            Kind::HttpRedirects,
            format!("redirects more than {MAX_REDIRECTS} times, after which a CA gives up"),
        )
        .fix("keep /.well-known/acme-challenge/* out of the redirects, or end their loop"),
        Outcome::NoAddress => {
            Verdict::skipped(Kind::HttpSkipped, format!("there is no address to ask{behind}"))
        }
        Outcome::Private(_) if redirects > 0 => Verdict::fail(
            Kind::HttpRedirectTarget,
            format!("is on no public network, and a CA on the Internet does not get there{behind}"),
        )
        .fix("let the redirect lead to a public name; --allow-private asks all the same"),
        Outcome::Private(_) => {
            Verdict::skipped(Kind::HttpSkipped, "is on no public network and was not asked")
                .fix("--allow-private asks all the same")
        }
        Outcome::NoConnection => Verdict::fail(
            Kind::HttpUnreachable,
            format!("takes no connection{behind}: the CA needs port 80, whatever else is open"),
        )
        .fix("open port 80 in the load balancer, the firewall and the gateway's Service"),
        Outcome::TimedOut => Verdict::fail(
            Kind::HttpTimeout,
            format!("does not answer within {} s{behind}", REQUEST_TIMEOUT.as_secs()),
        )
        .fix("look for a firewall that drops packets to port 80, and for a gateway without ready Pods"),
        Outcome::Broken => {
            Verdict::fail(Kind::HttpBroken, format!("speaks no HTTP that can be understood{behind}"))
                .fix("look what listens there: TLS or the PROXY protocol on a plain port is the usual cause")
        }
    }
}

/// Of a challenge that nobody has set there is no answer to be had but 404.
fn judge_status(status: u16, behind: &str) -> Verdict {
    match status {
        404 => Verdict::ok(Kind::HttpOk, format!("answers{behind} (404, since there is no challenge now)")),
        401 | 403 => Verdict::fail(
            Kind::HttpDenied,
            format!("answers {status}{behind}: a policy, a firewall or a login is before the challenge's path"),
        )
        .fix("let GET /.well-known/acme-challenge/* pass without credentials"),
        200..=299 => Verdict::warn(
            Kind::HttpAnswered,
            format!("answers {status}{behind} for a challenge that does not exist: something takes all paths there"),
        )
        .fix("right if that is the application behind the gateway, as gatecert's route comes before it; look at what \
              the gateway says below"),
        500..=599 => Verdict::warn(
            Kind::HttpError,
            format!("answers {status}{behind}: what takes the path now does not work; a challenge's own route may"),
        )
        .fix("see that the application behind the gateway has ready Pods"),
        status => Verdict::warn(Kind::HttpUnexpected, format!("answers {status}{behind}, which a CA takes for a failure"))
            .fix("let GET /.well-known/acme-challenge/* reach the gateway as it is"),
    }
}

#[cfg(test)]
mod tests;
