//! What happens during an issuance, for whoever watches.

use gatecert_acme::{Identifier, Problem};
use std::time::Duration;
use url::Url;

/// One step of an issuance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An order was made.
    OrderCreated {
        /// Its URL.
        url: Url,
    },
    /// An order of an earlier attempt is gone on with.
    OrderResumed {
        /// Its URL.
        url: Url,
    },
    /// The CA still knows the name as proved.
    AuthorizationReused {
        /// The name.
        identifier: Identifier,
    },
    /// The answer for a name is in place.
    ChallengePresented {
        /// The name.
        identifier: Identifier,
    },
    /// The CA was told to ask for the answer.
    Validating {
        /// The name.
        identifier: Identifier,
    },
    /// The CA has found the answer.
    Validated {
        /// The name.
        identifier: Identifier,
    },
    /// The CA has not found the answer, or refuses the name.
    Failed {
        /// The name.
        identifier: Identifier,
        /// What the CA says of it.
        problem: Option<Problem>,
    },
    /// The answers could not be taken away, which does no harm to the certificate.
    CleanUpFailed {
        /// Why.
        message: String,
    },
    /// The CA was asked for the certificate.
    Finalizing,
    /// The certificate is here and verified.
    Issued,
    /// A step did not work and another way is tried.
    Retrying {
        /// Why.
        why: String,
        /// How long until then.
        after: Duration,
    },
    /// Something that is worth knowing and stops nothing.
    Warning {
        /// What.
        message: String,
    },
}

/// Is told what happens. It is called between the steps, so it must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

/// Nobody watches.
impl Progress for () {
    fn event(&self, _: Event) {}
}

impl<F: Fn(Event) + Send + Sync> Progress for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
