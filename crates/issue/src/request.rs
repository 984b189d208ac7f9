//! What is to be issued.

use crate::key::{CertificateKey, KeyType, check_common_name};
use crate::obtain::ObtainError;
use crate::plan::Wanted;
use gatecert_acme::{CertificateId, ChainPreference, Directory, Identifier, MAX_IDENTIFIERS};
use std::collections::BTreeSet;
use url::Url;

/// Let's Encrypt's profiles with fewer names than [`MAX_IDENTIFIERS`], and how many they allow.
const SMALL_PROFILES: [(&str, usize); 2] = [("tlsserver", 25), ("shortlived", 25)];

/// A certificate that is wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The names and addresses, 1 to 100, no wildcards: HTTP-01 does not prove those.
    pub identifiers: BTreeSet<Identifier>,
    /// The key that the certificate gets.
    pub key: KeySource,
    /// The profile, one that the CA advertises; `None` leaves it to the CA.
    pub profile: Option<String>,
    /// The certificate that the new one replaces (RFC 9773 §5), which frees the order from most limits. Dropped where
    /// the CA refuses it.
    pub replaces: Option<CertificateId>,
    /// The common name that the CSR asks for: one of the names, at most 64 characters. Usually none.
    pub common_name: Option<Identifier>,
    /// Which chain is taken where the CA offers several; its default where none is as preferred.
    pub preferred_chain: Option<ChainPreference>,
}

/// Where the key of a certificate comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A new key of this type.
    New(KeyType),
    /// This key again.
    Reuse(CertificateKey),
}

impl KeySource {
    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::New(key_type) => *key_type,
            Self::Reuse(key) => key.key_type(),
        }
    }
}

impl Request {
    /// A certificate for these names with a new P-256 key.
    pub fn new(identifiers: impl IntoIterator<Item = Identifier>) -> Self {
        Self {
            identifiers: identifiers.into_iter().collect(),
            key: KeySource::New(KeyType::default()),
            profile: None,
            replaces: None,
            common_name: None,
            preferred_chain: None,
        }
    }

    /// With this key.
    pub fn key(mut self, key: KeySource) -> Self {
        self.key = key;
        self
    }

    /// With this profile.
    pub fn profile(mut self, profile: Option<String>) -> Self {
        self.profile = profile;
        self
    }

    /// As a replacement of this certificate.
    pub fn replaces(mut self, certificate: Option<CertificateId>) -> Self {
        self.replaces = certificate;
        self
    }

    /// With this common name.
    pub fn common_name(mut self, name: Option<Identifier>) -> Self {
        self.common_name = name;
        self
    }

    /// With this chain, where the CA has it.
    pub fn preferred_chain(mut self, chain: Option<ChainPreference>) -> Self {
        self.preferred_chain = chain;
        self
    }

    /// The request as [`plan`](crate::plan::plan()) sees it.
    pub fn wanted(&self, directory: &Url) -> Wanted {
        Wanted {
            identifiers: self.identifiers.clone(),
            key_type: self.key.key_type(),
            directory: directory.clone(),
            profile: self.profile.clone(),
        }
    }

    /// Refuses what no CA can issue by HTTP-01, before it costs an order.
    pub(crate) fn check(&self, directory: &Directory) -> Result<(), ObtainError> {
        let count = self.identifiers.len();
        if !(1..=MAX_IDENTIFIERS).contains(&count) {
            return Err(ObtainError::Count { count });
        }
        if let Some(identifier) = self.identifiers.iter().find(|identifier| identifier.is_wildcard()) {
            return Err(ObtainError::Wildcard { identifier: identifier.clone() });
        }
        if let Some(name) = &self.common_name {
            check_common_name(name, self.identifiers.contains(name)).map_err(ObtainError::Key)?;
        }
        match &self.profile {
            Some(profile) if !directory.meta.profiles.contains_key(profile) => {
                Err(ObtainError::ProfileNotOffered {
                    profile: profile.clone(),
                    offered: directory.meta.profiles.keys().cloned().collect(),
                })
            }
            _ => Ok(()),
        }
    }

    /// What is likely to be refused, although it is the CA's to say.
    pub(crate) fn warning(&self) -> Option<String> {
        let profile = self.profile.as_deref()?;
        let (_, most) = SMALL_PROFILES.into_iter().find(|(name, _)| *name == profile)?;
        let count = self.identifiers.len();
        (count > most)
            .then(|| format!("Let's Encrypt takes {most} names with profile `{profile}`, these are {count}"))
    }

    pub(crate) fn has_addresses(&self) -> bool {
        self.identifiers.iter().any(|identifier| matches!(identifier, Identifier::Ip(_)))
    }
}
