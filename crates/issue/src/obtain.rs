//! One issuance, from order to verified bundle.

mod error;
mod proof;

pub use crate::request::{KeySource, Request};
pub use error::{Failure, ObtainError};

use crate::bundle::Bundle;
use crate::journal::{Entry, Journal};
use crate::key::CertificateKey;
use crate::progress::{Event, Progress};
use crate::solver::Solver;
use crate::verify::verify;
use gatecert_acme::{
    Account, CertificateChain, CertificateId, Clock, IssuedCertificate, NewOrder, Order, OrderError,
    OrderStatus, RequestError, Retry,
};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How often an order is asked for whose answer can not be read.
const MAX_LOOKS: u32 = 3;

/// Obtains a certificate: goes on with the order in the journal or makes a new one, proves the names, finalizes,
/// downloads and verifies.
///
/// It can be cut off at any point (a kill, a dropped future, an error that may pass) and called again with the same
/// request: then it goes on with the same order and the same key. The entry of an order that came to nothing is
/// cleared; after a success **the caller clears the journal** when the bundle is where it belongs.
///
/// The solver's `clean_up` is called on every way out after `present`. When the future is dropped it is not: see
/// [`Solver`]. An RSA key is generated on a blocking thread of the tokio runtime that this must run in.
///
/// # Errors
/// [`ObtainError`], which says the step, the names, when to try again, and what may help.
pub async fn obtain(
    account: &Account,
    request: &Request,
    solver: &dyn Solver,
    journal: &dyn Journal,
    progress: &dyn Progress,
) -> Result<Bundle, ObtainError> {
    request.check(account.client().directory())?;
    let issuance = Issuance { account, request, solver, journal, progress };
    if let Some(attempt) = issuance.resume().await? {
        match issuance.complete(attempt).await {
            Err(error @ ObtainError::Stale { .. }) => issuance.retrying(&error),
            result => return result,
        }
    }
    let attempt = issuance.order().await?;
    issuance.complete(attempt).await
}

struct Issuance<'a> {
    account: &'a Account,
    request: &'a Request,
    solver: &'a dyn Solver,
    journal: &'a dyn Journal,
    progress: &'a dyn Progress,
}

/// An order, and what the journal holds of it.
struct Attempt {
    order: Order,
    entry: Entry,
    key: CertificateKey,
    is_resumed: bool,
}

impl Issuance<'_> {
    /// The order in the journal, if it is for this request and may still come to something.
    async fn resume(&self) -> Result<Option<Attempt>, ObtainError> {
        let Some(entry) = self.journal.load().await.map_err(ObtainError::Journal)? else { return Ok(None) };
        let Some(key) = self.key_of(&entry) else {
            self.retrying("the order in the journal is for something else");
            return Ok(None);
        };
        let order = match self.look_up(&entry.order_url).await {
            Ok(order) => order,
            // What waiting does not mend would be in the way for ever.
            Err(error) if error.retry() == Retry::No => {
                self.retrying(&error);
                return Ok(None);
            }
            Err(error) => return Err(ObtainError::Resume(error.into())),
        };
        if self.is_over(&order) {
            self.sweep(&order).await;
            self.retrying("the order in the journal is invalid or expired");
            return Ok(None);
        }
        self.progress.event(Event::OrderResumed { url: order.url().clone() });
        Ok(Some(Attempt { order, entry, key, is_resumed: true }))
    }

    /// The order. An answer that can not be read is asked for again: something in between may have cut it short, and an
    /// order that is given up may have a certificate already.
    async fn look_up(&self, url: &Url) -> Result<Order, OrderError> {
        let mut looks = 1;
        loop {
            match self.account.order(url.clone()).await {
                Err(error)
                    if looks < MAX_LOOKS && error.request().is_some_and(RequestError::is_unreadable) =>
                {
                    self.retrying(&error);
                    looks += 1;
                }
                looked_up => return looked_up,
            }
        }
    }

    /// Whether the order will not come to anything. Not one that is valid already: its certificate outlives it.
    fn is_over(&self, order: &Order) -> bool {
        let is_expired = order.expires().is_some_and(|expires| expires <= self.clock().now());
        match order.status() {
            OrderStatus::Invalid => true,
            OrderStatus::Valid | OrderStatus::Processing => false,
            _ => is_expired,
        }
    }

    /// The key of the entry, if the entry is for this request.
    fn key_of(&self, entry: &Entry) -> Option<CertificateKey> {
        let wanted = self.request.wanted(self.account.client().directory_url());
        let key = CertificateKey::from_pem(&entry.key_pem).ok()?;
        let is_key = match &self.request.key {
            KeySource::New(_) => true,
            KeySource::Reuse(reused) => reused.public_key_info_der() == key.public_key_info_der(),
        };
        (is_key && entry.is_for(&wanted) && entry.account_url == *self.account.url()).then_some(key)
    }

    /// A new order, saved with its key before anything else happens.
    async fn order(&self) -> Result<Attempt, ObtainError> {
        if let Some(message) = self.request.warning() {
            self.progress.event(Event::Warning { message });
        }
        // Before the order, so that nothing slow is between that and its entry.
        let key = self.new_key().await?;
        let (order, replaces) = self.new_order().await?;
        let entry = Entry {
            order_url: order.url().clone(),
            account_url: self.account.url().clone(),
            directory: self.account.client().directory_url().clone(),
            identifiers: self.request.identifiers.clone(),
            profile: self.request.profile.clone(),
            replaces,
            key_type: key.key_type(),
            key_pem: key.to_pem(),
            saved_at: self.clock().now(),
        };
        self.journal.save(&entry).await.map_err(ObtainError::Journal)?;
        self.progress.event(Event::OrderCreated { url: order.url().clone() });
        Ok(Attempt { order, entry, key, is_resumed: false })
    }

    async fn new_key(&self) -> Result<CertificateKey, ObtainError> {
        let key_type = match &self.request.key {
            KeySource::Reuse(key) => return Ok(key.clone()),
            KeySource::New(key_type) => *key_type,
        };
        let generated = match key_type.is_rsa() {
            true => {
                tokio::task::spawn_blocking(move || CertificateKey::generate(key_type)).await.unwrap_or_else(
                    |source| Err(crate::key::KeyError::Generate { key_type, source: source.into() }),
                )
            }
            false => CertificateKey::generate(key_type),
        };
        generated.map_err(ObtainError::Key)
    }

    async fn new_order(&self) -> Result<(Order, Option<CertificateId>), ObtainError> {
        let wanted =
            NewOrder::new(self.request.identifiers.iter().cloned()).profile(self.request.profile.clone());
        let fail = |source: OrderError| ObtainError::Order {
            source: source.into(),
            untried_profiles: self.untried_profiles(),
        };
        if let Some(replaces) = &self.request.replaces {
            match self.account.new_order(&wanted.clone().replaces(Some(replaces.clone()))).await {
                Ok(order) => return Ok((order, Some(replaces.clone()))),
                Err(error) if error::may_be_of_replaces(&error) => self.retrying(&error),
                Err(error) => return Err(fail(error)),
            }
        }
        Ok((self.account.new_order(&wanted).await.map_err(fail)?, None))
    }

    /// The profiles that the CA has, where there are addresses, which may need one, and none was asked for.
    fn untried_profiles(&self) -> Option<Vec<String>> {
        let offered = &self.account.client().directory().meta.profiles;
        (self.request.profile.is_none() && self.request.has_addresses())
            .then(|| offered.keys().cloned().collect())
    }

    /// Brings the attempt to its end. An order that will come to nothing does not stay in the journal.
    async fn complete(&self, attempt: Attempt) -> Result<Bundle, ObtainError> {
        let result = self.advance(attempt).await;
        if result.as_ref().is_err_and(ObtainError::ends_order)
            && let Err(error) = self.journal.clear().await
        {
            self.progress
                .event(Event::Warning { message: format!("the journal can not be cleared: {error}") });
        }
        result
    }

    async fn advance(&self, mut attempt: Attempt) -> Result<Bundle, ObtainError> {
        self.prove(&mut attempt).await?;
        let order = &mut attempt.order;
        if order.status() == OrderStatus::Ready {
            self.progress.event(Event::Finalizing);
            let csr = attempt.key.csr_der(&self.request.identifiers, self.request.common_name.as_ref());
            order
                .finalize(&csr.map_err(ObtainError::Key)?)
                .await
                .map_err(|error| ObtainError::Finalize(error.into()))?;
        }
        order.wait_valid().await.map_err(|error| ObtainError::Issue(error.into()))?;
        let issued = order.certificate().await.map_err(|error| ObtainError::Download(error.into()))?;
        let chain = self.preferred(issued).await;
        let now = self.clock().now();
        let facts = verify(&chain.pem(), &attempt.key, &self.request.identifiers, now)
            .map_err(ObtainError::Verify)?;
        self.progress.event(Event::Issued);
        Ok(Bundle::new(&chain, facts, attempt.entry, now))
    }

    /// The chain that is preferred, or the CA's default where it has no such chain.
    async fn preferred(&self, issued: IssuedCertificate) -> CertificateChain {
        let Some(preference) = &self.request.preferred_chain else { return issued.chain };
        if preference.matches(&issued.chain) {
            return issued.chain;
        }
        for url in &issued.alternates {
            match self.account.certificate(url).await {
                Ok(other) if preference.matches(&other.chain) => return other.chain,
                Ok(_) => {}
                Err(error) => self.progress.event(Event::Warning { message: error.to_string() }),
            }
        }
        let message = format!("the CA has no chain `{preference}`: its default chain is taken");
        self.progress.event(Event::Warning { message });
        issued.chain
    }

    fn retrying(&self, why: impl ToString) {
        self.progress.event(Event::Retrying { why: why.to_string(), after: Duration::ZERO });
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.account.client().clock()
    }
}
