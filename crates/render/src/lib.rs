//! Pure functions that render the Kubernetes objects of gatecert: data in, objects out. No client, no clock, no I/O.
//!
//! Challenge routes take one [`Challenge`] for each name:
//!
//! ```
//! use gatecert_render::{Answer, Challenge, ObjectName, Owner, VirtualServiceRoute, virtual_service};
//!
//! let owner = Owner { namespace: "shop".into(), name: "www".into(), uid: "0e4b".into() };
//! let route = virtual_service(&VirtualServiceRoute {
//!     owner: &owner,
//!     name: "www-acme".into(),
//!     gateways: &[ObjectName::new("istio-system", "public")].into(),
//!     export_to: &["istio-system".to_owned()].into(),
//!     hosts: &["*.example.com".to_owned()].into(),
//!     challenges: &[Challenge {
//!         host: "www.example.com".into(),
//!         token: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0".into(),
//!         key_authorization: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI".into(),
//!     }],
//!     answer: &Answer::Direct,
//! });
//! assert_eq!(route.spec.export_to, ["istio-system"]);
//! ```
//!
//! [`install()`] gives the manifests of the controller itself, with the least rights that it works with.
//!
//! Objects of Istio and of the Gateway API are minimal typed structs of our own, in [`istio`] and [`gateway_api`], that
//! hold what gatecert reads and writes and pass over everything else.

mod challenge;
mod fingerprint;
pub mod gateway_api;
mod http_route;
mod ingress;
mod install;
pub mod istio;
mod monitoring;
mod owner;
mod reference_grant;
mod secret;
mod virtual_service;

pub use challenge::{Answer, CHALLENGE_PATH, Challenge, ServiceName};
pub use fingerprint::fingerprint;
pub use http_route::{HttpRouteForm, http_route};
pub use ingress::{IngressForm, ingress};
pub use install::{InstallOptions, RIGHTS, Right, definitions, install, uninstall};
pub use monitoring::{alerts, dashboard};
pub use owner::{ObjectName, Owner, challenge_name};
pub use reference_grant::{reference_grant, secret_grant};
pub use secret::{
    Publication, pending_key_name, pending_key_secret, placeholder_secret, published_secret,
    template_fingerprint,
};
pub use virtual_service::{RedirectBypass, VirtualServiceRoute, redirect_bypass, virtual_service};

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
