//! What is known of gatecert's own Secrets: facts instead of contents, so that a thousand certificates need little
//! memory and no private key stays in it.

use gatecert_api::annotation;
use gatecert_issue::{CertificateFacts, CertificateKey, Entry, Origin, facts, verify};
use gatecert_publish::kubernetes::{Ownership, ownership, pair};
use gatecert_render::ObjectName;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The key of the value that keeps an order in a pending-key Secret.
pub(crate) const JOURNAL: &str = "journal.json";

/// Gatecert's own Secrets, by name.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    known: RwLock<HashMap<ObjectName, Arc<KnownSecret>>>,
    /// Those seen since the last complete list began.
    listed: RwLock<Option<HashSet<ObjectName>>>,
}

/// What one Secret is.
#[derive(Debug)]
pub(crate) struct KnownSecret {
    /// Whose it is.
    pub(crate) ownership: Ownership,
    /// What is in it.
    pub(crate) content: Content,
    /// What it is for, by its label.
    pub(crate) part: Option<String>,
    /// The uid of the Certificate that it was written for.
    pub(crate) certificate_uid: Option<String>,
    /// The fingerprint of the template that its other annotations and labels come from.
    pub(crate) template: Option<String>,
}

/// What is in a Secret.
#[derive(Debug)]
pub(crate) enum Content {
    /// A certificate with its key, and how it was ordered where that is written.
    Certificate(Box<CertificateFacts>, Option<Origin>),
    /// A self-signed certificate that stands in.
    Placeholder,
    /// The key and the order of an issuance under way.
    Pending(Box<Entry>),
    /// Something that can not be used, for this reason.
    Unreadable(String),
    /// Something that certificates are not made of.
    Other,
}

impl Secrets {
    /// What is known of a Secret, if it is one of gatecert's.
    pub(crate) fn get(&self, name: &ObjectName) -> Option<Arc<KnownSecret>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes in a Secret that was read or written just now, ahead of the watch.
    pub(crate) fn insert(&self, secret: &Secret) -> Arc<KnownSecret> {
        let known = Arc::new(KnownSecret::of(secret));
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name_of(secret), Arc::clone(&known));
        known
    }

    /// Forgets a Secret that was deleted just now, ahead of the watch.
    pub(crate) fn remove(&self, name: &ObjectName) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(ObjectName, Arc<KnownSecret>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, secret)| (name.clone(), Arc::clone(secret))).collect()
    }

    /// Takes in an event of the watch, and gives the Secret that changed.
    pub(crate) fn observe(&self, event: &Event<Secret>) -> Option<ObjectName> {
        match event {
            Event::Init => {
                *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
                None
            }
            Event::Apply(secret) | Event::InitApply(secret) => {
                let name = name_of(secret);
                if let Some(listed) = self.listed.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    listed.insert(name.clone());
                }
                self.insert(secret);
                Some(name)
            }
            Event::Delete(secret) => {
                let name = name_of(secret);
                self.remove(&name);
                Some(name)
            }
            Event::InitDone => {
                if let Some(listed) = self.listed.write().unwrap_or_else(PoisonError::into_inner).take() {
                    let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                    known.retain(|name, _| listed.contains(name));
                }
                None
            }
        }
    }
}

fn name_of(secret: &Secret) -> ObjectName {
    ObjectName::new(secret.namespace().unwrap_or_default(), secret.name_any())
}

impl KnownSecret {
    /// What a Secret is. Its contents are not kept.
    pub(crate) fn of(secret: &Secret) -> Self {
        Self {
            ownership: ownership_of(secret),
            content: content(secret),
            part: secret.labels().get(annotation::PART).cloned(),
            certificate_uid: secret.labels().get(annotation::CERTIFICATE_UID).cloned(),
            template: secret.annotations().get(annotation::SECRET_TEMPLATE).cloned(),
        }
    }
}

fn ownership_of(secret: &Secret) -> Ownership {
    match secret.labels().get(annotation::PART).map(String::as_str) {
        Some(annotation::PART_PENDING_KEY | annotation::PART_ACCOUNT_KEY) => Ownership::Foreign,
        _ => ownership(secret),
    }
}

fn content(secret: &Secret) -> Content {
    match secret.labels().get(annotation::PART).map(String::as_str) {
        Some(annotation::PART_PLACEHOLDER) => Content::Placeholder,
        Some(annotation::PART_ACCOUNT_KEY) => Content::Other,
        Some(annotation::PART_PENDING_KEY) => {
            let journal = secret.data.as_ref().and_then(|data| data.get(JOURNAL));
            let entry = journal.and_then(|journal| serde_json::from_slice(&journal.0).ok());
            entry.map_or(Content::Other, |entry| Content::Pending(Box::new(entry)))
        }
        _ => certificate(secret).unwrap_or_else(Content::Unreadable),
    }
}

fn certificate(secret: &Secret) -> Result<Content, String> {
    let (chain_pem, key_pem) =
        pair(secret).ok_or_else(|| "tls.crt or tls.key is missing or no text".to_owned())?;
    let key = CertificateKey::from_pem(&key_pem).map_err(|error| error.to_string())?;
    let facts = facts(&chain_pem).map_err(|error| error.to_string())?;
    let facts =
        verify(&chain_pem, &key, &facts.identifiers, facts.not_before).map_err(|error| error.to_string())?;
    Ok(Content::Certificate(Box::new(facts), origin(secret)))
}

/// How a certificate was ordered, by the annotations of gatecert. Another client's say nothing of it.
fn origin(secret: &Secret) -> Option<Origin> {
    let annotations = secret.annotations();
    Some(Origin {
        directory: annotations.get(annotation::DIRECTORY)?.parse().ok()?,
        profile: annotations.get(annotation::ACME_PROFILE).filter(|profile| !profile.is_empty()).cloned(),
        issued_at: annotations.get(annotation::ISSUED_AT)?.parse().ok()?,
    })
}
