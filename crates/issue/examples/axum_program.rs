//! A program with an axum router that gets its own certificate, and goes on serving meanwhile:
//! `cargo run -p gatecert-issue --example axum_program -- DIRECTORY_URL CA_FILE|- LISTEN FOLDER NAME…`
//!
//! With Let's Encrypt's staging directory, on a machine that `www.example.com` points to:
//! `axum_program https://acme-staging-v02.api.letsencrypt.org/directory - 0.0.0.0:80 . www.example.com`.
//! The certificate is written to `tls.crt` and `tls.key` in the folder.
#![allow(clippy::print_stderr)]

use axum::Router;
use axum::routing::get;
use gatecert_acme::{
    Account, AccountKey, Client, Clock, HttpTransport, Identifier, KeyAlgorithm, NewAccount, Retry,
    SystemClock,
};
use gatecert_http01::{CHALLENGE_PATH, Responder, TokenStore};
use gatecert_issue::{
    Bundle, Failures, Journal, MemoryJournal, Observed, Plan, Presentation, Request, Solver, SolverError,
    Stored, obtain, plan,
};
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, ca_file, listen, folder, names @ ..] = arguments.as_slice() else {
        return Err("usage: axum_program DIRECTORY_URL CA_FILE|- LISTEN FOLDER NAME…".into());
    };
    let names: Vec<Identifier> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;

    let tokens = TokenStore::new();
    // `route_service` leaves the path as it is; `nest_service` would cut it.
    let app = Router::new()
        .route("/", get(|| async { "a page of the program\n" }))
        .route_service(&format!("{CHALLENGE_PATH}{{token}}"), Responder::new(tokens.clone()));
    let listener = tokio::net::TcpListener::bind(listen).await?;

    let keeper = Keeper {
        account: account(directory, ca_file).await?,
        request: Request::new(names),
        solver: Mounted(tokens),
        journal: MemoryJournal::default(),
        folder: folder.into(),
    };
    tokio::spawn(async move { keeper.keep().await });
    axum::serve(listener, app).await?;
    Ok(())
}

/// Proves names by the responder that is mounted in the router.
struct Mounted(TokenStore);

#[async_trait::async_trait]
impl Solver for Mounted {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        for Presentation { identifier, token, key_authorization } in presentations {
            self.0.insert(&identifier.value(), token, key_authorization).map_err(|error| {
                SolverError::of(identifier.clone(), "the responder does not take it").with_source(error)
            })?;
        }
        Ok(())
    }

    async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
        // What was inserted is answered at once, since this process is the only one that is asked.
        Ok(())
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        for Presentation { identifier, token, .. } in presentations {
            self.0.remove(&identifier.value(), token);
        }
        Ok(())
    }
}

async fn account(directory: &str, ca_file: &str) -> Result<Account, Box<dyn Error>> {
    let mut transport = HttpTransport::builder().user_agent_suffix("gatecert-issue-example/1");
    if ca_file != "-" {
        transport = transport.root_certificates_pem(&fs::read_to_string(ca_file)?);
    }
    let client = Client::builder(directory.parse()?).transport(Arc::new(transport.build()?)).build().await?;
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    Ok(client.create_account(&new_account, AccountKey::generate(KeyAlgorithm::Es256)?).await?)
}

/// Keeps one certificate: issues when it is time, for ever.
struct Keeper {
    account: Account,
    request: Request,
    solver: Mounted,
    journal: MemoryJournal,
    folder: PathBuf,
}

impl Keeper {
    async fn keep(&self) {
        let wanted = self.request.wanted(self.account.client().directory_url());
        let (mut bundle, mut failures): (Option<Bundle>, Option<Failures>) = (None, None);
        loop {
            let now = SystemClock.now();
            let planned = plan(&Observed {
                certificate: bundle.as_ref().map_or(Stored::Missing, |it| Stored::Certificate(&it.facts)),
                origin: bundle.as_ref().map(|bundle| &bundle.origin),
                wanted: &wanted,
                ari: None,
                failures: failures.as_ref(),
                pending_order: None,
                forced: false,
                now,
                jitter: bundle.as_ref().map_or(0.0, |bundle| bundle.facts.jitter()),
                renew_before: None,
            });
            if let Plan::UpToDate { look_again_at: until } | Plan::Wait { until, .. } = planned {
                let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                SystemClock.sleep(wait).await;
                continue;
            }
            match self.issue().await {
                Ok(issued) => (bundle, failures) = (Some(issued), None),
                Err(retry) => {
                    failures = Some(Failures::add(failures.as_ref(), &wanted, retry, SystemClock.now()));
                }
            }
        }
    }

    async fn issue(&self) -> Result<Bundle, Retry> {
        let issued = obtain(&self.account, &self.request, &self.solver, &self.journal, &()).await;
        let bundle = issued.map_err(|error| {
            eprintln!("{error}\n{}", error.hint().unwrap_or_default());
            error.retry()
        })?;
        save(&bundle, &self.folder).map_err(|error| {
            eprintln!("the certificate can not be written: {error}");
            Retry::After(Duration::from_secs(60))
        })?;
        // Not before it is where it belongs: until here, another call goes on with the same order.
        let _ = self.journal.clear().await;
        Ok(bundle)
    }
}

fn save(bundle: &Bundle, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut options = OpenOptions::new();
    let mut key = options.write(true).create(true).truncate(true).mode(0o600).open(folder.join("tls.key"))?;
    key.write_all(bundle.key_pem.as_bytes())?;
    fs::write(folder.join("tls.crt"), &bundle.chain_pem)?;
    eprintln!("issued, valid until {}", bundle.facts.not_after);
    Ok(())
}
