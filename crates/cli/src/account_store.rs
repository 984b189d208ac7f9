//! The accounts that `DIR/accounts/` keeps, one for each CA.

use crate::error::Failure;
use gatecert_acme::{Account, AccountCredentials, AccountKey, Client, Contact, KeyAlgorithm, NewAccount};
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
    let account: StoredAccount = serde_json::from_slice(&bytes).map_err(|error| {
        // serde's message quotes no value of a string field.
        Failure::local("store", &error).hint(format!(
            "account.json below `{}` is damaged: restore it from account.json.bak, or move it away to make a new account",
            store.directory().join("accounts").display()
        ))
    })?;
    if account.credentials.directory != *server {
        return Err(Failure::usage(format!(
            "the account in the same place is of {}",
            account.credentials.directory
        )));
    }
    Ok(Some(account))
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

/// The account to use: the one that is kept, or a new one. Contacts that changed are told to the CA.
///
/// `note` is told of what was done.
pub(crate) async fn ensure(
    store: &FileStore,
    client: &Client,
    new_account: NewAccount,
    note: impl Fn(&str),
) -> Result<Account, Failure> {
    let Some(stored) = load(store, client.directory_url())? else {
        return create(store, client, new_account, note).await;
    };
    let (account, mut stored) = open(store, client, stored).await?;
    if !new_account.contacts.is_empty() && new_account.contacts != stored.contacts {
        account.update_contacts(&new_account.contacts).await?;
        stored.contacts = new_account.contacts;
        save(store, &stored)?;
        note("told the CA the new e-mail addresses");
    }
    Ok(account)
}

async fn create(
    store: &FileStore,
    client: &Client,
    new_account: NewAccount,
    note: impl Fn(&str),
) -> Result<Account, Failure> {
    let key = AccountKey::generate(KeyAlgorithm::Es256).map_err(|error| Failure::local("account", &error))?;
    let account = client.create_account(&new_account, key).await?;
    let contacts = new_account.contacts;
    save(store, &StoredAccount { credentials: account.credentials(), contacts, next_key: None })?;
    match &client.directory().meta.terms_of_service {
        Some(terms) => note(&format!("created account {}, agreeing to {terms}", account.url())),
        None => note(&format!("created account {}", account.url())),
    }
    Ok(account)
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
