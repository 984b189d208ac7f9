//! One certificate that is wanted, with all that is needed to ask for it: from options, or from an earlier record.

use crate::account_store::Enrolment;
use crate::args::{self, Authority, Issue, external_account};
use crate::error::Failure;
use gatecert_acme::{Contact, Identifier, MAX_IDENTIFIERS};
use gatecert_issue::{KeySource, KeyType, Request, Wanted};
use gatecert_publish::{CertificateName, FileStore, Http01, Record, RenewalOptions};
use std::collections::BTreeSet;

/// A certificate that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) name: CertificateName,
    /// The first one first, without duplicates.
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) profile: Option<String>,
    pub(crate) key_type: KeyType,
    pub(crate) preferred_chain: Option<String>,
    pub(crate) authority: Authority,
    pub(crate) enrolment: Enrolment,
    pub(crate) http01: Http01,
}

impl Order {
    /// Of `gatecert issue`: everything that can be wrong with the options is found here, before anything is touched.
    pub(crate) fn from_arguments(arguments: &Issue) -> Result<Self, Failure> {
        let addresses = arguments.addresses.iter().map(|address| Identifier::Ip(*address));
        let identifiers = unique(arguments.domains.iter().cloned().chain(addresses))?;
        let http01 = match &arguments.webroot {
            Some(webroot) => Http01::Webroot(absolute(webroot)?),
            None => Http01::Listen(arguments.http01_listen.to_string()),
        };
        let mut authority = arguments.authority.clone();
        authority.ca_file = authority.ca_file.as_deref().map(absolute).transpose()?;
        Ok(Self {
            name: name_of(&identifiers)?,
            identifiers,
            profile: arguments.profile.clone(),
            key_type: arguments.key_type,
            preferred_chain: arguments.preferred_chain.as_ref().map(ToString::to_string),
            authority,
            enrolment: enrolment(&arguments.enrolment)?,
            http01,
        })
    }

    /// Of a certificate that was issued before: the same again.
    pub(crate) fn from_record(record: &Record) -> Result<Self, Failure> {
        let damaged = |what: &str| Failure::usage(format!("cert.json of `{}` has {what}", record.name));
        let identifiers = record.identifiers.iter().map(|text| text.parse::<Identifier>());
        let identifiers =
            identifiers.collect::<Result<Vec<_>, _>>().map_err(|error| damaged(&error.to_string()))?;
        let emails = record.renewal.email.iter().flat_map(|emails| emails.split(','));
        let contacts = emails
            .map(Contact::email)
            .collect::<Result<_, _>>()
            .map_err(|error| damaged(&error.to_string()))?;
        Ok(Self {
            name: record.name.clone(),
            identifiers: unique(identifiers)?,
            profile: record.profile.clone(),
            key_type: record.key_type.parse().map_err(|_| damaged("an unknown key type"))?,
            preferred_chain: record.renewal.preferred_chain.clone(),
            authority: Authority { server: record.server.clone(), ca_file: record.renewal.ca_file.clone() },
            enrolment: Enrolment { contacts, external_account: None, is_for_new_only: true },
            http01: record.renewal.http01.clone(),
        })
    }

    /// As the planner sees it.
    pub(crate) fn wanted(&self) -> Wanted {
        self.request().wanted(&self.authority.server)
    }

    /// As the issuance takes it.
    pub(crate) fn request(&self) -> Request {
        // A text that is no fingerprint is a name, so this does not fail.
        let preferred_chain = self.preferred_chain.as_ref().and_then(|text| text.parse().ok());
        Request::new(self.identifiers.iter().cloned())
            .key(KeySource::New(self.key_type))
            .profile(self.profile.clone())
            .preferred_chain(preferred_chain)
    }

    /// What a renewal needs to know.
    pub(crate) fn renewal_options(&self) -> RenewalOptions {
        let emails: Vec<String> = self.enrolment.contacts.iter().map(ToString::to_string).collect();
        RenewalOptions {
            http01: self.http01.clone(),
            email: (!emails.is_empty()).then(|| emails.join(",")),
            preferred_chain: self.preferred_chain.clone(),
            ca_file: self.authority.ca_file.clone(),
        }
    }
}

pub(crate) fn unique(identifiers: impl IntoIterator<Item = Identifier>) -> Result<Vec<Identifier>, Failure> {
    let mut seen = BTreeSet::new();
    let unique: Vec<_> =
        identifiers.into_iter().filter(|identifier| seen.insert(identifier.clone())).collect();
    if unique.is_empty() {
        return Err(Failure::usage("there is no name to issue for")
            .hint("give at least one with -d NAME or --ip ADDRESS"));
    }
    if unique.len() > MAX_IDENTIFIERS {
        let count = unique.len();
        return Err(Failure::usage(format!(
            "{count} names are more than the {MAX_IDENTIFIERS} that one certificate can have"
        ))
        .hint("issue several certificates, each with some of the names"));
    }
    if let Some(wildcard) = unique.iter().find(|identifier| identifier.is_wildcard()) {
        return Err(Failure::usage(format!(
            "`{wildcard}` can not be proved over HTTP: a wildcard needs DNS (RFC 8555 §8.3)"
        ))
        .hint("give each name by itself; up to 100 fit into one certificate"));
    }
    Ok(unique)
}

pub(crate) fn name_of(identifiers: &[Identifier]) -> Result<CertificateName, Failure> {
    let first = identifiers.first().map(Identifier::value).unwrap_or_default();
    FileStore::name_for(&first).map_err(|error| Failure::usage(error.to_string()))
}

pub(crate) fn enrolment(options: &args::Enrolment) -> Result<Enrolment, Failure> {
    Ok(Enrolment {
        contacts: options.emails.clone(),
        external_account: external_account(options)?,
        is_for_new_only: false,
    })
}

/// Kept for renewals, which may run in another directory.
fn absolute(path: &std::path::Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}
