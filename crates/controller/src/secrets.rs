//! What is known of gatecert's own Secrets: facts instead of contents, so that a thousand certificates need little
//! memory and no private key stays in it.

use crate::certificates::version;
use gatecert_api::annotation;
use gatecert_issue::{CertificateFacts, CertificateKey, Entry, Origin, facts, verify};
use gatecert_publish::kubernetes::{Ownership, ownership, pair};
use gatecert_render::ObjectName;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// The key of the value that keeps an order in a pending-key Secret.
pub(crate) const JOURNAL: &str = "journal.json";

/// Gatecert's own Secrets, by name.
///
/// What this process has written or deleted is known at once. Events of the watch that are older than that change
/// nothing: else a Secret that was just written would seem to be what it was before.
#[derive(Debug, Default)]
pub(crate) struct Secrets(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    secrets: HashMap<ObjectName, Arc<KnownSecret>>,
    /// The uids of those that were deleted by this process, until the watch says so too.
    deleted: HashSet<String>,
    /// Those seen since the last complete list began.
    listed: Option<HashSet<ObjectName>>,
    /// The version that the watch has come to: it tells of changes in their order.
    watched: u64,
}

/// What one Secret is.
#[derive(Debug)]
pub(crate) struct KnownSecret {
    uid: String,
    /// The resource version, which grows (Kubernetes API conventions, since 1.35).
    version: u64,
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
        self.0.read().unwrap_or_else(PoisonError::into_inner).secrets.get(name).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(ObjectName, Arc<KnownSecret>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.secrets.iter().map(|(name, secret)| (name.clone(), Arc::clone(secret))).collect()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a Secret that was written just now, ahead of the watch.
    pub(crate) fn insert(&self, secret: &Secret) -> Arc<KnownSecret> {
        let (name, written) = (name_of(secret), Arc::new(KnownSecret::of(secret)));
        let mut known = self.write();
        if let Some(listed) = &mut known.listed {
            // The list that is being read may be from before.
            listed.insert(name.clone());
        }
        let is_later =
            |other: &&Arc<KnownSecret>| other.uid == written.uid && other.version > written.version;
        if let Some(later) = known.secrets.get(&name).filter(is_later) {
            // Somebody has changed it since, and the watch was faster than the answer.
            return Arc::clone(later);
        }
        let is_there = known.secrets.get(&name).is_some_and(|other| other.uid == written.uid);
        if !is_there && written.version <= known.watched {
            // Somebody has deleted it since.
            return written;
        }
        known.secrets.insert(name, Arc::clone(&written));
        written
    }

    /// Forgets a Secret that was deleted just now, ahead of the watch.
    pub(crate) fn remove(&self, name: &ObjectName) {
        let mut known = self.write();
        if let Some(secret) = known.secrets.remove(name) {
            known.deleted.insert(secret.uid.clone());
        }
    }

    /// Takes in an event of the watch, and gives the Secrets that changed.
    pub(crate) fn observe(&self, event: &Event<Secret>) -> Vec<ObjectName> {
        match event {
            Event::Init => {
                self.write().listed = Some(HashSet::new());
                Vec::new()
            }
            Event::Apply(secret) | Event::InitApply(secret) => {
                let name = name_of(secret);
                let is_known = self.write().is_known(&name, secret);
                // Without the lock: reading a certificate takes a while.
                let read = (!is_known).then(|| KnownSecret::of(secret));
                let mut known = self.write();
                let changed = read.and_then(|read| known.apply(name, read));
                // Lists have no order.
                if matches!(event, Event::Apply(_)) {
                    known.come_to(secret);
                }
                changed.into_iter().collect()
            }
            Event::Delete(secret) => {
                let uid = secret.uid().unwrap_or_default();
                let mut known = self.write();
                known.come_to(secret);
                known.delete(name_of(secret), &uid).into_iter().collect()
            }
            Event::InitDone => self.write().keep_listed(),
        }
    }
}

impl Known {
    /// Whether just this version is known: what was written comes back by the watch, and all comes again where a list does.
    fn is_known(&mut self, name: &ObjectName, secret: &Secret) -> bool {
        let is_known = self.secrets.get(name).is_some_and(|known| {
            version(secret) == Some(known.version) && secret.uid().as_ref() == Some(&known.uid)
        });
        if let Some(listed) = self.listed.as_mut().filter(|_| is_known) {
            listed.insert(name.clone());
        }
        is_known
    }

    fn come_to(&mut self, secret: &Secret) {
        self.watched = self.watched.max(version(secret).unwrap_or_default());
    }

    fn apply(&mut self, name: ObjectName, secret: KnownSecret) -> Option<ObjectName> {
        if let Some(listed) = &mut self.listed {
            listed.insert(name.clone());
        }
        let is_older = |known: &Arc<KnownSecret>| known.version > secret.version;
        if self.deleted.contains(&secret.uid) || self.secrets.get(&name).is_some_and(is_older) {
            return None;
        }
        self.secrets.insert(name.clone(), Arc::new(secret));
        Some(name)
    }

    fn delete(&mut self, name: ObjectName, uid: &str) -> Option<ObjectName> {
        self.deleted.remove(uid);
        // Another one of that name may have been written meanwhile.
        if self.secrets.get(&name).is_some_and(|known| known.uid == uid) {
            self.secrets.remove(&name);
            return Some(name);
        }
        None
    }

    /// After a complete list: what it did not have was deleted while nobody watched.
    fn keep_listed(&mut self) -> Vec<ObjectName> {
        let Some(listed) = self.listed.take() else { return Vec::new() };
        self.deleted.clear();
        let gone: Vec<_> = self.secrets.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| drop(self.secrets.remove(name)));
        gone
    }
}

fn name_of(secret: &Secret) -> ObjectName {
    ObjectName::new(secret.namespace().unwrap_or_default(), secret.name_any())
}

impl KnownSecret {
    /// What a Secret is. Its contents are not kept.
    pub(crate) fn of(secret: &Secret) -> Self {
        Self {
            uid: secret.uid().unwrap_or_default(),
            version: version(secret).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn secret(uid: &str, version: &str) -> Secret {
        Secret {
            metadata: ObjectMeta {
                namespace: Some("a".into()),
                name: Some("s".into()),
                uid: Some(uid.into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        }
    }

    fn version(secrets: &Secrets) -> Option<u64> {
        secrets.get(&ObjectName::new("a", "s")).map(|known| known.version)
    }

    #[test]
    fn late_events_change_nothing() {
        let secrets = Secrets::default();
        secrets.insert(&secret("1", "10"));
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "9"))), []);
        assert_eq!(version(&secrets), Some(10));
        secrets.remove(&ObjectName::new("a", "s"));
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "10"))), []);
        assert_eq!(version(&secrets), None);
        assert_eq!(secrets.observe(&Event::Delete(secret("1", "11"))), []);
        // The next one of that name is another.
        secrets.insert(&secret("2", "12"));
        assert_eq!(secrets.observe(&Event::Delete(secret("1", "11"))), []);
        assert_eq!(version(&secrets), Some(12));
        assert_eq!(secrets.observe(&Event::Delete(secret("2", "13"))), [ObjectName::new("a", "s")]);
        assert_eq!(version(&secrets), None);
    }

    #[test]
    fn what_is_known_already_is_no_news() {
        let secrets = Secrets::default();
        let known = secrets.insert(&secret("1", "10"));
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "10"))), []);
        assert!(Arc::ptr_eq(&known, &secrets.get(&ObjectName::new("a", "s")).unwrap()), "it was read again");
        // A list that has it again keeps it.
        secrets.observe(&Event::Init);
        assert_eq!(secrets.observe(&Event::InitApply(secret("1", "10"))), []);
        secrets.observe(&Event::InitDone);
        assert_eq!(version(&secrets), Some(10));
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "11"))).len(), 1);
        assert_eq!(secrets.observe(&Event::Apply(secret("2", "11"))).len(), 1);
    }

    #[test]
    fn what_a_list_has_not_is_gone() {
        let secrets = Secrets::default();
        secrets.insert(&secret("1", "10"));
        secrets.observe(&Event::Init);
        // Whoever wanted it has to hear of it.
        assert_eq!(secrets.observe(&Event::InitDone), [ObjectName::new("a", "s")]);
        assert_eq!(version(&secrets), None);
    }

    #[test]
    fn what_is_written_during_a_list_stays() {
        let secrets = Secrets::default();
        secrets.observe(&Event::Init);
        secrets.insert(&secret("1", "10"));
        assert_eq!(secrets.observe(&Event::InitDone), []);
        assert_eq!(version(&secrets), Some(10));
    }

    #[test]
    fn a_late_answer_does_not_hide_what_came_after() {
        let secrets = Secrets::default();
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "11"))).len(), 1);
        assert_eq!(secrets.insert(&secret("1", "10")).version, 11);
        assert_eq!(version(&secrets), Some(11));
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_was_deleted() {
        let name = ObjectName::new("a", "s");
        let secrets = Secrets::default();
        assert_eq!(secrets.observe(&Event::Apply(secret("1", "10"))).len(), 1);
        assert_eq!(secrets.observe(&Event::Delete(secret("1", "11"))), std::slice::from_ref(&name));
        assert_eq!(secrets.insert(&secret("1", "10")).version, 10);
        assert_eq!(version(&secrets), None);
        // Nor does it take the place of another one that has come.
        assert_eq!(secrets.observe(&Event::Apply(secret("2", "12"))).len(), 1);
        secrets.insert(&secret("1", "10"));
        assert_eq!(version(&secrets), Some(12));
        // What the watch has not come to yet is there.
        assert_eq!(secrets.observe(&Event::Delete(secret("2", "13"))), [name]);
        secrets.insert(&secret("3", "14"));
        assert_eq!(version(&secrets), Some(14));
    }
}
