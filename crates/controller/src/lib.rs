//! The controller of gatecert, as a library: watches, plans, issues and publishes certificates in a cluster. [`run`] is
//! the whole program but for `main`.
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

mod acme_requests;
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
pub use replica::{RunError, run, signals};
