//! What is read from the cluster.

use super::limits::{AccountLimits, Accounts, Orders, limits_of};
use crate::error::Failure;
use gatecert_api::{Certificate, CertificateSummary, ClusterIssuer, Issuer};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// How many objects a page of a list has.
const PAGE: u32 = 500;

/// The most certificates that are read: about a hundred times of what one controller was measured with, and some 40 MB.
const MOST: usize = 50_000;

/// As many names as a certificate can have.
const NAMES: usize = 100;

/// Reads the Certificates of a namespace, or all.
pub(super) struct Reader {
    client: Client,
    is_of_all: bool,
}

/// What was found, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Found {
    certificates: BTreeMap<(String, String), (CertificateSummary, Orders)>,
    accounts: Accounts,
    /// Whether there are more than are read.
    pub(super) is_cut: bool,
}

impl Reader {
    pub(super) fn new(client: Client, is_of_all: bool) -> Self {
        Self { client, is_of_all }
    }

    pub(super) fn certificates(&self) -> Api<Certificate> {
        match self.is_of_all {
            true => Api::all(self.client.clone()),
            false => Api::default_namespaced(self.client.clone()),
        }
    }

    /// What is said where there are none.
    pub(super) fn nothing(&self) -> String {
        match self.is_of_all {
            true => "there are no Certificates yet (`gatecert render certificate` prints one)".to_owned(),
            false => format!(
                "there are no Certificates in the namespace `{}` (-A looks into all)",
                self.client.default_namespace()
            ),
        }
    }

    /// Reads all once.
    pub(super) async fn read(&self) -> Result<Found, Failure> {
        let (certificates, is_cut) = pages(&self.certificates()).await.map_err(|error| refused(&error))?;
        let mut found = Found { is_cut, accounts: self.accounts().await, ..Found::default() };
        certificates.iter().for_each(|certificate| found.set(certificate));
        Ok(found)
    }

    /// The accounts that issuers have, where all of their orders are seen. Whoever may not list issuers sees none.
    async fn accounts(&self) -> Accounts {
        let mut accounts = Accounts::default();
        if !self.is_of_all {
            return accounts;
        }
        let issuers = pages(&Api::<Issuer>::all(self.client.clone())).await;
        for issuer in issuers.iter().flat_map(|(issuers, _)| issuers) {
            accounts.add_issuer(issuer);
        }
        let issuers = pages(&Api::<ClusterIssuer>::all(self.client.clone())).await;
        for issuer in issuers.iter().flat_map(|(issuers, _)| issuers) {
            accounts.add_cluster_issuer(issuer);
        }
        accounts
    }
}

/// All objects, up to [`MOST`], and whether there are more.
async fn pages<K>(api: &Api<K>) -> kube::Result<(Vec<K>, bool)>
where
    K: Clone + Debug + serde::de::DeserializeOwned,
{
    let (mut all, mut parameters) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page = api.list(&parameters).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(_) if all.len() >= MOST => {
                all.truncate(MOST);
                return Ok((all, true));
            }
            Some(next) => parameters = parameters.continue_token(&next),
            None => return Ok((all, false)),
        }
    }
}

/// Why Certificates can not be read, and what to do.
pub(super) fn refused(error: &kube::Error) -> Failure {
    let failure = Failure::local("cluster", error);
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            let message = "the cluster does not know Certificates: gatecert is not installed there";
            Failure { message: message.to_owned(), ..failure }
                .hint("`gatecert render install | kubectl apply --server-side -f -` installs it")
        }
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => failure
            .hint("`kubectl auth can-i list certificates.gatecert.dev` asks for the right; -n names one namespace"),
        _ => failure.hint("is it the right cluster? `kubectl config current-context` says which it is, --context names another"),
    }
}

impl Found {
    pub(super) fn len(&self) -> usize {
        self.certificates.len()
    }

    /// The Certificates, by namespace and name.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateSummary> {
        self.certificates.values().map(|(summary, _)| summary)
    }

    pub(super) fn set(&mut self, certificate: &Certificate) {
        let known = (CertificateSummary::of(certificate, NAMES), Orders::of(certificate));
        let name = (known.0.namespace.clone(), known.0.name.clone());
        if self.len() < MOST || self.certificates.contains_key(&name) {
            self.certificates.insert(name, known);
        } else {
            self.is_cut = true;
        }
    }

    pub(super) fn remove(&mut self, certificate: &Certificate) {
        let metadata = &certificate.metadata;
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        self.certificates.remove(&(name(&metadata.namespace), name(&metadata.name)));
    }

    /// Forgets all Certificates, since they are listed anew.
    pub(super) fn clear(&mut self) {
        self.certificates.clear();
        self.is_cut = false;
    }

    /// What is left of the limits now.
    pub(super) fn limits(&self, now: Timestamp) -> Vec<AccountLimits> {
        limits_of(&self.accounts, self.certificates.values(), now)
    }
}
