//! A Certificate's spec, resolved: names that are names, a key type, an issuer that is ready.

use crate::certificate::Obstacle;
use crate::certificates::{owner_of, secret_of};
use crate::controller::Controller;
use crate::issuer::{Authority, IssuerKey, PENDING};
use gatecert_acme::{ChainPreference, Identifier};
use gatecert_api::{Algorithm, Certificate};
use gatecert_issue::{CertificateFacts, KeyType, Wanted};
use gatecert_render::{ObjectName, Owner, gateway_api, secret_grant};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a Certificate wants.
pub(crate) struct Wish {
    pub(crate) owner: Owner,
    pub(crate) secret: ObjectName,
    pub(crate) wanted: Wanted,
    pub(crate) common_name: Option<Identifier>,
    pub(crate) preferred_chain: Option<ChainPreference>,
    pub(crate) is_key_kept: bool,
    pub(crate) renew_before: RenewBefore,
    pub(crate) authority: Arc<Authority>,
}

/// How long before its end a certificate is renewed at the latest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RenewBefore {
    /// As is usual.
    Usual,
    /// So long.
    Time(SignedDuration),
    /// So many percent of its life.
    Percent(i32),
}

impl RenewBefore {
    /// The time for one certificate.
    pub(crate) fn of(self, facts: &CertificateFacts) -> Option<SignedDuration> {
        match self {
            Self::Usual => None,
            Self::Time(time) => Some(time),
            Self::Percent(percent) => Some(facts.life() * percent / 100),
        }
    }
}

fn renew_before(certificate: &Certificate) -> Result<RenewBefore, Obstacle> {
    let spec = &certificate.spec;
    let invalid = || Obstacle::new("InvalidSpec", "renewBefore is no duration such as 360h");
    match (&spec.renew_before, spec.renew_before_percentage) {
        (Some(text), _) => {
            let time: kube::core::Duration = text.parse().map_err(|_| invalid())?;
            let time = std::time::Duration::from(time);
            Ok(RenewBefore::Time(SignedDuration::try_from(time).map_err(|_| invalid())?))
        }
        (None, Some(percent)) => Ok(RenewBefore::Percent(percent.clamp(1, 99))),
        (None, None) => Ok(RenewBefore::Usual),
    }
}

/// Resolves a Certificate's spec.
pub(crate) fn wish(certificate: &Certificate, controller: &Controller) -> Result<Wish, Obstacle> {
    let (owner, secret) = (owner_of(certificate), secret_of(certificate));
    let identifiers = identifiers(certificate)?;
    let consented = |from: &str| match secret.namespace == from {
        true => Ok(()),
        false => consent(from, &secret, &controller.caches.reference_grants()),
    };
    consented(&owner.namespace)?;
    let may_have_it = |rival: &ObjectName| consented(&rival.namespace).is_ok();
    if let Some(older) = controller.certificates.older_rival(certificate, may_have_it) {
        return Err(Obstacle::new(
            "SecretConflict",
            format!(
                "Certificate {older} is older and wants Secret {secret} too: give one of them another secretName"
            ),
        ));
    }
    let authority = authority(certificate, &owner, controller)?;
    let spec = &certificate.spec;
    let common_name = spec.common_name.as_deref().map(Identifier::dns).transpose();
    let common_name =
        common_name.map_err(|error| Obstacle::new("InvalidSpec", format!("commonName: {error}")))?;
    let directory = authority.account.client().directory_url().clone();
    Ok(Wish {
        wanted: Wanted {
            identifiers,
            key_type: key_type(certificate)?,
            directory,
            profile: spec.profile.clone().or_else(|| authority.spec.profile.clone()),
        },
        common_name,
        preferred_chain: preferred_chain(authority.spec.preferred_chain.as_deref()),
        is_key_kept: spec.key().is_kept(),
        renew_before: renew_before(certificate)?,
        owner,
        secret,
        authority,
    })
}

fn identifiers(certificate: &Certificate) -> Result<BTreeSet<Identifier>, Obstacle> {
    let invalid = |message: String| Obstacle::new("InvalidSpec", message);
    let identifiers: BTreeSet<Identifier> = certificate
        .spec
        .names()
        .map(|name| name.parse::<Identifier>().map_err(|error| invalid(error.to_string())))
        .collect::<Result<_, _>>()?;
    if identifiers.is_empty() {
        return Err(invalid("at least one of dnsNames and ipAddresses is needed".to_owned()));
    }
    match identifiers.iter().find(|identifier| identifier.is_wildcard()) {
        Some(wildcard) => {
            Err(invalid(format!("{wildcard}: a wildcard can not be proved by HTTP-01: name each host")))
        }
        None => Ok(identifiers),
    }
}

fn key_type(certificate: &Certificate) -> Result<KeyType, Obstacle> {
    match certificate.spec.key().algorithm() {
        (Algorithm::Ecdsa, 256) => Ok(KeyType::EcdsaP256),
        (Algorithm::Ecdsa, 384) => Ok(KeyType::EcdsaP384),
        (Algorithm::Rsa, 2048) => Ok(KeyType::Rsa2048),
        (Algorithm::Rsa, 3072) => Ok(KeyType::Rsa3072),
        (Algorithm::Rsa, 4096) => Ok(KeyType::Rsa4096),
        (_, size) => {
            Err(Obstacle::new("InvalidSpec", format!("privateKey.size: {size} bits are not possible")))
        }
    }
}

fn preferred_chain(text: Option<&str>) -> Option<ChainPreference> {
    text.map(|text| match text.parse::<ChainPreference>() {
        Ok(preference) => preference,
        Err(never) => match never {},
    })
}

fn authority(
    certificate: &Certificate,
    owner: &Owner,
    controller: &Controller,
) -> Result<Arc<Authority>, Obstacle> {
    let key = IssuerKey::of(&certificate.spec.issuer_ref, &owner.namespace);
    match controller.issuers.get(&key) {
        Some(Ok(authority)) => Ok(authority),
        Some(Err(why)) if why.reason == PENDING => Err(Obstacle::new(PENDING, why.message)),
        Some(Err(why)) => Err(Obstacle::new(
            "IssuerNotReady",
            format!("{key} is not ready ({}): {}", why.reason, why.message),
        )),
        None => Err(Obstacle::new("IssuerNotFound", format!("{key} does not exist"))),
    }
}

/// Whether the namespace of a Secret lets Certificates of another one write it.
fn consent(
    from: &str,
    secret: &ObjectName,
    grants: &[Arc<gateway_api::ReferenceGrant>],
) -> Result<(), Obstacle> {
    let is_given = grants.iter().any(|grant| {
        let is_from =
            grant.spec.from.iter().any(|by| {
                by.group == gatecert_api::GROUP && by.kind == "Certificate" && by.namespace == from
            });
        let is_to = grant.spec.to.iter().any(|to| {
            let is_it = to.name.as_ref().is_none_or(|name| *name == secret.name);
            to.group.is_empty() && to.kind == "Secret" && is_it
        });
        grant.metadata.namespace.as_deref() == Some(&secret.namespace) && is_from && is_to
    });
    if is_given {
        return Ok(());
    }
    let ObjectName { namespace, name } = secret;
    let grant = serde_json::to_string(&secret_grant(from, secret)).unwrap_or_default();
    Err(Obstacle::new(
        "SecretNamespaceNotAllowed",
        format!(
            "namespace {namespace} does not let Certificates of {from} write Secret {name}; to let them, give this to \
             kubectl apply -f -: {grant}"
        ),
    ))
}
