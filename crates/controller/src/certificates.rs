//! The Certificates: what is wanted, which of them share a Secret, and what is known ahead of the watch.

use gatecert_api::{Certificate, CertificateStatus, IssuerKind, annotation};
use gatecert_render::{ObjectName, Owner};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};
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
    /// The Secret that a Certificate wants, so that it can be taken out of the map above.
    wants: HashMap<String, ObjectName>,
    /// Statuses that were written and may not have come back by the watch.
    written: HashMap<String, Box<(String, CertificateStatus)>>,
    /// Statuses that could not be written. They hold what else is lost: failures, what was ordered.
    unwritten: HashMap<String, CertificateStatus>,
    /// Up to which version a request for a renewal has been obeyed.
    obeyed: HashMap<String, u64>,
    /// When the CA is asked again about the renewal of a certificate. The status has an earlier time where the answer in between
    /// was the same: that alone is not worth a write.
    questions: HashMap<String, Timestamp>,
    /// Issuances under way, and the generation that each is for.
    running: HashMap<String, (i64, watch::Sender<Option<Interruption>>)>,
}

/// A Certificate among those that want one Secret. Nearly always it is alone, so that these are in vectors: a map of one
/// takes over a kilobyte.
#[derive(Debug)]
struct Rival {
    /// When it was created, and its uid where that is the same.
    age: (String, String),
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

fn age_of(certificate: &Certificate) -> (String, String) {
    let created = certificate.creation_timestamp().map(|time| time.0.to_string());
    (created.unwrap_or_default(), certificate.uid().unwrap_or_default())
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
                self.index().apply(certificate);
                vec![ObjectRef::from_obj(certificate)]
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
        of_it.iter().map(|certificate| ObjectRef::from_obj(&**certificate)).collect()
    }

    /// How a Certificate stands, as far as is known: the status that was to be written last, whether or not it was.
    pub(crate) fn status(&self, certificate: &Certificate) -> CertificateStatus {
        let uid = certificate.uid().unwrap_or_default();
        let (unwritten, question) = {
            let index = self.index();
            (index.unwritten.get(&uid).cloned(), index.questions.get(&uid).copied())
        };
        let mut status = unwritten.unwrap_or_else(|| self.written_status(certificate));
        if let Some((ari, ask_at)) = status.ari.as_mut().zip(question) {
            ari.ask_again_at = Time(ask_at);
        }
        status
    }

    /// Notes when the CA is asked again about the renewal of a certificate.
    pub(crate) fn will_ask(&self, certificate: &Certificate, ask_at: Timestamp) {
        let (mut index, uid) = (self.index(), certificate.uid().unwrap_or_default());
        if index.wants.contains_key(&uid) {
            index.questions.insert(uid, ask_at);
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
        let stored = self
            .store
            .get(&ObjectRef::from_obj(certificate))
            .filter(|stored| stored.uid() == certificate.uid());
        stored.and_then(|stored| stored.status.clone()).unwrap_or_default()
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
        if index.wants.contains_key(&uid) {
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
        if let Some(version) = version(after).filter(|_| index.wants.contains_key(&uid)) {
            index.obeyed.insert(uid, version);
        }
    }

    /// Whether a Certificate is there, and whether an issuance of it is under way.
    pub(crate) fn is_known_and_running(&self, uid: &str) -> (bool, bool) {
        let index = self.index();
        (index.wants.contains_key(uid), index.running.contains_key(uid))
    }

    /// Marks an issuance as under way.
    pub(crate) fn begin(&self, certificate: &Certificate) -> Running<'_> {
        let uid = certificate.uid().unwrap_or_default();
        let (sender, interruption) = watch::channel(None);
        let generation = certificate.metadata.generation.unwrap_or_default();
        self.index().running.insert(uid.clone(), (generation, sender));
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
fn version(certificate: &Certificate) -> Option<u64> {
    certificate.resource_version()?.parse().ok()
}

impl Rival {
    fn reference(&self) -> ObjectRef<Certificate> {
        ObjectRef::new(&self.name.name).within(&self.name.namespace)
    }
}

impl Index {
    fn apply(&mut self, certificate: &Certificate) {
        let uid = certificate.uid().unwrap_or_default();
        let secret = secret_of(certificate);
        if self.wants.get(&uid) != Some(&secret) {
            self.release(&uid);
            let name = ObjectName::new(certificate.namespace().unwrap_or_default(), certificate.name_any());
            let rival = Rival { age: age_of(certificate), name };
            let rivals = self.by_secret.entry(secret.clone()).or_default();
            let place = rivals.partition_point(|other| other.age < rival.age);
            rivals.insert(place, rival);
            self.wants.insert(uid.clone(), secret);
        }
        let version = certificate.resource_version();
        if self.written.get(&uid).is_some_and(|written| version.as_ref() == Some(&written.0)) {
            self.written.remove(&uid);
        }
        if let Some((generation, running)) = self.running.get(&uid)
            && certificate.metadata.generation != Some(*generation)
        {
            running.send_replace(Some(Interruption::Changed));
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
        self.questions.remove(uid);
        if let Some((_, running)) = self.running.get(uid) {
            running.send_replace(Some(Interruption::Deleted));
        }
        let secret = self.release(uid);
        let rivals = secret.and_then(|secret| self.by_secret.get(&secret));
        rivals.into_iter().flatten().map(Rival::reference).collect()
    }

    fn release(&mut self, uid: &str) -> Option<ObjectName> {
        let secret = self.wants.remove(uid)?;
        if let Some(rivals) = self.by_secret.get_mut(&secret) {
            rivals.retain(|rival| rival.age.1 != uid);
            if rivals.is_empty() {
                self.by_secret.remove(&secret);
            }
        }
        Some(secret)
    }

    /// After a complete list: what it did not have was deleted while nobody watched.
    fn keep_only(&mut self, listed: &[Arc<Certificate>]) -> Vec<ObjectRef<Certificate>> {
        let listed: HashSet<_> = listed.iter().filter_map(|certificate| certificate.uid()).collect();
        let gone: Vec<_> = self.wants.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        gone.iter().flat_map(|uid| self.forget(uid)).collect()
    }
}
