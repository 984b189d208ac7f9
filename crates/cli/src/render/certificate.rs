//! `gatecert render certificate`

use super::value;
use crate::args;
use crate::error::Failure;
use gatecert_api::{Certificate, CertificateSpec, IssuerKind, IssuerReference};
use gatecert_render::{ObjectName, secret_grant};
use serde_json::Value;

pub(super) fn certificate(arguments: &args::Certificate) -> Result<Vec<Value>, Failure> {
    let name = arguments.name.as_ref().unwrap_or(&arguments.secret);
    let mut certificate = Certificate::new(name, spec(arguments));
    certificate.metadata.namespace = arguments.namespace.clone();
    let mut objects = Vec::new();
    if let (Some(from), Some(to)) = (&arguments.namespace, &certificate.spec.secret_namespace) {
        objects.push(value(&secret_grant(from, &ObjectName::new(to, &arguments.secret)))?);
    }
    objects.push(value(&certificate)?);
    Ok(objects)
}

fn spec(arguments: &args::Certificate) -> CertificateSpec {
    let names: Vec<_> = arguments.domains.iter().map(ToString::to_string).collect();
    let addresses: Vec<_> = arguments.addresses.iter().map(ToString::to_string).collect();
    CertificateSpec {
        secret_name: arguments.secret.clone(),
        secret_namespace: arguments
            .secret_namespace
            .clone()
            .filter(|namespace| Some(namespace) != arguments.namespace.as_ref()),
        dns_names: Some(names).filter(|names| !names.is_empty()),
        ip_addresses: Some(addresses).filter(|addresses| !addresses.is_empty()),
        issuer_ref: issuer(arguments),
        profile: arguments.profile.clone(),
        ..CertificateSpec::default()
    }
}

fn issuer(arguments: &args::Certificate) -> IssuerReference {
    let (kind, name) = match (&arguments.issuer, &arguments.cluster_issuer) {
        (_, Some(name)) => (Some(IssuerKind::ClusterIssuer), name.clone()),
        (name, None) => (None, name.clone().unwrap_or_default()),
    };
    IssuerReference { name, kind, group: None }
}
