//! `gatecert account`

mod import;

use crate::Exit;
use crate::account_store::{self, StoredAccount};
use crate::args::{Account as Command, AccountArguments, AccountUpdate};
use crate::error::Failure;
use crate::output::Output;
use crate::{authority, stop};
use gatecert_acme::{Account, AccountKey, Clock, Contact, KeyAlgorithm};
use gatecert_publish::FileStore;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

pub(crate) async fn run(command: &Command, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let work = async {
        match command {
            Command::Show(arguments) => show(arguments, output, clock).await,
            Command::Update(arguments) => update(arguments, output, clock).await,
            Command::Rollover(arguments) => roll_over(arguments, output, clock).await,
            Command::Deactivate(arguments) => deactivate(arguments, output, clock).await,
            Command::Import(arguments) => import::run(arguments, output, clock).await,
        }
    };
    stop::or_stopped(work, Some("the CA may have done it: `gatecert account show` says"))
        .await
        .map(|()| Exit::Done)
}

/// The account that is kept for the CA, with the store open for changes.
struct Opened {
    store: FileStore,
    account: Account,
    stored: StoredAccount,
}

async fn open(arguments: &AccountArguments, clock: Arc<dyn Clock>) -> Result<Opened, Failure> {
    let transport = authority::transport(&arguments.authority)?;
    let server = &arguments.authority.server;
    let reader = FileStore::open_read_only(&arguments.out.out)?;
    account_store::load(&reader, server)?.ok_or_else(|| none(server))?;
    let store = FileStore::open(&arguments.out.out)?;
    let stored = account_store::load(&store, server)?.ok_or_else(|| none(server))?;
    let client = authority::client(&arguments.authority, transport, clock).await?;
    let (account, stored) = account_store::open(&store, &client, stored).await?;
    Ok(Opened { store, account, stored })
}

fn none(server: &Url) -> Failure {
    Failure::usage(format!("there is no account for {server} here")).hint(
        "`gatecert issue` makes one, `gatecert account import` takes one over; --out and --server say where",
    )
}

async fn show(arguments: &AccountArguments, output: &Output, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let Opened { account, .. } = open(arguments, clock).await?;
    let details = account.details().await?;
    let contacts: Vec<&str> =
        details.contacts.iter().map(|url| url.strip_prefix("mailto:").unwrap_or(url)).collect();
    let mut value = value(&account);
    value["status"] = json!(details.status);
    value["contacts"] = json!(contacts);
    output.result(&value, || {
        let none = ["none"];
        let contacts = if contacts.is_empty() { &none[..] } else { &contacts };
        format!(
            "account     {}\nserver      {}\nstatus      {}\ncontacts    {}\nkey         {}\nthumbprint  {}\n",
            account.url(),
            account.client().directory_url(),
            details.status,
            contacts.join(", "),
            account.key().algorithm(),
            account.key().thumbprint(),
        )
    })
}

async fn update(arguments: &AccountUpdate, output: &Output, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let Opened { store, account, mut stored } = open(&arguments.account, clock).await?;
    account.update_contacts(&arguments.emails).await?;
    stored.contacts = arguments.emails.clone();
    account_store::save(&store, &stored)?;
    let contacts: Vec<String> = arguments.emails.iter().map(Contact::to_string).collect();
    output.result(&json!({"account": account.url(), "contacts": contacts}), || match contacts.as_slice() {
        [] => format!("{} has no contacts any more\n", account.url()),
        contacts => format!("{} has the contacts {}\n", account.url(), contacts.join(", ")),
    })
}

async fn roll_over(
    arguments: &AccountArguments,
    output: &Output,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let Opened { store, account, mut stored } = open(arguments, clock).await?;
    let key = AccountKey::generate(KeyAlgorithm::Es256).map_err(|error| Failure::local("account", &error))?;
    // Kept before the CA hears of it: whatever happens in between, one of the two keys is the account's.
    stored.next_key = Some(key.to_pkcs8_pem());
    account_store::save(&store, &stored)?;
    let account = account.roll_over(key).await?;
    let contacts = std::mem::take(&mut stored.contacts);
    account_store::save(
        &store,
        &StoredAccount { credentials: account.credentials(), contacts, next_key: None },
    )?;
    output.result(&value(&account), || {
        format!("{} has a new key, thumbprint {}\n", account.url(), account.key().thumbprint())
    })
}

async fn deactivate(
    arguments: &AccountArguments,
    output: &Output,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let Opened { store, account, .. } = open(arguments, clock).await?;
    account.deactivate().await?;
    account_store::remove(&store, account.client().directory_url())?;
    output.result(&json!({"account": account.url(), "status": "deactivated"}), || {
        format!("{} is deactivated for good; its certificates stay valid\n", account.url())
    })
}

/// An account for programs.
fn value(account: &Account) -> Value {
    json!({
        "account": account.url(),
        "server": account.client().directory_url(),
        "algorithm": account.key().algorithm().to_string(),
        "thumbprint": account.key().thumbprint(),
    })
}
