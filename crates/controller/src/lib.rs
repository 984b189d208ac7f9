//! The controller of gatecert, as a library: watches, plans, issues and publishes certificates in a cluster.

pub mod cluster;
pub mod lease;
pub mod route;
