//! All faults together, for as long as one likes: `cargo xtask soak --minutes N`.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{RESPONDER, World, condition};
use crate::interceptor::{Interceptor, Judge, Seen, Verdict};
use crate::manifest::{gateway, http, route};
use crate::relay::Relay;
use crate::replica::{Replica, ReplicaOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatecert_acme::{Clock as _, SystemClock};
use gatecert_api::Certificate;
use gatecert_testkit::cluster::{API_SERVER, delete};
use http::{HeaderValue, Method, Response, StatusCode, header};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Failure = Box<dyn Error + Send + Sync>;

/// How long it goes on, and what chooses.
const MINUTES: &str = "GATECERT_SOAK_MINUTES";
const SEED: &str = "GATECERT_SOAK_SEED";

const SOAK: Alone = Alone("soak");

const ONLY: &[&str] = &["--only-namespace", "soak"];

/// Where the two replicas, and what is before the API server and the CA, are.
const REPLICAS: [Ipv4Addr; 2] = [RESPONDER, Ipv4Addr::new(10, 99, 0, 41)];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 42);
const CA: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 43);

/// Where each replica's relay to what is before the API server is.
const RELAYS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 99, 0, 44), Ipv4Addr::new(10, 99, 0, 45)];

/// The most Certificates there are at once.
const MOST: usize = 12;

/// The most points of a change that a replica passes before it is killed.
const POINTS: usize = 80;

/// How long a Certificate may take to be in order, once nothing is done to it any more, before it is asked for once more,
/// as a person would who does not wait until the next attempt; and how often that is.
const CALM: Duration = Duration::from_secs(20);
const NUDGES: usize = 4;

/// How long istiod may take to come back to an API server that was away.
const RETURN: Duration = Duration::from_secs(180);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    minutes: u64,
    seed: u64,
}

impl Options {
    /// The options, if a soak is asked for.
    pub(crate) fn from_environment() -> Result<Option<Self>, Failure> {
        let Ok(minutes) = env::var(MINUTES) else { return Ok(None) };
        let seed = match env::var(SEED) {
            Ok(seed) => seed.parse()?,
            Err(_) => rand::random(),
        };
        Ok(Some(Self { minutes: minutes.parse()?, seed }))
    }
}

/// Does things to a share of the requests.
struct Faulty {
    is_ca: bool,
    random: Mutex<StdRng>,
    percent: AtomicU32,
    requests: AtomicUsize,
    faults: AtomicUsize,
}

impl Faulty {
    fn new(is_ca: bool, seed: u64) -> Arc<Self> {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let (requests, faults) = Default::default();
        Arc::new(Self { is_ca, random, percent: AtomicU32::default(), requests, faults })
    }
}

impl Judge for Faulty {
    fn judge(&self, seen: &Seen<'_>) -> Verdict {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        if !random.gen_ratio(self.percent.load(Ordering::Relaxed), 100) {
            return Verdict::Pass;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        let is_watch = seen.uri.query().is_some_and(|query| query.contains("watch=true"));
        let is_write = *seen.method != Method::GET;
        match random.gen_range(0..8) {
            0 => Verdict::Lose,
            1 if !is_watch => Verdict::LoseAnswer,
            2 => Verdict::Delay(Duration::from_millis(random.gen_range(50..500))),
            3 => refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", Some("1"), self.is_ca),
            4 => refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", None, self.is_ca),
            5 if self.is_ca => Verdict::Halve,
            5 if is_write => refusal(StatusCode::CONFLICT, "Conflict", None, false),
            6 if self.is_ca => Verdict::Repeat,
            6 if is_watch => refusal(StatusCode::GONE, "Expired", None, false),
            _ if is_watch => Verdict::Cut(Duration::from_millis(random.gen_range(10..3000))),
            _ => refusal(StatusCode::BAD_GATEWAY, "InternalError", None, self.is_ca),
        }
    }
}

/// As a server in between refuses, which speaks no ACME; or as the API server does.
fn refusal(code: StatusCode, reason: &str, retry_after: Option<&'static str>, is_ca: bool) -> Verdict {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(), "reason": reason,
                        "message": "as the soak has it"});
    let (body, content_type) = match is_ca {
        true => (format!("<html>{code}</html>"), "text/html"),
        false => (status.to_string(), "application/json"),
    };
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(retry_after) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(retry_after));
    }
    Verdict::Answer(answer)
}

/// What one does to Certificates.
#[derive(Clone, Copy, Debug)]
enum Action {
    Create,
    Renew,
    AddName,
    DeleteSecret,
    Delete,
}

/// What happens to a replica, or to the API server of both.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    Kill,
    KillAtPoint(usize),
    Freeze(Duration),
    /// It is cut off from the API server.
    Cut(Duration),
    /// The API server ends, and is started again so much later.
    Restart(Duration),
}

/// The soak, as it stands.
struct Soak<'a> {
    world: &'a World,
    random: StdRng,
    server: Arc<Faulty>,
    ca: Arc<Faulty>,
    before_server: Interceptor,
    _before_ca: Interceptor,
    relays: Vec<Relay>,
    replicas: Vec<Option<Replica>>,
    /// The names of each Certificate.
    wanted: BTreeMap<String, Vec<String>>,
    created: usize,
    /// How many certificates may have been issued at most.
    allowed: usize,
    issued_before: usize,
    log: tempfile::TempDir,
}

/// Goes on until the time is over; then everything has to be in order.
pub(crate) async fn run(world: &World, options: Options) -> Outcome {
    let Options { minutes, seed } = options;
    eprintln!("{minutes} min with the seed {seed}");
    let start = SystemClock.monotonic();
    let mut soak = Soak::start(world, seed).await?;
    let mut rounds = 0;
    while SystemClock.monotonic() - start < Duration::from_secs(60 * minutes) {
        rounds += 1;
        soak.round(rounds).await.map_err(|error| format!("seed {seed}, round {rounds}: {error}"))?;
    }
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    eprintln!(
        "{rounds} rounds, {} certificates issued of {} that may have been; {} faults in {} requests to the API server, {} \
         in {} to the CA",
        soak.issued(),
        soak.allowed,
        count(&soak.server.faults),
        count(&soak.server.requests),
        count(&soak.ca.faults),
        count(&soak.ca.requests)
    );
    Ok(())
}

impl<'a> Soak<'a> {
    async fn start(world: &'a World, seed: u64) -> Result<Self, Failure> {
        SOAK.install(world).await?;
        for address in [SERVER, CA] {
            world.cluster.network.add_address(address)?;
        }
        let (server, ca) = (Faulty::new(false, seed), Faulty::new(true, seed.rotate_left(1)));
        let api_server = format!("https://{API_SERVER}:6443").parse()?;
        let before_server = Interceptor::start(SERVER, api_server, server.clone()).await?;
        let mut relays = Vec::new();
        for address in RELAYS {
            let relay = Relay::before(&world.cluster.network, address, before_server.address);
            relays.push(relay.await?);
        }
        let pebble = world.cluster.pebble.directory_url();
        let before_ca = Interceptor::start(CA, pebble.clone(), ca.clone()).await?;
        let mut directory = pebble.clone();
        directory.set_ip_host(CA.into()).map_err(|()| "no host")?;
        directory.set_port(Some(before_ca.address.port())).map_err(|()| "no port")?;
        let issuers: Api<gatecert_api::Issuer> = Api::namespaced(world.cluster.client.clone(), SOAK.0);
        let bundle = STANDARD.encode(&before_ca.root_pem);
        let unlimited = json!({"duplicateCertificates": {"count": 0, "period": "1h"}});
        let patch =
            json!({"spec": {"acme": {"server": directory, "caBundle": bundle, "rateLimits": unlimited}}});
        issuers.patch("local", &PatchParams::default(), &Patch::Merge(patch)).await?;
        let mut soak = Self {
            world,
            random: StdRng::seed_from_u64(seed),
            server,
            ca,
            before_server,
            _before_ca: before_ca,
            relays,
            replicas: vec![None, None],
            wanted: BTreeMap::new(),
            created: 0,
            allowed: 0,
            issued_before: issued(world),
            log: tempfile::TempDir::with_prefix("gatecert-soak-")?,
        };
        for index in 0..REPLICAS.len() {
            soak.start_replica(index, None).await?;
        }
        Ok(soak)
    }

    fn issued(&self) -> usize {
        issued(self.world) - self.issued_before
    }

    async fn start_replica(&mut self, index: usize, end_at: Option<usize>) -> Outcome {
        self.replicas[index] = None;
        let log = self.log.path().join(format!("points-{index}"));
        std::fs::write(&log, "")?;
        let mut variables = vec![(gatecert_fault::LOG, log.display().to_string())];
        variables.extend(end_at.map(|point| (gatecert_fault::END_AT, point.to_string())));
        let options = ReplicaOptions {
            identity: ["soak-a", "soak-b"][index],
            variables: &variables,
            relay: Some(self.relays[index].address),
            interceptor: Some(&self.before_server),
            ..SOAK.replica(REPLICAS[index], ONLY)
        };
        self.replicas[index] = Some(self.world.replica(&options).await?);
        Ok(())
    }

    /// Things are wanted and go wrong; then it is calm, and everything has to be as wanted.
    async fn round(&mut self, number: usize) -> Outcome {
        let harm = self.harm();
        let index = self.random.gen_range(0..REPLICAS.len());
        if let Harm::KillAtPoint(point) = harm {
            self.start_replica(index, Some(point)).await?;
        }
        let (api_percent, ca_percent) = (self.random.gen_range(0..=25), self.random.gen_range(0..=30));
        self.server.percent.store(api_percent, Ordering::Relaxed);
        self.ca.percent.store(ca_percent, Ordering::Relaxed);
        let actions: Vec<_> = (0..self.random.gen_range(1..=5)).map(|_| self.action()).collect();
        for action in &actions {
            self.act(*action).await?;
        }
        let pause = Duration::from_millis(self.random.gen_range(0..4000));
        tokio::time::sleep(pause).await;
        self.inflict(harm, index).await?;
        tokio::time::sleep(pause).await;
        for faulty in [&self.server, &self.ca] {
            faulty.percent.store(0, Ordering::Relaxed);
        }
        match harm {
            Harm::Kill | Harm::KillAtPoint(_) => self.start_replica(index, None).await?,
            Harm::Restart(_) => self.istiod_is_back(number).await?,
            Harm::None | Harm::Freeze(_) | Harm::Cut(_) => {}
        }
        self.calm().await?;
        eprintln!(
            "round {number}: {actions:?}, {harm:?} of replica {index}, faults {api_percent} % and {ca_percent} %: in order; \
             {} issued of {} at most",
            self.issued(),
            self.allowed
        );
        Ok(())
    }

    /// Does harm to a replica or to the API server, and waits until it is over.
    async fn inflict(&self, harm: Harm, index: usize) -> Outcome {
        let (replica, relay) = (&self.replicas[index], &self.relays[index]);
        let server = &self.world.cluster.server;
        match (harm, replica) {
            (Harm::Kill, Some(replica)) => replica.process.signal("KILL")?,
            (Harm::Freeze(time), Some(replica)) => {
                replica.process.signal("STOP")?;
                tokio::time::sleep(time).await;
                replica.process.signal("CONT")?;
            }
            (Harm::Cut(time), _) => {
                relay.cut();
                tokio::time::sleep(time).await;
                relay.mend();
            }
            (Harm::Restart(time), _) => {
                server.pause();
                tokio::time::sleep(time).await;
                server.resume().await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits until a route reaches the gateway again: istiod comes back to an API server on its own time, and until
    /// then nothing can be proved.
    async fn istiod_is_back(&self, number: usize) -> Outcome {
        let (name, host) = (format!("soak-back-{number}"), format!("www.soak-back-{number}.test"));
        let objects = [
            gateway("istio-system", &name, &[http(&name, &[&host], "")]),
            route("app", &name, &format!("istio-system/{name}"), &[&host]),
        ];
        let objects = objects.concat();
        self.world.apply(&objects).await?;
        self.world.answers_within(RETURN, &host, "/", 200).await?;
        delete(&self.world.cluster.client, &objects).await?;
        Ok(())
    }

    fn harm(&mut self) -> Harm {
        // Longer than a Lease holds, or shorter.
        let time = Duration::from_secs(self.random.gen_range(1..22));
        match self.random.gen_range(0..10) {
            0 | 1 => Harm::None,
            2 => Harm::Kill,
            3 => Harm::Freeze(time),
            4 => Harm::Cut(time),
            5 => Harm::Restart(time),
            _ => Harm::KillAtPoint(self.random.gen_range(1..POINTS)),
        }
    }

    fn action(&mut self) -> Action {
        let is_full = self.wanted.len() >= MOST;
        match self.random.gen_range(0..10) {
            0..4 if !is_full => Action::Create,
            4 | 5 => Action::Renew,
            6 | 7 => Action::AddName,
            8 => Action::DeleteSecret,
            _ => Action::Delete,
        }
    }

    async fn act(&mut self, action: Action) -> Outcome {
        let (certificates, client) = (self.world.certificates(SOAK.0), self.world.cluster.client.clone());
        let names: Vec<_> = self.wanted.keys().cloned().collect();
        let chosen = names.choose(&mut self.random).cloned();
        let (name, action) = match (chosen, action) {
            (Some(name), action) if !matches!(action, Action::Create) => (name, action),
            _ => (format!("soak-{}", self.created), Action::Create),
        };
        self.allowed += 1;
        match action {
            Action::Create => {
                self.created += 1;
                let host = format!("www.{name}.test");
                let hosts = [host.as_str(), &format!("*.{name}.test")];
                let gateway = gateway(SOAK.0, &name, &[http(&name, &hosts, "")]);
                self.world.apply(&[gateway, Alone::certificate(SOAK.0, &name, &host)].concat()).await?;
                self.wanted.insert(name, vec![host]);
            }
            Action::Renew => ask_again(&certificates, &name).await?,
            Action::AddName => {
                let hosts = self.wanted.entry(name.clone()).or_default();
                hosts.push(format!("h{}.{name}.test", hosts.len()));
                let patch = Patch::Merge(json!({"spec": {"dnsNames": hosts}}));
                certificates.patch(&name, &PatchParams::default(), &patch).await?;
            }
            Action::DeleteSecret => {
                let secrets: Api<Secret> = Api::namespaced(client, SOAK.0);
                match secrets.delete(&name, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    deleted => drop(deleted?),
                }
            }
            Action::Delete => {
                let uid = certificates.get(&name).await?.uid().unwrap_or_default();
                certificates.delete(&name, &DeleteParams::default()).await?;
                self.wanted.remove(&name);
                // No controller manager collects what it owned.
                let owned =
                    kube::api::ListParams::default().labels(&format!("gatecert.dev/certificate-uid={uid}"));
                let secrets: Api<Secret> = Api::namespaced(client, SOAK.0);
                secrets.delete_collection(&DeleteParams::default(), &owned).await?;
            }
        }
        Ok(())
    }

    /// Waits until everything is as wanted. Who has failed meanwhile is asked for again.
    async fn calm(&mut self) -> Outcome {
        for (name, hosts) in &self.wanted {
            let mut left = NUDGES;
            let done = loop {
                let is_done = |certificate: &Certificate| is_done(certificate, hosts.len());
                match self.world.until_for(SOAK.0, name, CALM, is_done).await {
                    Ok(done) => break done,
                    Err(error) if left == 0 => return Err(format!("{error}: {}", self.logs()).into()),
                    Err(_) => {
                        left -= 1;
                        self.allowed += 1;
                        ask_again(&self.world.certificates(SOAK.0), name).await?;
                    }
                }
            };
            self.world.nothing_left_of(&done.uid().unwrap_or_default()).await?;
        }
        match self.issued() <= self.allowed {
            true => Ok(()),
            false => Err(format!(
                "{} were issued, {} at most are right: {}",
                self.issued(),
                self.allowed,
                self.logs()
            )
            .into()),
        }
    }

    fn logs(&self) -> String {
        self.replicas
            .iter()
            .flatten()
            .map(|replica| replica.process.log())
            .collect::<Vec<_>>()
            .join("\n---\n")
    }
}

async fn ask_again(certificates: &Api<Certificate>, name: &str) -> Outcome {
    for value in [json!(null), json!("now")] {
        let renew = Patch::Merge(json!({"metadata": {"annotations": {"gatecert.dev/renew": value}}}));
        certificates.patch(name, &PatchParams::default(), &renew).await?;
    }
    Ok(())
}

fn is_done(certificate: &Certificate, names: usize) -> bool {
    let is_ready = condition(certificate, "Ready").is_some_and(|ready| {
        ready.status == "True" && ready.observed_generation == certificate.metadata.generation
    });
    let is_asked_for = certificate.annotations().contains_key("gatecert.dev/renew");
    let is_under_way = certificate.status.as_ref().is_none_or(|status| status.issuance.is_some());
    is_ready
        && !is_asked_for
        && !is_under_way
        && certificate.spec.dns_names.as_ref().is_some_and(|all| all.len() == names)
}

/// How many certificates the CA has issued.
fn issued(world: &World) -> usize {
    world.cluster.pebble.log().matches("Issued certificate serial").count()
}
