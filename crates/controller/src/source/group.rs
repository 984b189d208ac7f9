//! Sources of one namespace that name the same Secret share a Certificate.

use super::settings::Settings;
use super::{Names, SourceWarning, Wanted};
use gatecert_api::{Certificate, CertificateSpec, annotation};
use gatecert_render::ObjectName;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

/// What a certificate holds at most, as the definition of the resource says.
const MAX_NAMES: usize = 100;

/// A source.
pub(super) struct Origin {
    pub(super) created: Option<Time>,
    pub(super) reference: ObjectReference,
    pub(super) owner: OwnerReference,
    /// None where they can not be read.
    pub(super) settings: Option<Settings>,
}

/// What one source asks for in one Secret.
pub(super) struct Ask {
    pub(super) names: Names,
    pub(super) origin: Rc<Origin>,
}

/// All asks, by the namespace of the sources and by Secret.
#[derive(Default)]
pub(super) struct Groups(BTreeMap<(String, ObjectName), Vec<Ask>>);

/// The asks for one Secret, the oldest source first.
struct Group {
    namespace: String,
    secret: ObjectName,
    asks: Vec<Ask>,
}

impl Groups {
    pub(super) fn add(&mut self, namespace: &str, secret: ObjectName, ask: Ask) {
        self.0.entry((namespace.to_owned(), secret)).or_default().push(ask);
    }

    /// Makes the Certificates. The name of a Certificate is that of its Secret; where Secrets of several namespaces
    /// have one name, the oldest has it, so that a new source renames nothing.
    pub(super) fn decide(self, wanted: &mut Wanted) {
        let mut groups: Vec<_> = self.0.into_iter().map(Group::new).collect();
        groups.sort_by(|a, b| (&a.namespace, a.age(), &a.secret).cmp(&(&b.namespace, b.age(), &b.secret)));
        let mut taken = HashSet::new();
        for group in &groups {
            let Some(name) = group.name(&taken, wanted) else { continue };
            match group.certificate(&name, wanted) {
                Some(certificate) => wanted.certificates.push(certificate),
                None => {
                    wanted.held.insert(name.clone());
                }
            }
            taken.insert(name);
        }
        wanted.certificates.sort_by(|a, b| {
            (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name))
        });
    }
}

impl Group {
    fn new(((namespace, secret), mut asks): ((String, ObjectName), Vec<Ask>)) -> Self {
        asks.sort_by(|a, b| a.origin.age().cmp(&b.origin.age()));
        Self { namespace, secret, asks }
    }

    fn age(&self) -> Option<impl Ord + '_> {
        self.asks.first().map(|oldest| oldest.origin.age())
    }

    fn name(&self, taken: &HashSet<ObjectName>, wanted: &mut Wanted) -> Option<ObjectName> {
        let ObjectName { namespace, name } = &self.secret;
        let plain = ObjectName::new(&self.namespace, name);
        if !taken.contains(&plain) {
            return Some(plain);
        }
        let longer = ObjectName::new(&self.namespace, format!("{name}-{namespace}"));
        if !taken.contains(&longer) {
            return Some(longer);
        }
        let warning = SourceWarning::NameTaken { secret: self.secret.clone(), name: longer };
        wanted.warnings.extend(self.asks.iter().map(|ask| (ask.origin.reference.clone(), warning.clone())));
        None
    }

    /// The Certificate; none where it has to stay as it is, since taking names out of it for an annotation that can not
    /// be read would cut off hosts that are served.
    fn certificate(&self, name: &ObjectName, wanted: &mut Wanted) -> Option<Certificate> {
        let oldest = self.asks.first()?;
        let settings = oldest.origin.settings.as_ref()?;
        if self.asks.iter().any(|ask| ask.origin.settings.is_none()) {
            return None;
        }
        let names = self.names(&oldest.origin, settings, wanted);
        if names.len() > MAX_NAMES {
            let warning = SourceWarning::TooManyNames { secret: self.secret.clone(), count: names.len() };
            wanted.warnings.push((oldest.origin.reference.clone(), warning));
            return None;
        }
        let mut certificate = Certificate::new(&name.name, self.spec(settings, oldest, names));
        certificate.metadata = ObjectMeta {
            namespace: Some(name.namespace.clone()),
            labels: Some([(annotation::MANAGED_BY.to_owned(), annotation::MANAGER.to_owned())].into()),
            owner_references: Some(vec![oldest.origin.owner.clone()]),
            ..certificate.metadata
        };
        Some(certificate)
    }

    /// The names of all sources that want them from the same issuer.
    fn names(&self, owner: &Origin, settings: &Settings, wanted: &mut Wanted) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for ask in &self.asks {
            let Some(own) = &ask.origin.settings else { continue };
            if own.issuer == settings.issuer {
                names.extend(ask.names.names.iter().cloned());
            }
            let (secret, owner) = (self.secret.clone(), owner.to_string());
            let warning = if own.issuer != settings.issuer {
                SourceWarning::OtherIssuer { secret, owner, issuer: settings.issuer_title() }
            } else if !own.agrees(settings) {
                SourceWarning::OtherSettings { secret, owner }
            } else {
                continue;
            };
            wanted.warnings.push((ask.origin.reference.clone(), warning));
        }
        names
    }

    fn spec(&self, settings: &Settings, oldest: &Ask, names: BTreeSet<String>) -> CertificateSpec {
        let ObjectName { namespace, name } = &self.secret;
        CertificateSpec {
            secret_name: name.clone(),
            secret_namespace: (*namespace != self.namespace).then(|| namespace.clone()),
            issuer_ref: settings.issuer.clone(),
            private_key: settings.key(oldest.names.algorithm),
            profile: settings.profile.clone(),
            common_name: settings.common_name.clone().filter(|name| names.contains(name)),
            renew_before: settings.renew_before.clone(),
            dns_names: Some(names.into_iter().collect()),
            ..CertificateSpec::default()
        }
    }
}

impl Origin {
    fn age(&self) -> impl Ord + '_ {
        (&self.created, &self.reference.kind, &self.reference.name, &self.reference.uid)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.owner.kind, self.owner.name)
    }
}
