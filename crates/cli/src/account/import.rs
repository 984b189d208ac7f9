//! `gatecert account import`

use crate::account_store::{self, StoredAccount};
use crate::args::AccountImport;
use crate::authority;
use crate::error::Failure;
use crate::output::Output;
use gatecert_acme::import::{ImportedAccount, discover};
use gatecert_acme::{AccountStatus, Clock, Contact};
use gatecert_publish::FileStore;
use std::sync::Arc;
use url::Url;

pub(crate) async fn run(
    arguments: &AccountImport,
    output: &Output,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let transport = authority::transport(&arguments.account.authority)?;
    let server = &arguments.account.authority.server;
    let found = discover(&arguments.path)
        .map_err(|error| Failure { exit: crate::Exit::Usage, ..Failure::local("import", &error) })?;
    let imported = choose(found, server)?;
    let store = FileStore::open(&arguments.account.out.out)?;
    if account_store::load(&store, server)?.is_some() && !arguments.force {
        return Err(Failure::usage(format!("there is an account for {server} already"))
            .hint("--force puts the imported one in its place; the old one is kept as account.json.bak"));
    }
    let client = authority::client(&arguments.account.authority, transport, clock).await?;
    // The CA itself says which account the key has, whatever the other client wrote down.
    let account = client.find_account(imported.key.clone()).await?;
    let details = account.details().await?;
    if details.status != AccountStatus::Valid {
        return Err(Failure::usage(format!(
            "{} is {}: it can not be used any more",
            account.url(),
            details.status
        )));
    }
    let contacts = details.contacts.iter().filter_map(|contact| Contact::email(contact).ok()).collect();
    account_store::save(
        &store,
        &StoredAccount { credentials: account.credentials(), contacts, next_key: None },
    )?;
    output
        .result(&super::value(&account), || format!("took over {} from {}\n", account.url(), imported.origin))
}

/// The one account of the store that is for this CA, or may be.
fn choose(found: Vec<ImportedAccount>, server: &Url) -> Result<ImportedAccount, Failure> {
    let total = found.len();
    let others: Vec<String> =
        found.iter().filter_map(|account| Some(account.directory.as_ref()?.to_string())).collect();
    let mut fitting: Vec<ImportedAccount> = found
        .into_iter()
        .filter(|account| account.directory.as_ref().is_none_or(|directory| directory == server))
        .collect();
    match (fitting.pop(), fitting.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Failure::usage(format!("none of {total} accounts is for {server}"))
            .hint(format!("--server takes one of {}", others.join(", ")))),
        (Some(last), _) => {
            fitting.push(last);
            let origins: Vec<&str> = fitting.iter().map(|account| account.origin.as_str()).collect();
            Err(Failure::usage(format!("{} accounts are for {server}", origins.len()))
                .hint(format!("give the path of one: {}", origins.join(", "))))
        }
    }
}
