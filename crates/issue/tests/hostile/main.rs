//! What a hostile CA costs: requests, bytes, memory and time are counted, each against a named bound. A test binary of
//! its own, since it counts what is allocated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod cases;
mod clock;
mod server;

use cases::{Case, Waits, cases};
use clock::VirtualClock;
use gatecert_acme::{AccountKey, Client, HttpTransport, Identifier, KeyAlgorithm, NewAccount};
use gatecert_issue::{
    CertificateKey, MemoryJournal, Presentation, Request, Solver, SolverError, facts, obtain,
};
use peak_alloc::PeakAlloc;
use server::Server;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What the kernel takes from a server for a client that has hung up or will not read on: the buffers of both ends.
const KERNEL_BUFFERS: usize = 8 * 1024 * 1024;

/// The memory that an issuance may need at once: sixteen answers of 512 KiB, each in a buffer of twice its size while it
/// grows, and as much again for what is made of them.
const MEMORY: usize = 2 * 2 * 16 * gatecert_acme::MAX_RESPONSE_BYTES;

/// The time that an issuance may take while the CA goes on asking to wait: ten minutes for the proofs, and ten for the
/// certificate, each with one wait more.
const TIME: Duration = Duration::from_secs(2 * 11 * 60);

/// Answers nothing: the CA of these tests does not look.
struct NoSolver;

#[async_trait::async_trait]
impl Solver for NoSolver {
    async fn present(&self, _: &[Presentation]) -> Result<(), SolverError> {
        Ok(())
    }
    async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
        Ok(())
    }
    async fn clean_up(&self, _: &[Presentation]) -> Result<(), SolverError> {
        Ok(())
    }
}

/// From the directory to the certificate.
async fn issue(server: &Server, clock: &Arc<VirtualClock>, names: &[&str]) -> Result<(), Box<dyn Error>> {
    let transport = HttpTransport::builder().build()?;
    let client = Client::builder(server.url("/directory").parse()?).transport(Arc::new(transport));
    let client = client.clock(clock.clone()).build().await?;
    let key = AccountKey::generate(KeyAlgorithm::Es256)?;
    let account = client.create_account(&NewAccount::default(), key).await?;
    let names: Vec<Identifier> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let request = Request::new(names).preferred_chain(Some("none of these".parse()?));
    obtain(&account, &request, &NoSolver, &MemoryJournal::default(), &()).await?;
    Ok(())
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn everything_is_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut beyond = Vec::new();
    for case in cases() {
        // A drip is waited for in time that passes by itself.
        let is_paused = case.waits == Waits::OnTheWire;
        beyond.extend(runtime.block_on(async {
            if is_paused {
                tokio::time::pause();
            }
            let beyond = run(&case).await;
            if is_paused {
                tokio::time::resume();
            }
            beyond
        }));
    }
    beyond.extend(crafted_pem());
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// GHSA-r4pg-vg54-wxx4: text that is crafted to keep a reader of PEM busy, as it may be in a Secret too. What costs
/// more than a few times its size went beyond its bound.
fn crafted_pem() -> Vec<String> {
    let mut beyond = Vec::new();
    for part in [
        "-----BEGIN ",
        "-----BEGIN A-----\n",
        "-----BEGIN A-----\n-----END B-----\n",
        "-----END A-----\n",
        "-----",
    ] {
        let text = |size: usize| part.repeat(size / part.len());
        let (chain, key) = (text(gatecert_acme::MAX_RESPONSE_BYTES), text(16 * 1024));
        ALLOCATED.reset_peak_usage();
        let before = ALLOCATED.current_usage();
        let is_refused = facts(&chain).is_err() && CertificateKey::from_pem(&key).is_err();
        let memory = ALLOCATED.peak_usage() - before;
        if !is_refused || memory > 8 * gatecert_acme::MAX_RESPONSE_BYTES {
            beyond.push(format!("{part:?}: {is_refused}, {memory} bytes"));
        }
    }
    beyond
}

/// What went beyond its bound.
async fn run(case: &Case) -> Vec<String> {
    let (server, clock) = (Server::start(&case.script).await, Arc::new(VirtualClock::new()));
    ALLOCATED.reset_peak_usage();
    #[allow(clippy::disallowed_methods, reason = "the time that tokio pauses is the one that is looked at")]
    let (before, began) = (ALLOCATED.current_usage(), tokio::time::Instant::now());
    let result = issue(&server, &clock, &["www.example.test"]).await;
    let memory = ALLOCATED.peak_usage() - before;
    let waited = match case.waits {
        Waits::OnTheWire => began.elapsed(),
        Waits::BetweenRequests => clock.slept(),
    };
    server.left().await;
    let said = result.err().map(|error| chain(&*error)).unwrap_or_default();
    let (requests, bytes) = (server.requests(), server.bytes_of_largest());
    let name = case.name;
    eprintln!(
        "{name}: {} requests, {bytes} bytes taken, {} KiB, {waited:?}: {}",
        requests.len(),
        memory / 1024,
        said.chars().take(120).collect::<String>()
    );
    let bounds = [
        (said.contains(case.says), "another error"),
        (said.len() <= case.longest_text(), "a long text"),
        (requests.len() <= case.requests, "requests"),
        (bytes <= gatecert_acme::MAX_RESPONSE_BYTES + KERNEL_BUFFERS, "bytes"),
        (memory <= MEMORY, "memory"),
        (waited <= TIME, "time"),
        (requests.iter().all(|request| !request.head.contains("accept-encoding")), "packed answers"),
        (server.strangers() == 0, "a request that went elsewhere"),
    ];
    bounds.iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("{name}: {what}")).collect()
}

/// An error with the causes behind it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
