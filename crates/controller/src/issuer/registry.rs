//! The issuers as issuances see them.

use super::IssuerObject;
use crate::certificates::version;
use gatecert_acme::{Account, Client};
use gatecert_api::{AcmeIssuer, IssuerKind, IssuerReference, IssuerStatus};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tokio::sync::OnceCell;
use url::Url;

/// The reason of what passes by itself in a moment, and is worth no event.
pub(crate) const PENDING: &str = "Pending";

/// An issuer by kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IssuerKey {
    pub(crate) kind: IssuerKind,
    /// None for a ClusterIssuer.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl IssuerKey {
    /// The issuer that a Certificate of a namespace refers to.
    pub(crate) fn of(reference: &IssuerReference, namespace: &str) -> Self {
        let kind = reference.kind.unwrap_or_default();
        let namespace = (kind == IssuerKind::Issuer).then(|| namespace.to_owned());
        Self { kind, namespace, name: reference.name.clone() }
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "Issuer {namespace}/{}", self.name),
            None => write!(f, "{} {}", self.kind.as_str(), self.name),
        }
    }
}

/// The client for a directory, once that was read.
pub(super) type SharedClient = Arc<OnceCell<Client>>;

/// An issuer that is ready.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) account: Account,
    pub(crate) spec: AcmeIssuer,
    /// Held so that the next look, and other issuers, have the same.
    pub(super) _client: SharedClient,
}

/// Why an issuer is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotReady {
    pub(crate) reason: String,
    pub(crate) message: String,
}

#[derive(Debug)]
struct Known {
    state: Result<Arc<Authority>, NotReady>,
    failures: u32,
}

/// The issuers, and the clients that they share: one for each directory and way to trust it.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    known: RwLock<HashMap<IssuerKey, Known>>,
    /// The statuses that were written last, with their versions: the watch may be late.
    written: Mutex<HashMap<IssuerKey, (u64, IssuerStatus)>>,
    /// As long as somebody has them: each has its own lock, since a directory may be long in coming.
    clients: Mutex<HashMap<ClientKey, Weak<OnceCell<Client>>>>,
}

/// What makes clients differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) directory: Url,
    pub(super) roots: Option<String>,
    pub(super) is_unverified: bool,
}

impl Issuers {
    /// The state of an issuer; `None` where there is no such issuer, or it has not been looked at yet.
    pub(crate) fn get(&self, key: &IssuerKey) -> Option<Result<Arc<Authority>, NotReady>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(key).map(|known| known.state.clone())
    }

    /// Notes that there is an issuer, before it has been looked at.
    pub(crate) fn expect(&self, key: &IssuerKey) {
        let why = NotReady { reason: PENDING.to_owned(), message: "it is being registered".to_owned() };
        let known = Known { state: Err(why), failures: 0 };
        self.known.write().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_insert(known);
    }

    pub(super) fn set_ready(&self, key: &IssuerKey, authority: Authority) {
        let known = Known { state: Ok(Arc::new(authority)), failures: 0 };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), known);
    }

    /// Notes a failure, and gives how many there were in a row before.
    pub(super) fn set_failed(&self, key: &IssuerKey, why: NotReady) -> u32 {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let failures = known.get(key).map_or(0, |known| known.failures);
        known.insert(key.clone(), Known { state: Err(why), failures: failures + 1 });
        failures
    }

    /// The status of an issuer: what was written last, where the watch has not brought that yet.
    pub(super) fn status(&self, issuer: &impl IssuerObject) -> IssuerStatus {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&issuer.key()) {
            Some((written, status)) if version(issuer).is_some_and(|seen| seen < *written) => status.clone(),
            _ => issuer.status().cloned().unwrap_or_default(),
        }
    }

    /// Remembers a status that was written.
    pub(super) fn wrote(&self, written: &impl IssuerObject, status: IssuerStatus) {
        if let Some(version) = version(written) {
            let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(written.key(), (version, status));
        }
    }

    /// Whether an issuer is ready.
    pub(super) fn is_ready(&self, key: &IssuerKey) -> bool {
        self.get(key).is_some_and(|state| state.is_ok())
    }

    /// Whether the state is another one than before, as Certificates see it.
    pub(super) fn differs(&self, key: &IssuerKey, before: Option<&Result<Arc<Authority>, NotReady>>) -> bool {
        match (self.get(key), before) {
            (Some(Ok(now)), Some(Ok(before))) => {
                now.spec != before.spec || now.account.url() != before.account.url()
            }
            (Some(Err(now)), Some(Err(before))) => now != *before,
            (now, before) => now.is_some() || before.is_some(),
        }
    }

    /// Forgets an issuer that was deleted.
    pub(crate) fn remove(&self, key: &IssuerKey) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The client that all issuers of one directory share.
    pub(super) fn client(&self, key: &ClientKey) -> SharedClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| client.strong_count() > 0);
        let shared = clients.get(key).and_then(Weak::upgrade).unwrap_or_default();
        clients.insert(key.clone(), Arc::downgrade(&shared));
        shared
    }
}
