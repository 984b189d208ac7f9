//! Accounts (RFC 8555 §7.3).

use crate::client::Client;
use crate::contact::Contact;
use crate::external_account::ExternalAccount;
use crate::jws::{self, KeyId};
use crate::key::{AccountKey, KeyError};
use crate::problem::ProblemKind;
use crate::reply::Reply;
use crate::request::{Repeat, RequestError};
use crate::retry::Retry;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// What a new account is made with.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Whom the CA may write to.
    pub contacts: Vec<Contact>,
    /// Whether the terms of service ([`Meta::terms_of_service`](crate::Meta)) are agreed to. CAs that have some
    /// refuse an account without.
    pub terms_of_service_agreed: bool,
    /// The binding to an account that the CA knows from elsewhere, where it asks for one.
    pub external_account: Option<ExternalAccount>,
}

/// An account at a CA: who asks for certificates. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    key: AccountKey,
    url: Url,
}

/// What the CA knows of an account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AccountDetails {
    /// The state.
    pub status: AccountStatus,
    /// The contact URLs.
    #[serde(default, rename = "contact")]
    pub contacts: Vec<String>,
    /// Whether the terms of service were agreed to, where the CA says so.
    #[serde(default, rename = "termsOfServiceAgreed")]
    pub terms_of_service_agreed: Option<bool>,
}

/// The state of an account (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AccountStatus {
    /// In use.
    Valid,
    /// Deactivated by its owner, for good.
    Deactivated,
    /// Revoked by the CA, for good.
    Revoked,
    /// A state that this crate does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
            Self::Unknown => "in a state that is not known here",
        })
    }
}

/// All that is needed to use an account again: keep it where only its owner reads it, it holds the private key.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccountCredentials {
    /// The URL of the CA's directory.
    pub directory: Url,
    /// The URL of the account.
    pub account_url: Url,
    /// The private key as PKCS#8 PEM.
    pub private_key: Zeroizing<String>,
}

impl fmt::Debug for AccountCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountCredentials")
            .field("directory", &self.directory.as_str())
            .field("account_url", &self.account_url.as_str())
            .field("private_key", &"[redacted]")
            .finish()
    }
}

/// Why an operation on an account failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The CA wants an external account binding and none was given.
    #[error(
        "the CA asks for an external account binding (a key id and an HMAC key from your account with it)"
    )]
    ExternalAccountRequired,
    /// The account can not be made.
    #[error("the account can not be created")]
    Create(#[source] RequestError),
    /// The CA has no account with this key.
    #[error("the CA has no account with this key")]
    DoesNotExist,
    /// The account can not be looked up.
    #[error("the account can not be found")]
    Find(#[source] RequestError),
    /// The account can not be read.
    #[error("the account can not be read")]
    Fetch(#[source] RequestError),
    /// The contacts can not be changed.
    #[error("the account's contacts can not be updated")]
    Update(#[source] RequestError),
    /// The account can not be deactivated.
    #[error("the account can not be deactivated")]
    Deactivate(#[source] RequestError),
    /// The new key belongs to another account already.
    #[error("the new key is the key of another account at this CA")]
    KeyInUse,
    /// The key can not be changed.
    #[error("the account's key can not be changed")]
    RollOver(#[source] RequestError),
    /// The inner or outer object can not be signed.
    #[error("the account's key can not sign")]
    Key(#[source] KeyError),
    /// The credentials are of another CA than the client.
    #[error("the credentials are for {credentials}, not for {client}")]
    OtherDirectory {
        /// The directory of the credentials.
        credentials: Box<Url>,
        /// The directory of the client.
        client: Box<Url>,
    },
}

impl AccountError {
    /// The failed request, if it was one.
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Create(source)
            | Self::Find(source)
            | Self::Fetch(source)
            | Self::Update(source)
            | Self::Deactivate(source)
            | Self::RollOver(source) => Some(source),
            _ => None,
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.request().map_or(Retry::No, RequestError::retry)
    }
}

impl Client {
    /// Makes an account with this key, or gives the one that the key already has (RFC 8555 §7.3). In the second case
    /// the CA leaves the contacts as they are.
    pub async fn create_account(
        &self,
        new_account: &NewAccount,
        key: AccountKey,
    ) -> Result<Account, AccountError> {
        if self.directory().meta.external_account_required && new_account.external_account.is_none() {
            // The key may have its account already: that needs no second binding.
            return match self.find_account(key).await {
                Err(AccountError::DoesNotExist) => Err(AccountError::ExternalAccountRequired),
                other => other,
            };
        }
        let payload = self.new_account_payload(new_account, &key).map_err(AccountError::Key)?;
        self.new_account(key, &payload).await.map_err(AccountError::Create)
    }

    /// Finds the account of this key (RFC 8555 §7.3.1).
    ///
    /// # Errors
    /// [`AccountError::DoesNotExist`] where the CA has none.
    pub async fn find_account(&self, key: AccountKey) -> Result<Account, AccountError> {
        self.new_account(key, &json!({"onlyReturnExisting": true})).await.map_err(|error| {
            if error.is(&ProblemKind::AccountDoesNotExist) {
                AccountError::DoesNotExist
            } else {
                AccountError::Find(error)
            }
        })
    }

    /// The account of these credentials, without a request.
    ///
    /// # Errors
    /// Credentials of another directory, a key that can not be read.
    pub fn account(&self, credentials: &AccountCredentials) -> Result<Account, AccountError> {
        if credentials.directory != *self.directory_url() {
            return Err(AccountError::OtherDirectory {
                credentials: Box::new(credentials.directory.clone()),
                client: Box::new(self.directory_url().clone()),
            });
        }
        let key = AccountKey::from_pem(&credentials.private_key).map_err(AccountError::Key)?;
        Ok(Account::new(self.clone(), key, credentials.account_url.clone()))
    }

    fn new_account_payload(&self, new_account: &NewAccount, key: &AccountKey) -> Result<Value, KeyError> {
        let mut payload = json!({"termsOfServiceAgreed": new_account.terms_of_service_agreed});
        if !new_account.contacts.is_empty() {
            payload["contact"] = json!(new_account.contacts);
        }
        if let Some(external) = &new_account.external_account {
            payload["externalAccountBinding"] =
                external.binding(key, self.directory().new_account.as_str())?;
        }
        Ok(payload)
    }

    async fn new_account(&self, key: AccountKey, payload: &Value) -> Result<Account, RequestError> {
        let url = &self.directory().new_account;
        let reply = self.post((&key, KeyId::Jwk), url, payload.to_string().as_bytes(), Repeat::Safe).await?;
        let account_url = reply.location();
        let account_url = account_url
            .ok_or_else(|| RequestError::MissingHeader { url: url.clone(), header: "Location" })?;
        Ok(Account::new(self.clone(), key, account_url))
    }
}

impl Account {
    fn new(client: Client, key: AccountKey, url: Url) -> Self {
        Self(Arc::new(Inner { client, key, url }))
    }

    /// The client that the account is used through.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The account's key.
    pub fn key(&self) -> &AccountKey {
        &self.0.key
    }

    /// The account's URL, which is its `kid`.
    pub fn url(&self) -> &Url {
        &self.0.url
    }

    /// What to keep in order to use the account again.
    pub fn credentials(&self) -> AccountCredentials {
        AccountCredentials {
            directory: self.client().directory_url().clone(),
            account_url: self.url().clone(),
            private_key: self.key().to_pkcs8_pem(),
        }
    }

    /// Reads the account.
    pub async fn details(&self) -> Result<AccountDetails, AccountError> {
        let reply = self.post_as_get(self.url()).await.map_err(AccountError::Fetch)?;
        reply.json().map_err(AccountError::Fetch)
    }

    /// Replaces the contacts (RFC 8555 §7.3.2).
    pub async fn update_contacts(&self, contacts: &[Contact]) -> Result<AccountDetails, AccountError> {
        let payload = json!({ "contact": contacts }).to_string();
        let reply =
            self.post(self.url(), payload.as_bytes(), Repeat::Safe).await.map_err(AccountError::Update)?;
        reply.json().map_err(AccountError::Update)
    }

    /// Deactivates the account for good (RFC 8555 §7.3.6). Its certificates stay valid.
    pub async fn deactivate(&self) -> Result<AccountDetails, AccountError> {
        let payload = json!({"status": "deactivated"}).to_string();
        let reply = self
            .post(self.url(), payload.as_bytes(), Repeat::Safe)
            .await
            .map_err(AccountError::Deactivate)?;
        reply.json().map_err(AccountError::Deactivate)
    }

    /// Changes the account's key (RFC 8555 §7.3.5) and gives the account with the new one; this one is of no use
    /// afterwards. Save the new key *before* calling, or a crash behind the CA's answer loses the account.
    ///
    /// # Errors
    /// [`AccountError::KeyInUse`] where another account has the key.
    pub async fn roll_over(&self, new_key: AccountKey) -> Result<Self, AccountError> {
        let url = self.client().directory().key_change.as_ref();
        let url = url.ok_or(AccountError::RollOver(RequestError::NotOffered { resource: "keyChange" }))?;
        let change = json!({"account": self.url().as_str(), "oldKey": self.key().jwk()}).to_string();
        let inner = jws::sign(&new_key, KeyId::Jwk, None, url.as_str(), change.as_bytes())
            .map_err(AccountError::Key)?;
        match self.post(url, inner.as_bytes(), Repeat::Once).await {
            Ok(_) => Ok(Self::new(self.client().clone(), new_key, self.url().clone())),
            Err(error) => self.after_failed_roll_over(new_key, error).await,
        }
    }

    /// Where the answer was lost the CA may know the account by the new key already: ask it.
    async fn after_failed_roll_over(
        &self,
        new_key: AccountKey,
        error: RequestError,
    ) -> Result<Self, AccountError> {
        if error.status() == Some(StatusCode::CONFLICT) {
            return Err(AccountError::KeyInUse);
        }
        if error.is_unclear()
            && let Ok(account) = self.client().find_account(new_key).await
            && account.url() == self.url()
        {
            return Ok(account);
        }
        Err(AccountError::RollOver(error))
    }

    pub(crate) async fn post(
        &self,
        url: &Url,
        payload: &[u8],
        repeat: Repeat,
    ) -> Result<Reply, RequestError> {
        self.client().post((self.key(), KeyId::Kid(self.url().as_str())), url, payload, repeat).await
    }

    /// Reads a resource (RFC 8555 §6.3).
    pub(crate) async fn post_as_get(&self, url: &Url) -> Result<Reply, RequestError> {
        self.post(url, b"", Repeat::Safe).await
    }
}
