//! The controller of gatecert, as a library: watches, plans, issues and publishes certificates in a cluster.
//! [`run_until_signal`] is the whole program but for `main`, [`run`] what an embedding program calls.
//!
//! ```text
//! sources        annotated Gateways, ListenerSets, Ingresses -> Certificates that they own            source, sources
//! wish           a Certificate's spec, resolved                                                       wish
//! plan           nothing, wait, or issue                                                              certificate
//! place          which gateways serve the names, and may this namespace ask for them there            route
//! wait           within the limits of the CA                                                          budget
//! issue          gatecert-issue, with a Secret as journal and routes as solver                        issuance, journal, solver
//! prove          every gateway is asked as the CA will ask it                                         probe
//! publish        the Secret that the gateway reads                                                    gatecert-publish
//! report         status, events, metrics, the status page                              report, metrics, overview, status_page
//! ```
//!
//! What is pure can be used by itself: [`route::place`](route::place()), and [`source::wanted`], which says what Certificates the
//! annotated objects of a cluster want:
//!
//! ```
//! use gatecert_controller::cluster::Cluster;
//! use gatecert_controller::source::wanted;
//! use serde_json::json;
//!
//! let gateway = serde_json::from_value(json!({
//!     "apiVersion": "networking.istio.io/v1",
//!     "kind": "Gateway",
//!     "metadata": {
//!         "namespace": "shop", "name": "public", "uid": "0e4b",
//!         "annotations": {"gatecert.dev/cluster-issuer": "letsencrypt"},
//!     },
//!     "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{
//!         "port": {"number": 443, "protocol": "HTTPS"},
//!         "hosts": ["www.example.com"],
//!         "tls": {"mode": "SIMPLE", "credentialName": "www"},
//!     }]},
//! }))?;
//! let cluster = Cluster { istio_gateways: vec![std::sync::Arc::new(gateway)], ..Cluster::default() };
//! let certificates = wanted(&cluster).certificates;
//! assert_eq!(certificates[0].spec.names().collect::<Vec<_>>(), ["www.example.com"]);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod acme_requests;
mod api_client;
mod blocked;
mod budget;
mod caches;
mod certificate;
mod certificates;
pub mod cluster;
mod controller;
mod fence;
mod follow;
mod issuance;
mod issuer;
mod journal;
pub mod lease;
mod metrics;
mod options;
mod overview;
mod patience;
mod policy;
mod probe;
mod replica;
mod report;
mod responder;
pub mod route;
mod secrets;
mod solver;
pub mod source;
mod sources;
mod status_page;
mod sweep;
mod wish;

pub use budget::{limits, order_kind};
pub use fence::{Fence, LeaseLost};
pub use options::Options;
pub use replica::{RunError, run, run_until_signal, signals};

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
