//! Orders, from identifiers to a certificate (RFC 8555 §7.4).

use crate::account::Account;
use crate::authorization::{Authorization, AuthorizationError};
use crate::certificate::{CertificateChain, ChainError, IssuedCertificate};
use crate::identifier::Identifier;
use crate::polling::Polling;
use crate::problem::Problem;
use crate::renewal_info::CertificateId;
use crate::reply::Reply;
use crate::request::{Repeat, RequestError};
use crate::retry::Retry;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use url::Url;

/// The most identifiers of one order, and so authorizations that are read of one: Let's Encrypt's limit.
pub const MAX_IDENTIFIERS: usize = 100;

/// How many authorizations of one order are asked for at the same time. Let's Encrypt's edge allows 20 new nonces a
/// second, which is what a burst of first requests needs.
const MAX_PARALLEL: usize = 16;

/// What is ordered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NewOrder {
    /// The names and addresses, 1 to 100; duplicates count once.
    pub identifiers: Vec<Identifier>,
    /// The profile, one of [`Meta::profiles`](crate::Meta).
    pub profile: Option<String>,
    /// The certificate that the new one replaces (RFC 9773 §5).
    pub replaces: Option<CertificateId>,
}

impl NewOrder {
    /// An order of these identifiers.
    pub fn new(identifiers: impl IntoIterator<Item = Identifier>) -> Self {
        Self { identifiers: identifiers.into_iter().collect(), ..Self::default() }
    }

    /// With a profile.
    pub fn profile(mut self, profile: Option<String>) -> Self {
        self.profile = profile;
        self
    }

    /// As a replacement.
    pub fn replaces(mut self, certificate: Option<CertificateId>) -> Self {
        self.replaces = certificate;
        self
    }
}

/// An order at the CA, as last seen.
#[derive(Clone, Debug)]
pub struct Order {
    account: Account,
    url: Url,
    state: State,
    retry_after: Option<Duration>,
}

/// The state of an order (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OrderStatus {
    /// Not all authorizations are valid yet.
    Pending,
    /// All are: finalize it.
    Ready,
    /// The certificate is being made.
    Processing,
    /// The certificate is there.
    Valid,
    /// It failed, for good.
    Invalid,
    /// A state that this crate does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    status: OrderStatus,
    identifiers: BTreeSet<Identifier>,
    expires: Option<Timestamp>,
    authorizations: Vec<Url>,
    finalize: Option<Url>,
    certificate: Option<Url>,
    error: Option<Box<Problem>>,
}

/// Why an operation on an order failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is nothing, or too much, to order.
    #[error("an order has 1 to {MAX_IDENTIFIERS} identifiers, this one has {count}")]
    Count {
        /// How many different identifiers were given.
        count: usize,
    },
    /// The order can not be made.
    #[error("the order can not be created")]
    Create(#[source] RequestError),
    /// The order can not be read.
    #[error("the order can not be read")]
    Fetch(#[source] RequestError),
    /// The order is for other identifiers than were asked for.
    #[error("the CA made order {url} for other identifiers than were asked for")]
    OtherIdentifiers {
        /// The order's URL.
        url: Url,
    },
    /// The order has more authorizations than identifiers are allowed.
    #[error("order {url} has {count} authorizations, more than {MAX_IDENTIFIERS}")]
    TooManyAuthorizations {
        /// The order's URL.
        url: Url,
        /// How many it has.
        count: usize,
    },
    /// An authorization can not be read.
    #[error("an authorization of the order can not be read")]
    Authorization(#[source] AuthorizationError),
    /// The order is invalid: an authorization failed, or the CA refused at last.
    #[error("order {url} is invalid{}", reason(.problem.as_deref()))]
    Invalid {
        /// The order's URL.
        url: Url,
        /// Why, where the order says so. Of a failed authorization, that says more.
        problem: Option<Box<Problem>>,
    },
    /// The order did not move on in ten minutes.
    #[error("order {url} is still {status} after ten minutes")]
    TimedOut {
        /// The order's URL, by which it can be resumed.
        url: Url,
        /// Its state.
        status: OrderStatus,
    },
    /// The order can not be finalized.
    #[error("the order can not be finalized")]
    Finalize(#[source] RequestError),
    /// The order lacks a URL that it must have in its state.
    #[error("order {url} is {status} but names no `{field}` URL")]
    NoUrl {
        /// The order's URL.
        url: Url,
        /// Its state.
        status: OrderStatus,
        /// The missing member.
        field: &'static str,
    },
    /// The certificate can not be downloaded.
    #[error("the certificate can not be downloaded")]
    Download(#[source] RequestError),
    /// What was downloaded is no certificate chain.
    #[error("what the CA sent as the certificate is none")]
    Chain(#[source] ChainError),
}

fn reason(problem: Option<&Problem>) -> String {
    problem.map(|problem| format!(": {problem}")).unwrap_or_default()
}

impl OrderError {
    /// The failed request, if it was one.
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Create(source) | Self::Fetch(source) | Self::Finalize(source) | Self::Download(source) => {
                Some(source)
            }
            Self::Authorization(source) => Some(source.request()),
            _ => None,
        }
    }

    /// What the CA says of it.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Invalid { problem, .. } => problem.as_deref(),
            _ => self.request()?.problem(),
        }
    }

    /// Whether to try again. An order that is still pending or processing is resumed by its URL.
    pub fn retry(&self) -> Retry {
        match self {
            Self::TimedOut { .. } => Retry::After(Duration::from_secs(60)),
            _ => self.request().map_or(Retry::No, RequestError::retry),
        }
    }
}

impl Account {
    /// Makes an order (RFC 8555 §7.4). Where authorizations are still valid, it can be `ready` at once.
    ///
    /// The request is not repeated when it is unclear whether the CA acted on it.
    pub async fn new_order(&self, new_order: &NewOrder) -> Result<Order, OrderError> {
        let identifiers: BTreeSet<_> = new_order.identifiers.iter().cloned().collect();
        if !(1..=MAX_IDENTIFIERS).contains(&identifiers.len()) {
            return Err(OrderError::Count { count: identifiers.len() });
        }
        let mut payload = json!({ "identifiers": identifiers });
        if let Some(profile) = &new_order.profile {
            payload["profile"] = json!(profile);
        }
        if let Some(replaces) = &new_order.replaces {
            payload["replaces"] = json!(replaces);
        }
        let url = &self.client().directory().new_order;
        let reply =
            self.post(url, payload.to_string().as_bytes(), Repeat::Once).await.map_err(OrderError::Create)?;
        let location = reply.location();
        let order_url = location.ok_or_else(|| {
            OrderError::Create(RequestError::MissingHeader { url: url.clone(), header: "Location" })
        })?;
        let state = State::from_reply(&reply).map_err(OrderError::Create)?;
        let order = Order::seen(self.clone(), order_url, state, reply.retry_after())?;
        // Compared as sets: the CA may give them in any order and case.
        if order.state.identifiers != identifiers {
            return Err(OrderError::OtherIdentifiers { url: order.url });
        }
        Ok(order)
    }

    /// The order at this URL, which was made earlier.
    pub async fn order(&self, url: Url) -> Result<Order, OrderError> {
        let reply = self.post_as_get(&url).await.map_err(OrderError::Fetch)?;
        let state = State::from_reply(&reply).map_err(OrderError::Fetch)?;
        Order::seen(self.clone(), url, state, reply.retry_after())
    }

    /// Downloads a certificate with its chain, and learns of alternate chains (RFC 8555 §7.4.2).
    pub async fn certificate(&self, url: &Url) -> Result<IssuedCertificate, OrderError> {
        let reply = self.post_as_get(url).await.map_err(OrderError::Download)?;
        let chain = CertificateChain::from_pem(&reply.body).map_err(OrderError::Chain)?;
        Ok(IssuedCertificate { chain, alternates: reply.links("alternate") })
    }
}

impl Order {
    fn seen(
        account: Account,
        url: Url,
        state: State,
        retry_after: Option<Duration>,
    ) -> Result<Self, OrderError> {
        match state.authorizations.len() {
            ..=MAX_IDENTIFIERS => Ok(Self { account, url, state, retry_after }),
            count => Err(OrderError::TooManyAuthorizations { url, count }),
        }
    }

    /// The URL, by which the order can be resumed.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The state.
    pub fn status(&self) -> OrderStatus {
        self.state.status
    }

    /// What it is for.
    pub fn identifiers(&self) -> &BTreeSet<Identifier> {
        &self.state.identifiers
    }

    /// When the CA forgets it.
    pub fn expires(&self) -> Option<Timestamp> {
        self.state.expires
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&Problem> {
        self.state.error.as_deref()
    }

    /// The URLs of its authorizations, at most 100.
    pub fn authorization_urls(&self) -> &[Url] {
        &self.state.authorizations
    }

    /// Reads all its authorizations, sixteen at a time, in no particular order.
    pub async fn authorizations(&self) -> Result<Vec<Authorization>, OrderError> {
        // Collected first: a closure in the stream would make this future one that can not be spawned.
        let requests: Vec<_> =
            self.state.authorizations.iter().map(|url| self.account.authorization(url)).collect();
        stream::iter(requests)
            .buffer_unordered(MAX_PARALLEL)
            .try_collect()
            .await
            .map_err(OrderError::Authorization)
    }

    /// Reads the order again.
    pub async fn refresh(&mut self) -> Result<(), OrderError> {
        *self = self.account.order(self.url.clone()).await?;
        Ok(())
    }

    /// Waits until the order is no longer pending: the CA has validated all authorizations.
    ///
    /// # Errors
    /// [`OrderError::Invalid`] where one failed, [`OrderError::TimedOut`] after ten minutes.
    pub async fn wait_ready(&mut self) -> Result<(), OrderError> {
        self.wait_while(|status| matches!(status, OrderStatus::Pending | OrderStatus::Unknown)).await
    }

    /// Waits until the certificate is there.
    ///
    /// # Errors
    /// As of [`Self::wait_ready`].
    pub async fn wait_valid(&mut self) -> Result<(), OrderError> {
        // `ready` can be seen for a moment after finalize, of a replica that lags behind.
        self.wait_while(|status| status != OrderStatus::Valid).await
    }

    async fn wait_while(&mut self, goes_on: impl Fn(OrderStatus) -> bool) -> Result<(), OrderError> {
        let clock = self.account.client().clock().clone();
        let mut polling = Polling::new(clock.now());
        loop {
            match self.status() {
                OrderStatus::Invalid => {
                    return Err(OrderError::Invalid {
                        url: self.url.clone(),
                        problem: self.state.error.clone(),
                    });
                }
                status if !goes_on(status) => return Ok(()),
                status => {
                    let wait = polling.wait(clock.now(), self.retry_after);
                    let wait = wait.ok_or_else(|| OrderError::TimedOut { url: self.url.clone(), status })?;
                    clock.sleep(wait).await;
                }
            }
            self.refresh().await?;
        }
    }

    /// Sends the CSR (PKCS#10, DER) of a ready order (RFC 8555 §7.4). The certificate may take until
    /// [`Self::wait_valid`] is through.
    ///
    /// Where it is unclear whether the CA acted on the request, the order is read instead of sending it again.
    pub async fn finalize(&mut self, csr_der: &[u8]) -> Result<(), OrderError> {
        let url = self.state.finalize.clone().ok_or_else(|| self.no_url("finalize"))?;
        let payload = json!({ "csr": BASE64_URL_SAFE_NO_PAD.encode(csr_der) }).to_string();
        match self.account.post(&url, payload.as_bytes(), Repeat::Once).await {
            // The order's URL stays the one it was made with: the answer need not have a `Location`.
            Ok(reply) => match State::from_reply(&reply) {
                Ok(state) => {
                    *self = Self::seen(self.account.clone(), self.url.clone(), state, reply.retry_after())?;
                }
                Err(_) => self.refresh().await?,
            },
            Err(error) if error.is_unclear() => {
                tracing::debug!(%error, "unclear whether the order was finalized");
                self.refresh().await?;
                if self.status() == OrderStatus::Ready {
                    return Err(OrderError::Finalize(error));
                }
            }
            Err(error) => return Err(OrderError::Finalize(error)),
        }
        Ok(())
    }

    /// Downloads the certificate of a valid order.
    pub async fn certificate(&self) -> Result<IssuedCertificate, OrderError> {
        let url = self.state.certificate.as_ref().ok_or_else(|| self.no_url("certificate"))?;
        self.account.certificate(url).await
    }

    fn no_url(&self, field: &'static str) -> OrderError {
        OrderError::NoUrl { url: self.url.clone(), status: self.status(), field }
    }
}

impl State {
    pub(crate) fn from_reply(reply: &Reply) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Wire {
            status: OrderStatus,
            #[serde(default)]
            identifiers: Vec<Identifier>,
            #[serde(default)]
            authorizations: Vec<String>,
            expires: Option<serde_json::Value>,
            finalize: Option<String>,
            certificate: Option<String>,
            error: Option<serde_json::Value>,
        }
        let wire: Wire = reply.json()?;
        let url = |text: String| reply.url.join(&text).ok();
        Ok(Self {
            status: wire.status,
            identifiers: wire.identifiers.into_iter().collect(),
            expires: wire.expires.and_then(|expires| serde_json::from_value(expires).ok()),
            authorizations: wire.authorizations.into_iter().filter_map(url).collect(),
            finalize: wire.finalize.and_then(url),
            certificate: wire.certificate.and_then(url),
            error: wire.error.and_then(|error| serde_json::from_value(error).ok()),
        })
    }
}
