//! The account of an issuer: its key in a Secret, registered with the CA once.

use super::registry::{Authority, ClientKey, SharedClient};
use crate::acme_requests::{CountedTransport, Resources, resources};
use crate::controller::Controller;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatecert_acme::{
    Account, AccountCredentials, AccountError, AccountKey, Client, Contact, ExternalAccount, HmacKey,
    HttpTransport, KeyAlgorithm, NewAccount, Retry,
};
use gatecert_api::{AcmeIssuer, AcmeStatus, ExternalAccountBinding, annotation};
use gatecert_render::ObjectName;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::PostParams;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The key of the value that has an account's key.
const ACCOUNT_KEY: &str = "tls.key";

/// The key of the value that has an EAB key, unless the issuer names another.
const EAB_KEY: &str = "secret";

/// A registered account.
pub(super) struct Registration {
    account: Account,
    client: SharedClient,
    status: AcmeStatus,
    /// Whether it is of the external account that the issuer names, if any: an account is bound when it is made (RFC 8555
    /// section 7.3.4), and a CA that has one for the key already leaves that as it is.
    is_bound: bool,
}

impl Registration {
    pub(super) fn status(&self) -> AcmeStatus {
        self.status.clone()
    }

    /// What the condition says, by the Secret of the account's key.
    pub(super) fn message(&self, key_secret: &ObjectName) -> String {
        let text = "the account is registered with the CA";
        match self.is_bound {
            true => text.to_owned(),
            false => format!(
                "{text} as it was: it can not be bound to another external account; for a new account, delete Secret {key_secret}"
            ),
        }
    }

    pub(super) fn into_authority(self, spec: &AcmeIssuer) -> Authority {
        Authority { account: self.account, spec: spec.clone(), _client: self.client }
    }
}

/// Why an issuer has no account.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegistrationError {
    #[error("spec.acme.server is no URL: {0}")]
    Server(#[source] url::ParseError),
    #[error("spec.acme.caBundle is no base64 of PEM certificates")]
    CaBundle(#[source] Option<Box<dyn Error + Send + Sync>>),
    #[error("spec.acme.email can not be used")]
    Email(#[source] gatecert_acme::ContactError),
    #[error("Secret {0} does not exist: make it, with the CA's EAB key under `{1}`")]
    MissingEab(String, String),
    #[error("Secret {0} has no EAB key that can be read under `{1}`")]
    Eab(String, String),
    #[error(
        "Secret {0} has no account key that can be read under `{ACCOUNT_KEY}`: mend it, or delete it and a new account is made"
    )]
    Key(String, #[source] Option<gatecert_acme::KeyError>),
    #[error("Secret {0} can not be read or written")]
    Secret(String, #[source] Box<kube::Error>),
    #[error("no account key can be made")]
    Generate(#[source] gatecert_acme::KeyError),
    #[error("the CA's directory can not be read")]
    Directory(#[source] Box<gatecert_acme::DirectoryError>),
    #[error("the CA does not register the account")]
    Register(#[source] Box<AccountError>),
}

impl RegistrationError {
    /// The reason of the condition.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Server(_) => "InvalidServer",
            Self::CaBundle(_) => "InvalidCaBundle",
            Self::Email(_) => "InvalidEmail",
            Self::MissingEab(..) => "ExternalAccountKeyMissing",
            Self::Eab(..) => "InvalidExternalAccountKey",
            Self::Key(..) => "InvalidAccountKey",
            Self::Secret(..) => "SecretError",
            Self::Generate(_) => "KeyGenerationFailed",
            Self::Directory(_) => "CaNotReachable",
            Self::Register(_) => "RegistrationFailed",
        }
    }

    /// Everything that is known, the causes behind it.
    pub(super) fn message(&self) -> String {
        crate::report::chain(self)
    }

    /// Whether it may pass by itself: then an account that was good stays in use.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Secret(..) | Self::Directory(_) => true,
            Self::Register(error) => error.retry() != Retry::No,
            _ => false,
        }
    }

    /// How long the CA asked to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Register(error) => match error.retry() {
                Retry::After(wait) => Some(wait),
                Retry::No => Some(super::LONGEST_WAIT),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Gives the account of an issuer, registering it with the CA unless `known` says that this was done.
pub(super) async fn register(
    controller: &Controller,
    key_secret: &ObjectName,
    spec: &AcmeIssuer,
    known: Option<&AcmeStatus>,
) -> Result<Registration, RegistrationError> {
    let client_key = client_key(spec)?;
    let contact = spec.email.as_deref().map(Contact::email).transpose().map_err(RegistrationError::Email)?;
    let key = account_key(controller, key_secret).await?;
    let shared = controller.issuers.client(&client_key);
    let client = shared.get_or_try_init(|| client(controller, &client_key)).await?;

    let (directory, thumbprint) = (client.directory_url().to_string(), key.thumbprint());
    let same = known.filter(|known| known.directory == directory && known.thumbprint == thumbprint);
    let wanted = Wanted { controller, client, key, contact, namespace: &key_secret.namespace, spec };
    let (account, is_bound) = wanted.account(same).await?;
    let meta = &client.directory().meta;
    let status = AcmeStatus {
        directory,
        uri: account.url().to_string(),
        thumbprint,
        last_registered_email: spec.email.clone(),
        external_account_key_id: wanted
            .external_key()
            .filter(|_| is_bound)
            .or_else(|| same?.external_account_key_id.as_ref())
            .cloned(),
        profiles: meta.profiles.keys().cloned().collect(),
        terms_of_service: meta.terms_of_service.clone(),
        checked_at: same.and_then(|same| same.checked_at.clone()).or_else(|| Some(Time(controller.now()))),
    };
    Ok(Registration { account, client: shared, status, is_bound })
}

/// The account that an issuer wants.
struct Wanted<'a> {
    controller: &'a Controller,
    client: &'a Client,
    key: AccountKey,
    contact: Option<Contact>,
    /// Where the Secrets are.
    namespace: &'a str,
    spec: &'a AcmeIssuer,
}

impl Wanted<'_> {
    fn external_key(&self) -> Option<&String> {
        self.spec.external_account_binding.as_ref().map(|binding| &binding.key_id)
    }

    /// The account, and whether it is of the external account that the issuer names, if any. `same` is what was registered
    /// for the same key and CA.
    async fn account(&self, same: Option<&AcmeStatus>) -> Result<(Account, bool), RegistrationError> {
        let Some((same, url)) = same.and_then(|same| Some((same, same.uri.parse::<Url>().ok()?))) else {
            return Ok((self.create(false).await?, true));
        };
        let is_new_contact = same.last_registered_email != self.spec.email;
        // An account stays with its external account where the issuer names none any more.
        if self.external_key().is_none_or(|key| same.external_account_key_id.as_ref() == Some(key)) {
            return Ok((self.existing(url, is_new_contact).await?, true));
        }
        match self.create(is_new_contact).await {
            Ok(account) => {
                let is_another = *account.url() != url;
                Ok((account, is_another))
            }
            Err(error) if error.is_passing() => Err(error),
            // An account that is good is not given up for one that can not be had.
            Err(_) => Ok((self.existing(url, is_new_contact).await?, false)),
        }
    }

    /// The account that was registered before.
    async fn existing(&self, url: Url, is_new_contact: bool) -> Result<Account, RegistrationError> {
        let credentials = AccountCredentials {
            directory: self.client.directory_url().clone(),
            account_url: url,
            private_key: self.key.to_pkcs8_pem(),
        };
        let account = self.client.account(&credentials).map_err(refused)?;
        if is_new_contact {
            account.update_contacts(self.contact.as_slice()).await.map_err(refused)?;
        }
        Ok(account)
    }

    /// A new account, or the one that the CA has for the key already.
    async fn create(&self, is_new_contact: bool) -> Result<Account, RegistrationError> {
        let external_account = match &self.spec.external_account_binding {
            Some(binding) => Some(external_account(self.controller, self.namespace, binding).await?),
            None => None,
        };
        let new_account = NewAccount {
            contacts: self.contact.iter().cloned().collect(),
            terms_of_service_agreed: true,
            external_account,
        };
        let account = self.client.create_account(&new_account, self.key.clone()).await.map_err(refused)?;
        // An account that there was already keeps its old contacts otherwise.
        if is_new_contact || self.has_others(&account).await? {
            account.update_contacts(&new_account.contacts).await.map_err(refused)?;
        }
        Ok(account)
    }

    /// Whether the CA has other contacts than the issuer, if that has any.
    async fn has_others(&self, account: &Account) -> Result<bool, RegistrationError> {
        let Some(contact) = &self.contact else { return Ok(false) };
        let contacts = account.details().await.map_err(refused)?.contacts;
        Ok(contacts != [contact.as_str()])
    }
}

fn refused(error: AccountError) -> RegistrationError {
    RegistrationError::Register(Box::new(error))
}

fn client_key(spec: &AcmeIssuer) -> Result<ClientKey, RegistrationError> {
    let roots = match &spec.ca_bundle {
        Some(bundle) => {
            let text: String = bundle.split_ascii_whitespace().collect();
            let bytes =
                STANDARD.decode(text).map_err(|error| RegistrationError::CaBundle(Some(error.into())))?;
            Some(String::from_utf8(bytes).map_err(|error| RegistrationError::CaBundle(Some(error.into())))?)
        }
        None => None,
    };
    Ok(ClientKey {
        directory: spec.directory().parse().map_err(RegistrationError::Server)?,
        roots,
        is_unverified: spec.skip_tls_verify == Some(true),
    })
}

/// A client for a directory, which is read.
async fn client(controller: &Controller, key: &ClientKey) -> Result<Client, RegistrationError> {
    let mut transport = HttpTransport::builder();
    if let Some(roots) = &key.roots {
        transport = transport.root_certificates_pem(roots);
    }
    if key.is_unverified {
        transport = transport.danger_skip_verification();
    }
    let transport = transport.build().map_err(|error| RegistrationError::CaBundle(Some(error.into())))?;
    let known = Resources::default();
    let transport = CountedTransport::new(
        transport,
        key.directory.clone(),
        Arc::clone(&known),
        Arc::clone(&controller.metrics),
    );
    let client = Client::builder(key.directory.clone())
        .transport(Arc::new(controller.fence.transport(transport)))
        .clock(Arc::clone(&controller.clock))
        .build()
        .await
        .map_err(|error| RegistrationError::Directory(Box::new(error)))?;
    // Set here alone.
    let _ = known.set(resources(client.directory()));
    Ok(client)
}

/// The account's key: the one in its Secret, or a new one, which is in its Secret before the CA hears of it.
async fn account_key(controller: &Controller, secret: &ObjectName) -> Result<AccountKey, RegistrationError> {
    let ObjectName { namespace, name } = secret;
    let secrets: Api<Secret> = Api::namespaced(controller.client.clone(), namespace);
    let full_name = secret.to_string();
    let failed = |error| RegistrationError::Secret(full_name.clone(), Box::new(error));
    if let Some(secret) = secrets.get_opt(name).await.map_err(failed)? {
        return key_in(&secret, &full_name);
    }
    let key = AccountKey::generate(KeyAlgorithm::Es256).map_err(RegistrationError::Generate)?;
    let parameters =
        PostParams { field_manager: Some(annotation::MANAGER.to_owned()), ..PostParams::default() };
    match secrets.create(&parameters, &key_secret(namespace, name, &key)).await {
        Ok(_) => Ok(key),
        // Another replica was faster.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            key_in(&secrets.get(name).await.map_err(failed)?, &full_name)
        }
        Err(error) => Err(failed(error)),
    }
}

fn key_in(secret: &Secret, name: &str) -> Result<AccountKey, RegistrationError> {
    let text = text_of(secret, ACCOUNT_KEY).ok_or_else(|| RegistrationError::Key(name.to_owned(), None))?;
    AccountKey::from_pem(text).map_err(|error| RegistrationError::Key(name.to_owned(), Some(error)))
}

fn text_of<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    str::from_utf8(&secret.data.as_ref()?.get(key)?.0).ok()
}

fn key_secret(namespace: &str, name: &str, key: &AccountKey) -> Secret {
    let labels = [
        (annotation::MANAGED_BY.to_owned(), annotation::MANAGER.to_owned()),
        (annotation::PART.to_owned(), annotation::PART_ACCOUNT_KEY.to_owned()),
    ];
    let pem = key.to_pkcs8_pem();
    Secret {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some([(ACCOUNT_KEY.to_owned(), ByteString(pem.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

async fn external_account(
    controller: &Controller,
    namespace: &str,
    binding: &ExternalAccountBinding,
) -> Result<ExternalAccount, RegistrationError> {
    let name = &binding.key_secret_ref.name;
    let value = binding.key_secret_ref.key.as_deref().unwrap_or(EAB_KEY);
    let full_name = format!("{namespace}/{name}");
    let secrets: Api<Secret> = Api::namespaced(controller.client.clone(), namespace);
    let secret = secrets.get_opt(name).await;
    let secret = secret.map_err(|error| RegistrationError::Secret(full_name.clone(), Box::new(error)))?;
    let secret = secret.ok_or_else(|| RegistrationError::MissingEab(full_name.clone(), value.to_owned()))?;
    let key = text_of(&secret, value).and_then(|text| text.trim().parse::<HmacKey>().ok());
    let key = key.ok_or_else(|| RegistrationError::Eab(full_name, value.to_owned()))?;
    Ok(ExternalAccount { key_id: binding.key_id.clone(), hmac_key: key })
}
