//! `gatecert renew`

use crate::Exit;
use crate::args::{Authority, Renew};
use crate::authority;
use crate::error::Failure;
use crate::issuance::{self, Present, perform};
use crate::issue::day;
use crate::output::Output;
use crate::request::Order;
use crate::stop;
use gatecert_acme::{Client, Clock, Retry};
use gatecert_issue::Plan;
use gatecert_publish::{CertificateName, FileStore, Record, StoreReader};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// What became of one certificate.
struct Outcome {
    name: CertificateName,
    status: &'static str,
    text: String,
}

pub(crate) async fn run(arguments: &Renew, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let outcomes = if arguments.dry_run {
        let store = FileStore::open_read_only(&arguments.out.out)?;
        let names = crate::show::chosen(&store, &arguments.names)?;
        names.into_iter().map(|name| foresee(&store, name, &*clock)).collect()
    } else {
        // Reading first: a mistyped directory is not made.
        FileStore::open_read_only(&arguments.out.out)?;
        let store = FileStore::open(&arguments.out.out)?;
        let names = crate::show::chosen(&store, &arguments.names)?;
        let renewal = Renewal { store: &store, output, clock, clients: HashMap::new() };
        stop::or_stopped(renewal.all(names)).await?
    };
    report(output, &outcomes);
    Ok(exit(&outcomes))
}

fn report(output: &Output, outcomes: &[Outcome]) {
    let values: Vec<Value> = outcomes
        .iter()
        .map(|outcome| json!({"name": outcome.name, "status": outcome.status, "detail": outcome.text}))
        .collect();
    output.result(&json!({ "certificates": values }), || match outcomes {
        [] => "there are no certificates yet (`gatecert issue` gets one)\n".into(),
        outcomes => outcomes.iter().map(|outcome| format!("{}: {}\n", outcome.name, outcome.text)).collect(),
    });
}

fn exit(outcomes: &[Outcome]) -> Exit {
    let failed = outcomes.iter().filter(|outcome| outcome.status == "failed").count();
    match failed {
        0 => Exit::Done,
        _ if failed == outcomes.len() => Exit::Failed,
        _ => Exit::Partly,
    }
}

/// What would be done, without asking anybody.
fn foresee(store: &StoreReader, name: CertificateName, clock: &dyn Clock) -> Outcome {
    let planned = order_of(store, &name).map(|(order, record)| {
        let failures = issuance::failures_of(&record, &order);
        Present::look(store, &order).plan(&order, false, failures.as_ref(), clock.now())
    });
    match planned {
        Ok(Plan::Issue { reason, .. }) => {
            Outcome { name, status: "due", text: format!("would be renewed: {reason}") }
        }
        Ok(plan) => waiting(name, &plan),
        Err(failure) => Outcome { name, status: "failed", text: failure.message },
    }
}

fn waiting(name: CertificateName, plan: &Plan) -> Outcome {
    let (status, text) = match plan {
        Plan::Wait { until, why, .. } => {
            ("waiting", format!("{why}: to be tried again after {}", day(*until)))
        }
        Plan::UpToDate { look_again_at } => {
            ("up-to-date", format!("up to date, look again by {}", day(*look_again_at)))
        }
        Plan::Issue { .. } => ("due", String::new()),
    };
    Outcome { name, status, text }
}

fn order_of(store: &StoreReader, name: &CertificateName) -> Result<(Order, Record), Failure> {
    let record =
        store.record(name)?.ok_or_else(|| Failure::usage(format!("there is no certificate `{name}`")))?;
    Ok((Order::from_record(&record)?, record))
}

struct Renewal<'a> {
    store: &'a FileStore,
    output: &'a Output,
    clock: Arc<dyn Clock>,
    /// One for each CA: the directory is fetched once.
    clients: HashMap<(Url, Option<PathBuf>), Client>,
}

impl Renewal<'_> {
    async fn all(mut self, names: Vec<CertificateName>) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = Vec::new();
        for name in names {
            outcomes.push(match self.one(&name).await {
                Ok(outcome) => outcome,
                Err(failure) => {
                    self.output.failure_of(name.as_str(), &failure);
                    Outcome { name, status: "failed", text: format!("failed: {}", failure.message) }
                }
            });
        }
        Ok(outcomes)
    }

    async fn one(&mut self, name: &CertificateName) -> Result<Outcome, Failure> {
        let (order, mut record) = order_of(self.store, name)?;
        let mut present = Present::look(self.store, &order);
        if record.revoked_at.is_some() {
            let text = "revoked: `gatecert issue` replaces it".into();
            return Ok(Outcome { name: name.clone(), status: "revoked", text });
        }
        let now = self.clock.now();
        if issuance::is_to_be_asked(&present, now) && self.ask(&order, &mut record).await {
            self.store.update_record(&record)?;
            present = Present::look(self.store, &order);
        }
        let failures = issuance::failures_of(&record, &order);
        match present.plan(&order, false, failures.as_ref(), now) {
            Plan::Issue { reason, .. } => {
                self.output.note(&format!("{name}: {reason}"));
                let renewed = self.renew(&order, &present, record).await?;
                let text = format!("renewed, valid until {}", day(renewed.not_after));
                Ok(Outcome { name: name.clone(), status: "renewed", text })
            }
            plan => Ok(waiting(name.clone(), &plan)),
        }
    }

    async fn renew(&self, order: &Order, present: &Present, mut record: Record) -> Result<Record, Failure> {
        let renewed = perform(order, present, self.store, self.output, &self.clock).await;
        if let Err(failure) = &renewed {
            // The old certificate stays in place; the record remembers when the next attempt may be.
            issuance::note_failure(&mut record, order, failure.retry.unwrap_or(Retry::No), self.clock.now());
            self.store.update_record(&record)?;
        }
        renewed
    }

    /// Asks the CA for its window; where it does not answer, the plan goes by what is known.
    async fn ask(&mut self, order: &Order, record: &mut Record) -> bool {
        match self.client(&order.authority).await {
            Ok(client) => issuance::ask(&client, record, self.clock.now()).await,
            Err(failure) => {
                self.output.warning(&format!("{}: no renewal information: {}", order.name, failure.message));
                false
            }
        }
    }

    async fn client(&mut self, authority: &Authority) -> Result<Client, Failure> {
        let key = (authority.server.clone(), authority.ca_file.clone());
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        let client =
            authority::client(authority, authority::transport(authority)?, self.clock.clone()).await?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}
