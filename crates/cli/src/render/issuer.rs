//! `gatecert render issuer`

use super::value;
use crate::args;
use crate::error::Failure;
use gatecert_api::{AcmeIssuer, ClusterIssuer, ClusterIssuerSpec, Issuer, IssuerSpec};
use serde_json::Value;

pub(super) fn issuer(arguments: &args::Issuer) -> Result<Value, Failure> {
    let acme = AcmeIssuer {
        server: arguments.server.clone(),
        email: arguments.email.as_ref().map(ToString::to_string),
        profile: arguments.profile.clone(),
        ..AcmeIssuer::default()
    };
    if arguments.cluster {
        return value(&ClusterIssuer::new(&arguments.name, ClusterIssuerSpec { acme }));
    }
    let mut issuer = Issuer::new(&arguments.name, IssuerSpec { acme });
    issuer.metadata.namespace = arguments.namespace.clone();
    value(&issuer)
}
