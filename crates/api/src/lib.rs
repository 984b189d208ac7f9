//! The custom resources of gatecert (`gatecert.dev/v1`) and its annotations.
//!
//! - [`Issuer`] and [`ClusterIssuer`]: a CA, the account with it, and how names are proved.
//! - [`Certificate`]: names, an issuer, and the Secret that a gateway reads.
//!
//! Field names are those of cert-manager's v1 where the meaning is the same, so that a manifest moves by a change of its
//! `apiVersion`. No field has a default in the schema: an absent field and its default are the same thing, so that a
//! new default never makes a certificate look changed. What an absent field means is given by methods such as
//! [`PrivateKey::algorithm`].
//!
//! ```
//! use gatecert_api::{Certificate, CertificateSpec, IssuerReference};
//!
//! let certificate = Certificate::new(
//!     "www",
//!     CertificateSpec {
//!         secret_name: "www-tls".into(),
//!         dns_names: Some(vec!["www.example.com".into()]),
//!         issuer_ref: IssuerReference { name: "letsencrypt".into(), ..Default::default() },
//!         ..Default::default()
//!     },
//! );
//! assert_eq!(certificate.spec.names().collect::<Vec<_>>(), ["www.example.com"]);
//! ```

#![allow(unreachable_pub, reason = "kube's KubeSchema repeats each struct inside of a function")]
#![allow(clippy::duplicated_attributes, reason = "kube's CustomResource takes one attribute for each column")]

pub mod annotation;
mod certificate;
mod condition;
mod issuer;
mod solver;
mod summary;

pub use certificate::{
    Algorithm, Certificate, CertificateSpec, CertificateStatus, Challenge, FailedAttempts, Issuance,
    IssuerKind, IssuerReference, LastError, OrderType, PrivateKey, RecentOrder, RenewalInformation,
    RotationPolicy, SecretTemplate, Step,
};
pub use condition::{ConditionType, conditions_with};
pub use issuer::{
    AcmeIssuer, AcmeStatus, Allowed, CaServer, ClusterIssuer, ClusterIssuerSpec, ExternalAccountBinding,
    Issuer, IssuerSpec, IssuerStatus, NamespaceSelector, RateLimit, RateLimits, SecretKeyReference,
    SecretReference,
};
pub use solver::{
    Answer, AutoSolver, GatewayApiSolver, GatewayReference, Http01Solver, IngressSolver, IstioSolver,
    ParentReference, Selector, Solver,
};
pub use summary::{CertificateSummary, Health, SummaryAt};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// The API group.
pub const GROUP: &str = "gatecert.dev";

/// The API version.
pub const VERSION: &str = "v1";

/// The definitions of the three resources, as they are installed in a cluster.
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [Certificate::crd(), ClusterIssuer::crd(), Issuer::crd()]
}

/// The example of the README, which compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
