//! One issuance, from order to verified bundle.

mod error;

pub use crate::request::{KeySource, Request};
pub use error::{Failure, ObtainError};

use crate::bundle::Bundle;
use crate::journal::{Entry, Journal};
use crate::key::CertificateKey;
use crate::progress::{Event, Progress};
use crate::solver::{Presentation, Solver};
use crate::verify::verify;
use futures::stream::{self, StreamExt as _};
use gatecert_acme::{
    Account, Authorization, AuthorizationError, AuthorizationStatus, CertificateChain, Challenge,
    ChallengeStatus, Clock, IssuedCertificate, NewOrder, Order, OrderError, OrderStatus, Problem,
};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How many challenges of one order are answered at the same time. Let's Encrypt's edge allows 20 new nonces a second,
/// which is what a burst of first requests needs.
const MAX_PARALLEL: usize = 16;

/// After one name has failed, the waits for the CA to be through with the others: 9 seconds in all. The order is lost
/// then, but names that become valid stay so for the next one, and all failures are told at once.
const SETTLING: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1500),
    Duration::from_secs(3),
    Duration::from_secs(4),
];

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

/// An authorization that has to be proved.
struct Pending {
    authorization_url: Url,
    challenge: Challenge,
    presentation: Presentation,
}

impl Issuance<'_> {
    /// The order in the journal, if it is for this request and may still come to something.
    async fn resume(&self) -> Result<Option<Attempt>, ObtainError> {
        let Some(entry) = self.journal.load().await.map_err(ObtainError::Journal)? else { return Ok(None) };
        let Some(key) = self.key_of(&entry) else {
            self.retrying("the order in the journal is for something else");
            return Ok(None);
        };
        let order = match self.account.order(entry.order_url.clone()).await {
            Ok(order) => order,
            Err(error) if error.request().is_none_or(error::is_refusal) => {
                self.retrying(&error);
                return Ok(None);
            }
            Err(error) => return Err(ObtainError::Resume(error)),
        };
        if order.status() == OrderStatus::Invalid
            || order.expires().is_some_and(|expires| expires <= self.clock().now())
        {
            self.sweep(&order).await;
            self.retrying("the order in the journal is invalid or expired");
            return Ok(None);
        }
        self.progress.event(Event::OrderResumed { url: order.url().clone() });
        Ok(Some(Attempt { order, entry, key, is_resumed: true }))
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

    async fn new_order(&self) -> Result<(Order, Option<gatecert_acme::CertificateId>), ObtainError> {
        let wanted =
            NewOrder::new(self.request.identifiers.iter().cloned()).profile(self.request.profile.clone());
        let fail = |source| ObtainError::Order {
            source,
            is_missing_profile: self.request.profile.is_none() && self.request.has_addresses(),
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
            order.finalize(&csr.map_err(ObtainError::Key)?).await.map_err(ObtainError::Finalize)?;
        }
        order.wait_valid().await.map_err(ObtainError::Issue)?;
        let issued = order.certificate().await.map_err(ObtainError::Download)?;
        let chain = self.preferred(issued).await;
        let now = self.clock().now();
        let facts = verify(&chain.pem(), &attempt.key, &self.request.identifiers, now)
            .map_err(ObtainError::Verify)?;
        self.progress.event(Event::Issued);
        Ok(Bundle::new(&chain, facts, attempt.entry, now))
    }

    /// Has the CA validate what it has not validated yet; afterwards the order is not pending any more.
    async fn prove(&self, attempt: &mut Attempt) -> Result<(), ObtainError> {
        match (attempt.order.status(), attempt.is_resumed) {
            (OrderStatus::Pending | OrderStatus::Unknown, _) => {}
            (_, true) => return Ok(self.sweep(&attempt.order).await),
            (_, false) => {
                self.request.identifiers.iter().for_each(|identifier| self.reused(identifier));
                return Ok(());
            }
        }
        let authorizations = attempt.order.authorizations().await.map_err(ObtainError::Authorizations)?;
        let pending = self.pending(attempt, &authorizations)?;
        let mut presentations: Vec<_> = pending.iter().map(|pending| pending.presentation.clone()).collect();
        let result = match presentations.is_empty() {
            // All are valid, and the order is about to follow.
            true => self.validated(&mut attempt.order, &pending).await,
            false => self.answer(&mut attempt.order, &pending, &presentations).await,
        };
        if attempt.is_resumed {
            presentations = self.presentations(&authorizations);
        }
        self.clean_up(&presentations).await;
        result
    }

    /// What has to be proved.
    fn pending(
        &self,
        attempt: &Attempt,
        authorizations: &[Authorization],
    ) -> Result<Vec<Pending>, ObtainError> {
        let mut pending = Vec::new();
        let mut failures = Vec::new();
        for authorization in authorizations {
            match authorization.status {
                AuthorizationStatus::Valid => self.reused(&authorization.identifier),
                AuthorizationStatus::Pending => pending.push(self.challenge(authorization)?),
                _ if attempt.is_resumed => {
                    return Err(ObtainError::Stale { url: attempt.order.url().clone() });
                }
                _ => failures.push(self.failure(authorization)),
            }
        }
        match failures.is_empty() {
            true => Ok(pending),
            false => Err(ObtainError::Validation { failures }),
        }
    }

    fn challenge(&self, authorization: &Authorization) -> Result<Pending, ObtainError> {
        let challenge = authorization.http01().cloned();
        let Some((challenge, presentation)) = challenge.zip(self.presentation(authorization)) else {
            let offered =
                authorization.challenges.iter().map(|challenge| challenge.kind.to_string()).collect();
            return Err(ObtainError::NoHttp01 { identifier: authorization.identifier.clone(), offered });
        };
        Ok(Pending { authorization_url: authorization.url().clone(), challenge, presentation })
    }

    fn presentation(&self, authorization: &Authorization) -> Option<Presentation> {
        let token = authorization.http01()?.token()?.to_owned();
        let key_authorization = self.account.key().key_authorization(&token);
        Some(Presentation { identifier: authorization.identifier.clone(), token, key_authorization })
    }

    fn presentations(&self, authorizations: &[Authorization]) -> Vec<Presentation> {
        authorizations.iter().filter_map(|authorization| self.presentation(authorization)).collect()
    }

    /// Takes away what an earlier attempt at this order may have left behind when it was cut off.
    async fn sweep(&self, order: &Order) {
        match order.authorizations().await {
            Ok(authorizations) => self.clean_up(&self.presentations(&authorizations)).await,
            Err(error) => self.progress.event(Event::CleanUpFailed { message: error.to_string() }),
        }
    }

    async fn clean_up(&self, presentations: &[Presentation]) {
        if presentations.is_empty() {
            return;
        }
        if let Err(error) = self.solver.clean_up(presentations).await {
            self.progress.event(Event::CleanUpFailed { message: error.to_string() });
        }
    }

    async fn answer(
        &self,
        order: &mut Order,
        pending: &[Pending],
        presentations: &[Presentation],
    ) -> Result<(), ObtainError> {
        self.solver.present(presentations).await.map_err(ObtainError::Present)?;
        for presentation in presentations {
            self.progress.event(Event::ChallengePresented { identifier: presentation.identifier.clone() });
        }
        self.solver.ready(presentations).await.map_err(ObtainError::Ready)?;
        self.respond(pending).await?;
        self.validated(order, pending).await
    }

    async fn respond(&self, pending: &[Pending]) -> Result<(), ObtainError> {
        // One that an earlier attempt has answered is being validated already.
        let unanswered =
            pending.iter().filter(|pending| pending.challenge.status != ChallengeStatus::Processing);
        let mut responses = stream::iter(unanswered)
            .map(|pending| async move {
                self.progress
                    .event(Event::Validating { identifier: pending.presentation.identifier.clone() });
                (pending, self.account.respond(&pending.challenge).await)
            })
            .buffer_unordered(MAX_PARALLEL);
        while let Some((pending, response)) = responses.next().await {
            if let Err(error) = response {
                self.check_refused(pending, error).await?;
            }
        }
        Ok(())
    }

    /// A CA refuses the answer to a challenge that it has begun to validate since: that is as good as taking it.
    async fn check_refused(&self, pending: &Pending, source: AuthorizationError) -> Result<(), ObtainError> {
        let seen = self.account.authorization(&pending.authorization_url).await;
        let is_begun = seen.is_ok_and(|seen| {
            let status = seen.http01().map(|challenge| challenge.status);
            seen.status != AuthorizationStatus::Pending || status == Some(ChallengeStatus::Processing)
        });
        match is_begun {
            true => Ok(()),
            false => {
                Err(ObtainError::Respond { identifier: pending.presentation.identifier.clone(), source })
            }
        }
    }

    /// Waits for the CA. It is the order that is looked at: one request for all names.
    async fn validated(&self, order: &mut Order, pending: &[Pending]) -> Result<(), ObtainError> {
        match order.wait_ready().await {
            Ok(()) => {
                for pending in pending {
                    self.progress
                        .event(Event::Validated { identifier: pending.presentation.identifier.clone() });
                }
                Ok(())
            }
            Err(error @ OrderError::Invalid { .. }) => match self.failures(order).await {
                failures if failures.is_empty() => Err(ObtainError::Wait(error)),
                failures => Err(ObtainError::Validation { failures }),
            },
            Err(error) => Err(ObtainError::Wait(error)),
        }
    }

    /// The names that failed, once the CA is through with all of them or has had enough time.
    async fn failures(&self, order: &Order) -> Vec<Failure> {
        let mut waits = SETTLING.into_iter();
        loop {
            let authorizations = order.authorizations().await.unwrap_or_default();
            let is_open =
                |authorization: &Authorization| authorization.status == AuthorizationStatus::Pending;
            match waits.next() {
                Some(wait) if authorizations.iter().any(is_open) => self.clock().sleep(wait).await,
                _ => {
                    let failed = authorizations.iter().filter(|authorization| {
                        !matches!(
                            authorization.status,
                            AuthorizationStatus::Pending | AuthorizationStatus::Valid
                        )
                    });
                    return failed.map(|authorization| self.failure(authorization)).collect();
                }
            }
        }
    }

    fn failure(&self, authorization: &Authorization) -> Failure {
        let identifier = authorization.identifier.clone();
        let problem: Option<Problem> = authorization.error().cloned();
        self.progress.event(Event::Failed { identifier: identifier.clone(), problem: problem.clone() });
        Failure { identifier, problem }
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

    fn reused(&self, identifier: &gatecert_acme::Identifier) {
        self.progress.event(Event::AuthorizationReused { identifier: identifier.clone() });
    }

    fn retrying(&self, why: impl ToString) {
        self.progress.event(Event::Retrying { why: why.to_string(), after: Duration::ZERO });
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.account.client().clock()
    }
}
