//! Proving the names of an order.

use super::{Attempt, Failure, Issuance, ObtainError};
use crate::progress::Event;
use crate::solver::Presentation;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gatecert_acme::{
    Authorization, AuthorizationError, AuthorizationStatus, Challenge, ChallengeStatus, Identifier, Order,
    OrderError, OrderStatus,
};
use std::time::Duration;
use url::Url;

/// How many authorizations of one order are read, or challenges answered, at the same time. Let's Encrypt's edge allows
/// 20 new nonces a second, which is what a burst of first requests needs.
const MAX_PARALLEL: usize = 16;

/// After one name has failed, the waits for the CA to be through with the others: 9 seconds in all. Names that become
/// valid in them stay so for the next order, and all failures are told at once.
const SETTLING: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1500),
    Duration::from_secs(3),
    Duration::from_secs(4),
];

/// An authorization that has to be proved.
struct Pending {
    authorization_url: Url,
    challenge: Challenge,
    presentation: Presentation,
}

impl Issuance<'_> {
    /// Has the CA validate what it has not validated yet; afterwards the order is not pending any more.
    pub(super) async fn prove(&self, attempt: &mut Attempt) -> Result<(), ObtainError> {
        match attempt.order.status() {
            OrderStatus::Pending | OrderStatus::Unknown => {}
            _ if attempt.is_resumed => {
                self.sweep(&attempt.order).await;
                return Ok(());
            }
            OrderStatus::Ready => {
                self.request.identifiers.iter().for_each(|identifier| self.reused(identifier));
                return Ok(());
            }
            _ => return Ok(()),
        }
        let authorizations = self.authorizations(&attempt.order).await;
        let authorizations = authorizations.map_err(|error| ObtainError::Authorizations(error.into()))?;
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

    async fn authorizations(&self, order: &Order) -> Result<Vec<Authorization>, OrderError> {
        // The futures are made before the stream: a closure inside of it would not be `Send` for all lifetimes.
        let requests: Vec<_> =
            order.authorization_urls().iter().map(|url| self.account.authorization(url)).collect();
        let authorizations = stream::iter(requests).buffer_unordered(MAX_PARALLEL).try_collect().await;
        authorizations.map_err(OrderError::Authorization)
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
    pub(super) async fn sweep(&self, order: &Order) {
        match self.authorizations(order).await {
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
        self.respond(order, pending).await?;
        self.validated(order, pending).await
    }

    /// Tells the CA to look, for all names. Where it does not take one, the others are waited for: their answers must
    /// not go while the CA asks for them.
    async fn respond(&self, order: &Order, pending: &[Pending]) -> Result<(), ObtainError> {
        let responses: Vec<_> = pending.iter().map(|pending| self.respond_to(pending)).collect();
        let responses = stream::iter(responses).buffer_unordered(MAX_PARALLEL);
        let refused: Vec<_> = responses.filter_map(|result| async { result.err() }).collect().await;
        let Some(error) = refused.into_iter().next() else { return Ok(()) };
        self.settled(order).await;
        Err(error)
    }

    async fn respond_to(&self, pending: &Pending) -> Result<(), ObtainError> {
        // One that an earlier attempt has answered is being validated already.
        if pending.challenge.status == ChallengeStatus::Processing {
            return Ok(());
        }
        let identifier = pending.presentation.identifier.clone();
        self.progress.event(Event::Validating { identifier: identifier.clone() });
        let failed = |source: AuthorizationError| ObtainError::Respond { identifier, source: source.into() };
        match self.account.respond(&pending.challenge).await {
            Ok(()) => Ok(()),
            Err(_) if self.is_begun(pending).await => Ok(()),
            // It was lost on its way to the CA.
            Err(error) if error.request().is_unclear() => {
                self.account.respond(&pending.challenge).await.map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// A CA refuses the answer to a challenge that it has begun to validate since: that is as good as taking it.
    async fn is_begun(&self, pending: &Pending) -> bool {
        self.account.authorization(&pending.authorization_url).await.is_ok_and(|seen| {
            let status = seen.http01().map(|challenge| challenge.status);
            seen.status != AuthorizationStatus::Pending || status == Some(ChallengeStatus::Processing)
        })
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
                failures if failures.is_empty() => Err(ObtainError::Wait(error.into())),
                failures => Err(ObtainError::Validation { failures }),
            },
            Err(error) => Err(ObtainError::Wait(error.into())),
        }
    }

    /// The names that failed.
    async fn failures(&self, order: &Order) -> Vec<Failure> {
        let is_failed = |authorization: &&Authorization| {
            !matches!(authorization.status, AuthorizationStatus::Pending | AuthorizationStatus::Valid)
        };
        self.settled(order)
            .await
            .iter()
            .filter(is_failed)
            .map(|authorization| self.failure(authorization))
            .collect()
    }

    /// The authorizations, once the CA is through with all of them or has had enough time.
    async fn settled(&self, order: &Order) -> Vec<Authorization> {
        let is_open = |authorization: &Authorization| authorization.status == AuthorizationStatus::Pending;
        for wait in SETTLING {
            let authorizations = self.authorizations(order).await.unwrap_or_default();
            if !authorizations.iter().any(is_open) {
                return authorizations;
            }
            self.clock().sleep(wait).await;
        }
        self.authorizations(order).await.unwrap_or_default()
    }

    fn failure(&self, authorization: &Authorization) -> Failure {
        let identifier = authorization.identifier.clone();
        let problem = authorization.error().cloned();
        self.progress.event(Event::Failed { identifier: identifier.clone(), problem: problem.clone() });
        Failure { identifier, problem }
    }

    fn reused(&self, identifier: &Identifier) {
        self.progress.event(Event::AuthorizationReused { identifier: identifier.clone() });
    }
}
