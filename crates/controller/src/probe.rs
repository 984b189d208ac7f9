//! Asks every gateway as the CA will ask it, before the CA is told to.

use crate::route::Probe;
use futures::StreamExt as _;
use futures::stream;
use gatecert_render::Challenge;
use reqwest::header::HOST;
use reqwest::redirect::Policy;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Sleep;

/// The time for one request: gateways are near.
const REQUEST: Duration = Duration::from_secs(3);

/// The first wait between two rounds; each is twice as long, up to [`LONGEST_WAIT`]. A route reaches Envoy about 0.1 s
/// after it was written.
const FIRST_WAIT: Duration = Duration::from_millis(15);

/// The longest wait between two rounds.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// How many are asked at a time: a gateway may have as many Pods as somebody writes into an EndpointSlice.
const AT_A_TIME: usize = 128;

/// The largest answer that is read, in bytes. A key authorization has fewer than 128 (RFC 8555 section 8.3 and
/// Let's Encrypt's own bound).
const MAX_BODY: usize = 256;

/// Asks gateways.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    plain: reqwest::Client,
}

/// What a gateway said instead of the answer. Nothing of a foreign body is kept: what stands behind an address must not
/// be readable in a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Miss {
    pub(crate) host: String,
    pub(crate) gateway: String,
    pub(crate) address: SocketAddr,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    NoConnection,
    TimedOut,
    Status(u16),
    OtherBody,
}

impl Miss {
    /// Whether a policy denied it.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.what, What::Status(401 | 403))
    }

    /// The hop that failed, and what to do. `policies` are those that may have denied it.
    pub(crate) fn message(&self, policies: &[String]) -> String {
        let Self { gateway, address, what, .. } = self;
        match what {
            What::NoConnection => format!("{gateway} at {address} takes no connection"),
            What::TimedOut => format!("{gateway} at {address} does not answer in time"),
            What::Status(status @ (301 | 302 | 303 | 307 | 308)) => {
                format!("{gateway} at {address} answers {status}: a redirect takes the challenge's path")
            }
            What::Status(status @ (401 | 403)) => {
                let names = match policies {
                    [] => "an AuthorizationPolicy or RequestAuthentication".to_owned(),
                    policies => policies.join(" or "),
                };
                format!(
                    "{gateway} at {address} answers {status}: {names} denies the challenge's path; allow \
                     /.well-known/acme-challenge/* there"
                )
            }
            What::Status(404) => {
                format!(
                    "{gateway} at {address} answers 404: another route has the host, or the new one is not there yet"
                )
            }
            What::Status(503) => {
                format!("{gateway} at {address} answers 503: it does not reach the responder")
            }
            What::Status(status) => format!("{gateway} at {address} answers {status}"),
            What::OtherBody => {
                format!(
                    "{gateway} at {address} answers something else: another route takes the challenge's path"
                )
            }
        }
    }
}

impl Prober {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        // Each request has a connection of its own, as the CA's has: an old one stays with an Envoy listener that a change
        // has replaced.
        let plain = builder().pool_max_idle_per_host(0).build()?;
        Ok(Self { plain })
    }

    /// Asks all of them, again and again, until each gives the right answer or the deadline has come; then what the
    /// last whole round met. One that the deadline cuts says nothing of those that were not asked yet, or had no time.
    pub(crate) async fn until_ready(
        &self,
        probes: &[Probe],
        challenges: &[Challenge],
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<(), Vec<Miss>> {
        let asked = probes.iter().flat_map(|probe| {
            let of_host = challenges.iter().filter(|challenge| challenge.host == probe.host);
            of_host.flat_map(move |challenge| {
                probe.addresses.iter().map(move |address| Open {
                    probe,
                    address: *address,
                    challenge,
                    met: What::TimedOut,
                })
            })
        });
        let mut open: Vec<_> = asked.collect();
        let mut wait = FIRST_WAIT;
        loop {
            let asks: Vec<_> = open.iter().map(|one| self.ask(one)).collect();
            let met: Vec<_> = tokio::select! {
                met = stream::iter(asks).buffered(AT_A_TIME).collect() => met,
                () = &mut deadline => return Err(open.iter().map(Open::miss).collect()),
            };
            let missed = open.into_iter().zip(met).filter_map(|(one, met)| Some(Open { met: met?, ..one }));
            open = missed.collect();
            if open.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = &mut deadline => return Err(open.iter().map(Open::miss).collect()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// What it gives instead of the right answer.
    async fn ask(&self, Open { probe, address, challenge, .. }: &Open<'_>) -> Option<What> {
        match self.answer(probe, *address, challenge).await {
            Ok((200, body)) if body.trim_ascii_end() == challenge.key_authorization.as_bytes() => None,
            Ok((200, _)) => Some(What::OtherBody),
            Ok((status, _)) => Some(What::Status(status)),
            Err(error) if error.is_timeout() => Some(What::TimedOut),
            Err(_) => Some(What::NoConnection),
        }
    }

    async fn answer(
        &self,
        probe: &Probe,
        address: SocketAddr,
        challenge: &Challenge,
    ) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let host = bracketed(&probe.host);
        let request = match probe.is_tls {
            false => self.plain.get(format!("http://{address}{}", challenge.path())).header(HOST, host),
            true => {
                let client = builder().resolve(&probe.host, address).build()?;
                client.get(format!("https://{host}:{}{}", address.port(), challenge.path()))
            }
        };
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < MAX_BODY
            && let Some(chunk) = response.chunk().await?
        {
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}

/// One address that does not give the right answer yet.
struct Open<'a> {
    probe: &'a Probe,
    address: SocketAddr,
    challenge: &'a Challenge,
    /// What the last whole round met.
    met: What,
}

impl Open<'_> {
    fn miss(&self) -> Miss {
        let Self { probe, address, met, .. } = self;
        Miss { host: probe.host.clone(), gateway: probe.gateway.to_string(), address: *address, what: *met }
    }
}

/// The CA follows a redirect to HTTPS and does not check the certificate there. Nor are the machine's root certificates read
/// for it, which takes milliseconds.
fn builder() -> reqwest::ClientBuilder {
    let agent = concat!("gatecert/", env!("CARGO_PKG_VERSION"), " (looks before the CA does)");
    let builder = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(REQUEST);
    builder.user_agent(agent).tls_danger_accept_invalid_certs(true)
}

/// A host as a URL and `Host` have it.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::GatewayName;
    use gatecert_render::ObjectName;
    use std::pin::pin;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// The deadline comes while the second round waits for its answer.
    #[tokio::test]
    async fn a_round_that_is_cut_does_not_hide_what_was_met() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            assert!(first.read(&mut [0; 1024]).await.unwrap() > 0, "nothing is asked");
            first.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            let (second, _) = listener.accept().await.unwrap();
            (first, second)
        });
        let host = "www.example.test".to_owned();
        let probe = Probe {
            host: host.clone(),
            gateway: GatewayName::Istio(ObjectName::new("infra", "public")),
            addresses: [address].into(),
            is_tls: false,
        };
        let challenge = Challenge { host, token: "token".into(), key_authorization: "token.thumb".into() };
        let prober = Prober::new().unwrap();
        let deadline = pin!(tokio::time::sleep(REQUEST / 2));
        let misses = prober.until_ready(&[probe], &[challenge], deadline).await.unwrap_err();
        assert!(gateway.is_finished(), "there was no second round");
        assert_eq!(misses[0].what, What::Status(403));
        assert!(misses[0].is_denied());
    }
}
