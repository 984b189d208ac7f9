//! The accounts that `DIR/accounts/` keeps, one for each CA.

use crate::error::Failure;
use gatecert_acme::{
    Account, AccountCredentials, AccountKey, Client, Contact, ExternalAccount, KeyAlgorithm, NewAccount,
};
use gatecert_publish::{AccountSlug, FileStore, StoreReader};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

/// `account.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredAccount {
    #[serde(flatten)]
    pub(crate) credentials: AccountCredentials,
    /// The contacts that the CA was told last.
    #[serde(default)]
    pub(crate) contacts: Vec<Contact>,
    /// A key that a rollover was begun with: the CA may or may not have taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_key: Option<Zeroizing<String>>,
}

/// The account that is kept for a CA, without asking it.
pub(crate) fn load(store: &StoreReader, server: &Url) -> Result<Option<StoredAccount>, Failure> {
    let Some(bytes) = store.load_account(&slug(server)?)? else { return Ok(None) };
    let account: StoredAccount =
        serde_json::from_slice(&bytes).map_err(|error| damaged(store, server, &error))?;
    if account.credentials.directory != *server {
        return Err(Failure::usage(format!(
            "the account in the same place is of {}",
            account.credentials.directory
        )));
    }
    Ok(Some(account))
}

/// The error's own text could quote a key.
fn damaged(store: &StoreReader, server: &Url, error: &serde_json::Error) -> Failure {
    let place = store.directory().join("accounts");
    Failure {
        exit: crate::Exit::Failed,
        kind: "store",
        message: format!(
            "account.json of {server} below `{}` is damaged (line {}, column {})",
            place.display(),
            error.line(),
            error.column()
        ),
        hint: Some(
            "restore it from account.json.bak beside it, or move it away to make a new account".into(),
        ),
        names: Vec::new(),
        retry: None,
    }
}

pub(crate) fn save(store: &FileStore, account: &StoredAccount) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(account).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| Failure::local("store", &error))?;
    Ok(store.save_account(&slug(&account.credentials.directory)?, &bytes)?)
}

pub(crate) fn remove(store: &FileStore, server: &Url) -> Result<(), Failure> {
    store.remove_account(&slug(server)?)?;
    Ok(())
}

fn slug(server: &Url) -> Result<AccountSlug, Failure> {
    AccountSlug::for_server(server).map_err(|error| Failure::local("store", &error))
}

/// What an account is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Enrolment {
    pub(crate) contacts: Vec<Contact>,
    pub(crate) external_account: Option<ExternalAccount>,
    /// Whether an account that exists keeps the contacts that it has: a renewal must not undo what
    /// `gatecert account update` did.
    pub(crate) is_for_new_only: bool,
}

/// The account to use: the one that is kept, or a new one. Contacts that changed are told to the CA.
///
/// `note` is told of what was done.
pub(crate) async fn ensure(
    store: &FileStore,
    client: &Client,
    enrolment: &Enrolment,
    note: impl Fn(&str),
) -> Result<Account, Failure> {
    let Some(stored) = load(store, client.directory_url())? else {
        return create(store, client, enrolment, note).await;
    };
    let (account, mut stored) = open(store, client, stored).await?;
    let contacts = &enrolment.contacts;
    if !enrolment.is_for_new_only && !contacts.is_empty() && *contacts != stored.contacts {
        account.update_contacts(contacts).await?;
        stored.contacts = contacts.clone();
        save(store, &stored)?;
        note("told the CA the new e-mail addresses");
    }
    Ok(account)
}

async fn create(
    store: &FileStore,
    client: &Client,
    enrolment: &Enrolment,
    note: impl Fn(&str),
) -> Result<Account, Failure> {
    let Enrolment { contacts, external_account, .. } = enrolment.clone();
    // Kept before the CA hears of it, so that a run which is cut off finds the account again by its key.
    let begun = slug_of_begun(client.directory_url())?;
    let key = begun_key(store, &begun)?;
    let new_account =
        NewAccount { contacts: contacts.clone(), terms_of_service_agreed: true, external_account };
    let account = client.create_account(&new_account, key).await?;
    save(store, &StoredAccount { credentials: account.credentials(), contacts, next_key: None })?;
    store.remove_account(&begun)?;
    match &client.directory().meta.terms_of_service {
        Some(terms) => note(&format!("created account {}, agreeing to {terms}", account.url())),
        None => note(&format!("created account {}", account.url())),
    }
    Ok(account)
}

/// The key that an earlier run began an account with, or a new one that is kept now.
fn begun_key(store: &FileStore, begun: &AccountSlug) -> Result<AccountKey, Failure> {
    let kept = store.load_account(begun)?;
    let kept = kept.as_deref().and_then(|pem| AccountKey::from_pem(std::str::from_utf8(pem).ok()?).ok());
    if let Some(key) = kept {
        return Ok(key);
    }
    let key = AccountKey::generate(KeyAlgorithm::Es256).map_err(|error| Failure::local("account", &error))?;
    store.save_account(begun, key.to_pkcs8_pem().as_bytes())?;
    Ok(key)
}

fn slug_of_begun(server: &Url) -> Result<AccountSlug, Failure> {
    let begun = format!("{}.begun", slug(server)?);
    begun.parse().map_err(|error: gatecert_publish::NameError| Failure::local("store", &error))
}

/// The account of stored credentials. Where a rollover was cut off, the CA says which key counts.
pub(crate) async fn open(
    store: &FileStore,
    client: &Client,
    mut stored: StoredAccount,
) -> Result<(Account, StoredAccount), Failure> {
    let account = client.account(&stored.credentials)?;
    let Some(next_key) = stored.next_key.take() else { return Ok((account, stored)) };
    let next_key = AccountKey::from_pem(&next_key).map_err(|error| Failure::local("store", &error))?;
    let account = match client.find_account(next_key).await {
        Ok(found) if found.url() == account.url() => found,
        Ok(_) | Err(gatecert_acme::AccountError::DoesNotExist) => account,
        Err(error) => return Err(error.into()),
    };
    stored.credentials = account.credentials();
    save(store, &stored)?;
    Ok((account, stored))
}
