//! The Certificates: what is wanted, which of them share a Secret, and what is known ahead of the watch.

use gatecert_api::{Certificate, CertificateStatus, IssuerKind, annotation};
use gatecert_render::{ObjectName, Owner};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// All Certificates.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The Certificates as the watch gives them.
    pub(crate) store: Store<Certificate>,
    index: Mutex<Index>,
    deleted: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Index {
    /// The Certificates that want a Secret, the oldest first.
    by_secret: HashMap<ObjectName, Vec<Rival>>,
    /// The Certificates that are there, by their uids.
    known: HashMap<String, Known>,
    /// Statuses that were written and may not have come back by the watch.
    written: HashMap<String, Box<(String, CertificateStatus)>>,
    /// Statuses that could not be written. They hold what else is lost: failures, what was ordered.
    unwritten: HashMap<String, CertificateStatus>,
    /// Up to which version a request for a renewal has been obeyed.
    obeyed: HashMap<String, u64>,
    /// How many looks in a row the API server had no answer for.
    unanswered: HashMap<String, u32>,
    /// Issuances under way, and the generation that each is for.
    running: HashMap<String, (i64, watch::Sender<Option<Interruption>>)>,
}

/// What is kept of a Certificate that is there.
#[derive(Debug)]
struct Known {
    /// The generation that was seen last.
    generation: i64,
    /// The Secret that it wants, so that it can be taken out of those that want it.
    secret: ObjectName,
    /// When the CA is asked again about the renewal of its certificate. The status has an earlier time where the answer in between
    /// was the same: that alone is not worth a write.
    ask_at: Option<Timestamp>,
}

/// A Certificate among those that want one Secret. Nearly always it is alone, so that these are in vectors: a map of one
/// takes over a kilobyte.
#[derive(Debug)]
struct Rival {
    /// When it was created, and its uid where that is the same.
    age: (Option<Timestamp>, String),
    name: ObjectName,
}

/// Why an issuance under way comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The Certificate is another one now.
    Changed,
    /// The Certificate is gone.
    Deleted,
}

/// Marks an issuance as under way until it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    certificates: &'a Certificates,
    uid: String,
    /// Says when it comes to nothing.
    pub(crate) interruption: watch::Receiver<Option<Interruption>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.certificates.index().running.remove(&self.uid);
    }
}

/// The namespace and name of the Secret that a Certificate wants.
pub(crate) fn secret_of(certificate: &Certificate) -> ObjectName {
    let own = || certificate.namespace().unwrap_or_default();
    let namespace = certificate.spec.secret_namespace.clone().unwrap_or_else(own);
    ObjectName::new(namespace, &certificate.spec.secret_name)
}

/// A Certificate as its objects name it.
pub(crate) fn owner_of(certificate: &Certificate) -> Owner {
    Owner {
        namespace: certificate.namespace().unwrap_or_default(),
        name: certificate.name_any(),
        uid: certificate.uid().unwrap_or_default(),
    }
}

/// A Certificate as queues name it. They keep that for as long as it is there, and need neither uid nor version.
pub(crate) fn reference_to(certificate: &Certificate) -> ObjectRef<Certificate> {
    ObjectRef::new(&certificate.name_any()).within(&certificate.namespace().unwrap_or_default())
}

fn age_of(certificate: &Certificate) -> (Option<Timestamp>, String) {
    (certificate.creation_timestamp().map(|time| time.0), certificate.uid().unwrap_or_default())
}

impl Certificates {
    pub(crate) fn new(store: Store<Certificate>) -> Self {
        Self { store, index: Mutex::default(), deleted: watch::Sender::new(0) }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event of the watch, and gives the Certificates that have to be looked at: those that want the same
    /// Secret as one that goes.
    pub(crate) fn observe(&self, event: &Event<Certificate>) -> Vec<ObjectRef<Certificate>> {
        match event {
            Event::Apply(certificate) | Event::InitApply(certificate) => {
                let mut index = self.index();
                let mut changed = index.apply(certificate);
                // Until a list is complete the store has what was there before.
                if matches!(event, Event::Apply(_)) {
                    index.forget_written(certificate);
                }
                changed.push(reference_to(certificate));
                changed
            }
            Event::Delete(certificate) => {
                self.deleted.send_modify(|count| *count = count.wrapping_add(1));
                self.index().delete(certificate)
            }
            Event::Init => Vec::new(),
            Event::InitDone => self.index().keep_only(&self.store.state()),
        }
    }

    /// Changes when a Certificate was deleted.
    pub(crate) fn deleted(&self) -> watch::Receiver<u64> {
        self.deleted.subscribe()
    }

    /// The other Certificate, older than this one, that wants the same Secret and may have it: else whoever names the
    /// Secrets of others first would keep them from their owners.
    pub(crate) fn older_rival(
        &self,
        certificate: &Certificate,
        may_have_it: impl Fn(&ObjectName) -> bool,
    ) -> Option<ObjectName> {
        let index = self.index();
        let mut all = index.by_secret.get(&secret_of(certificate))?.iter();
        let own = certificate.uid().unwrap_or_default();
        let first = all.find(|rival| rival.age.1 == own || may_have_it(&rival.name))?;
        (first.age.1 != own).then(|| first.name.clone())
    }

    /// The Certificates that want a Secret.
    pub(crate) fn of_secret(&self, secret: &ObjectName) -> Vec<ObjectRef<Certificate>> {
        let index = self.index();
        index.by_secret.get(secret).into_iter().flatten().map(Rival::reference).collect()
    }

    /// The Certificates of an issuer.
    pub(crate) fn of_issuer(
        &self,
        kind: IssuerKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Vec<ObjectRef<Certificate>> {
        let of_it = self.store.state_filter(|certificate| {
            let reference = &certificate.spec.issuer_ref;
            let is_near = namespace.is_none() || namespace == certificate.metadata.namespace.as_deref();
            reference.kind.unwrap_or_default() == kind && reference.name == name && is_near
        });
        of_it.iter().map(|certificate| reference_to(certificate)).collect()
    }

    /// A Certificate as it is now, if it is still there.
    pub(crate) fn current(&self, certificate: &Certificate) -> Option<Arc<Certificate>> {
        let current = self.store.get(&reference_to(certificate))?;
        (current.uid() == certificate.uid()).then_some(current)
    }

    /// How a Certificate stands, as far as is known: the status that was to be written last, whether or not it was.
    pub(crate) fn status(&self, certificate: &Certificate) -> CertificateStatus {
        let uid = certificate.uid().unwrap_or_default();
        let (unwritten, ask_at) = {
            let index = self.index();
            (index.unwritten.get(&uid).cloned(), index.known.get(&uid).and_then(|known| known.ask_at))
        };
        let mut status = unwritten.unwrap_or_else(|| self.written_status(certificate));
        if let Some((ari, ask_at)) = status.ari.as_mut().zip(ask_at) {
            ari.ask_again_at = Time(ask_at);
        }
        status
    }

    /// Notes when the CA is asked again about the renewal of a certificate.
    pub(crate) fn will_ask(&self, certificate: &Certificate, ask_at: Timestamp) {
        if let Some(known) = self.index().known.get_mut(&certificate.uid().unwrap_or_default()) {
            known.ask_at = Some(ask_at);
        }
    }

    /// The latest status that is in the cluster: the one that was written last, until the watch has brought it back. The
    /// store is asked second, since it knows of a version before the written one is forgotten; `certificate` may be older than
    /// both.
    pub(crate) fn written_status(&self, certificate: &Certificate) -> CertificateStatus {
        let uid = certificate.uid().unwrap_or_default();
        if let Some(written) = self.index().written.get(&uid) {
            return written.1.clone();
        }
        self.current(certificate).and_then(|stored| stored.status.clone()).unwrap_or_default()
    }

    /// Remembers a status that was written, until the watch brings that version.
    pub(crate) fn wrote(&self, written: &Certificate, status: CertificateStatus) {
        let version = written.resource_version().unwrap_or_default();
        let (mut index, uid) = (self.index(), written.uid().unwrap_or_default());
        index.unwritten.remove(&uid);
        index.written.insert(uid, Box::new((version, status)));
    }

    /// Remembers a status that could not be written.
    pub(crate) fn did_not_write(&self, certificate: &Certificate, status: CertificateStatus) {
        let (mut index, uid) = (self.index(), certificate.uid().unwrap_or_default());
        if index.known.contains_key(&uid) {
            index.unwritten.insert(uid, status);
        }
    }

    /// Whether somebody asks for a new certificate, and has not got it yet: a watch that is late still shows what was
    /// obeyed.
    pub(crate) fn asks_for_renewal(&self, certificate: &Certificate) -> bool {
        let asks = certificate.annotations().get(annotation::RENEW).is_some_and(|renew| renew == "now");
        let obeyed = self.index().obeyed.get(&certificate.uid().unwrap_or_default()).copied();
        asks && obeyed.is_none_or(|obeyed| version(certificate).is_none_or(|version| version > obeyed))
    }

    /// Notes that a request was obeyed. `after` is the Certificate without it.
    pub(crate) fn obeyed(&self, after: &Certificate) {
        let (mut index, uid) = (self.index(), after.uid().unwrap_or_default());
        if let Some(version) = version(after).filter(|_| index.known.contains_key(&uid)) {
            index.obeyed.insert(uid, version);
        }
    }

    /// Notes that the API server had no answer, and gives how often that was so in a row before.
    pub(crate) fn was_not_answered(&self, certificate: &Certificate) -> u32 {
        let (mut index, uid) = (self.index(), certificate.uid().unwrap_or_default());
        if !index.known.contains_key(&uid) {
            return 0;
        }
        let count = index.unanswered.entry(uid).or_default();
        *count = count.saturating_add(1);
        *count - 1
    }

    /// Notes that the API server answered.
    pub(crate) fn was_answered(&self, certificate: &Certificate) {
        self.index().unanswered.remove(&certificate.uid().unwrap_or_default());
    }

    /// Whether a Certificate is there, and whether an issuance of it is under way.
    pub(crate) fn is_known_and_running(&self, uid: &str) -> (bool, bool) {
        let index = self.index();
        (index.known.contains_key(uid), index.running.contains_key(uid))
    }

    /// Marks an issuance as under way. It comes to nothing at once where the Certificate is another one by now, or gone.
    pub(crate) fn begin(&self, certificate: &Certificate) -> Running<'_> {
        let uid = certificate.uid().unwrap_or_default();
        let generation = certificate.metadata.generation.unwrap_or_default();
        let mut index = self.index();
        let come_to_nothing = match index.known.get(&uid) {
            None => Some(Interruption::Deleted),
            Some(known) if known.generation != generation => Some(Interruption::Changed),
            Some(_) => None,
        };
        let (sender, interruption) = watch::channel(come_to_nothing);
        index.running.insert(uid.clone(), (generation, sender));
        drop(index);
        Running { certificates: self, uid, interruption }
    }
}

/// Tells changes that have to be looked at from echoes of one's own status: those leave generation and annotations as
/// they were.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<String, u64>);

impl Seen {
    /// Whether an event is worth a look.
    pub(crate) fn is_news<K: Resource>(&mut self, event: &Event<K>) -> bool {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let uid = object.meta().uid.clone().unwrap_or_default();
                let mut hasher = DefaultHasher::new();
                (object.meta().generation, &object.meta().annotations).hash(&mut hasher);
                let now = hasher.finish();
                self.0.insert(uid, now) != Some(now)
            }
            Event::Delete(object) => {
                self.0.remove(&object.meta().uid.clone().unwrap_or_default());
                true
            }
            Event::Init | Event::InitDone => true,
        }
    }
}

/// Versions of one object grow, as numbers (Kubernetes KEP-5504).
pub(crate) fn version(object: &impl ResourceExt) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

impl Rival {
    fn reference(&self) -> ObjectRef<Certificate> {
        ObjectRef::new(&self.name.name).within(&self.name.namespace)
    }
}

impl Index {
    /// Takes in a Certificate, and gives those that may have the Secret which it wants no more.
    fn apply(&mut self, certificate: &Certificate) -> Vec<ObjectRef<Certificate>> {
        let uid = certificate.uid().unwrap_or_default();
        let secret = secret_of(certificate);
        let generation = certificate.metadata.generation.unwrap_or_default();
        let mut released = Vec::new();
        match self.known.get_mut(&uid) {
            Some(known) if known.secret == secret => known.generation = generation,
            _ => {
                let ask_at = self.known.get(&uid).and_then(|known| known.ask_at);
                released = self.release(&uid);
                self.want(&secret, certificate);
                self.known.insert(uid.clone(), Known { generation, secret, ask_at });
            }
        }
        if let Some((of, running)) = self.running.get(&uid)
            && generation != *of
        {
            running.send_replace(Some(Interruption::Changed));
        }
        released
    }

    /// Puts a Certificate among those that want a Secret.
    fn want(&mut self, secret: &ObjectName, certificate: &Certificate) {
        let name = ObjectName::new(certificate.namespace().unwrap_or_default(), certificate.name_any());
        let rival = Rival { age: age_of(certificate), name };
        // Left alone, a vector begins with room for four.
        let rivals = self.by_secret.entry(secret.clone()).or_insert_with(|| Vec::with_capacity(1));
        let place = rivals.partition_point(|other| other.age < rival.age);
        rivals.insert(place, rival);
    }

    /// Forgets a status that was written, once the store has that version or a later one.
    fn forget_written(&mut self, certificate: &Certificate) {
        let uid = certificate.uid().unwrap_or_default();
        let is_there = |written: &(String, CertificateStatus)| match (version(certificate), written.0.parse())
        {
            (Some(stored), Ok(written)) => stored >= written,
            _ => certificate.resource_version().as_ref() == Some(&written.0),
        };
        if self.written.get(&uid).is_some_and(|written| is_there(written)) {
            self.written.remove(&uid);
        }
    }

    fn delete(&mut self, certificate: &Certificate) -> Vec<ObjectRef<Certificate>> {
        let uid = certificate.uid().unwrap_or_default();
        self.forget(&uid)
    }

    fn forget(&mut self, uid: &str) -> Vec<ObjectRef<Certificate>> {
        self.written.remove(uid);
        self.unwritten.remove(uid);
        self.obeyed.remove(uid);
        self.unanswered.remove(uid);
        if let Some((_, running)) = self.running.get(uid) {
            running.send_replace(Some(Interruption::Deleted));
        }
        self.release(uid)
    }

    /// Takes a Certificate away from the Secret that it wants, and gives the others that want it.
    fn release(&mut self, uid: &str) -> Vec<ObjectRef<Certificate>> {
        let Some(known) = self.known.remove(uid) else { return Vec::new() };
        let Some(rivals) = self.by_secret.get_mut(&known.secret) else { return Vec::new() };
        rivals.retain(|rival| rival.age.1 != uid);
        let left: Vec<_> = rivals.iter().map(Rival::reference).collect();
        if left.is_empty() {
            self.by_secret.remove(&known.secret);
        }
        left
    }

    /// After a complete list: what it did not have was deleted while nobody watched.
    fn keep_only(&mut self, listed: &[Arc<Certificate>]) -> Vec<ObjectRef<Certificate>> {
        listed.iter().for_each(|certificate| self.forget_written(certificate));
        let listed: HashSet<_> = listed.iter().filter_map(|certificate| certificate.uid()).collect();
        let gone: Vec<_> = self.known.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        gone.iter().flat_map(|uid| self.forget(uid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_api::CertificateSpec;
    use kube::runtime::reflector;

    fn certificate(name: &str, secret: &str, generation: i64, version: &str) -> Certificate {
        let spec = CertificateSpec { secret_name: secret.to_owned(), ..CertificateSpec::default() };
        let mut certificate = Certificate::new(name, spec);
        let metadata = &mut certificate.metadata;
        metadata.namespace = Some("a".to_owned());
        metadata.uid = Some(format!("uid-of-{name}"));
        metadata.generation = Some(generation);
        metadata.resource_version = Some(version.to_owned());
        certificate
    }

    fn come_to_nothing(certificates: &Certificates, certificate: &Certificate) -> Option<Interruption> {
        *certificates.begin(certificate).interruption.borrow()
    }

    #[test]
    fn an_issuance_of_what_has_changed_or_gone_comes_to_nothing() {
        let certificates = Certificates::new(reflector::store().0);
        let first = certificate("one", "s", 1, "10");
        assert_eq!(come_to_nothing(&certificates, &first), Some(Interruption::Deleted));
        certificates.observe(&Event::Apply(first.clone()));
        assert_eq!(come_to_nothing(&certificates, &first), None);
        let second = certificate("one", "s", 2, "11");
        certificates.observe(&Event::Apply(second.clone()));
        assert_eq!(come_to_nothing(&certificates, &first), Some(Interruption::Changed));
        assert_eq!(come_to_nothing(&certificates, &second), None);
        certificates.observe(&Event::Delete(second.clone()));
        assert_eq!(come_to_nothing(&certificates, &second), Some(Interruption::Deleted));
    }

    #[test]
    fn looks_without_an_answer_are_counted() {
        let certificates = Certificates::new(reflector::store().0);
        let one = certificate("one", "s", 1, "10");
        assert_eq!(certificates.was_not_answered(&one), 0, "it is not there");
        certificates.observe(&Event::Apply(one.clone()));
        assert_eq!([(); 3].map(|()| certificates.was_not_answered(&one)), [0, 1, 2]);
        certificates.was_answered(&one);
        assert_eq!(certificates.was_not_answered(&one), 0);
    }

    #[test]
    fn a_rival_hears_of_a_secret_that_is_given_up() {
        let certificates = Certificates::new(reflector::store().0);
        let names = |event| {
            let changed = certificates.observe(&event).into_iter().map(|reference| reference.name);
            changed.collect::<Vec<_>>()
        };
        assert_eq!(names(Event::Apply(certificate("one", "s", 1, "10"))), ["one"]);
        assert_eq!(names(Event::Apply(certificate("two", "s", 1, "11"))), ["two"]);
        assert_eq!(names(Event::Apply(certificate("one", "s", 1, "12"))), ["one"]);
        assert_eq!(names(Event::Apply(certificate("one", "other", 2, "13"))), ["two", "one"]);
        assert_eq!(names(Event::Apply(certificate("one", "s", 3, "14"))), ["one"]);
        assert_eq!(names(Event::Delete(certificate("one", "s", 3, "15"))), ["two"]);
    }

    #[test]
    fn a_written_status_stays_until_the_store_has_it() {
        let (store, mut writer) = reflector::store();
        let certificates = Certificates::new(store);
        let mut hear = |event: Event<Certificate>| {
            writer.apply_watcher_event(&event);
            certificates.observe(&event);
            certificates.written_status(&certificate("one", "s", 1, "10")).revision
        };
        hear(Event::Apply(certificate("one", "s", 1, "10")));
        let status = CertificateStatus { revision: Some(2), ..CertificateStatus::default() };
        certificates.wrote(&certificate("one", "s", 1, "12"), status.clone());
        assert_eq!(hear(Event::Apply(certificate("one", "s", 1, "11"))), Some(2), "an older one");
        // The store has what a list brings when that is complete.
        assert_eq!(hear(Event::Init), Some(2));
        let mut later = certificate("one", "s", 1, "13");
        later.status = Some(CertificateStatus { revision: Some(3), ..status });
        assert_eq!(hear(Event::InitApply(later)), Some(2));
        assert_eq!(hear(Event::InitDone), Some(3));
    }
}
