//! Who has which Secret from now on: what stays with cert-manager, with what it needs for that, and what gatecert writes.

use crate::annotations::{SecretName, can_be_proved};
use crate::cert_manager::{CertificateSpec, Object};
use crate::certificate::ADOPT;
use crate::error::word;
use crate::inputs::Input;
use crate::note::{Note, NoteKind, Origin, adopt_command};
use std::collections::{BTreeMap, BTreeSet};

/// It is whole before any object with annotations is converted.
#[derive(Default)]
pub(crate) struct Staying {
    certificates: Vec<Certificate>,
    /// Who gatecert writes a Secret for: the first that was read.
    writers: BTreeMap<SecretName, Origin>,
    /// The Secrets that gatecert writes for each object that was read, by kind, namespace and name.
    made: BTreeMap<(String, Option<String>, String), BTreeSet<String>>,
}

/// A Certificate that has no counterpart, or what an object asks cert-manager for and gatecert does not make.
struct Certificate {
    origin: Origin,
    secret: SecretName,
    /// The hosts that may be proved by HTTP-01, in small letters. How an issuer proves a name is not looked at: what is
    /// not deleted does no harm.
    hosts: BTreeSet<String>,
    /// The Ingresses of its namespace that cert-manager of 2018 adds paths to.
    ingresses: BTreeSet<String>,
}

impl Staying {
    pub(crate) fn add(&mut self, input: &Input<Object<CertificateSpec>>) {
        let spec = &input.object.spec;
        let configs = spec.acme.iter().flat_map(|acme| acme.config.iter().flatten());
        let by_dns: BTreeSet<_> = spec.names_by_dns().map(str::to_ascii_lowercase).collect();
        let names = spec.dns_names.iter().flatten().chain(&spec.common_name);
        let names = names.map(|name| name.to_ascii_lowercase());
        self.certificates.push(Certificate {
            origin: input.origin.clone(),
            secret: (input.origin.namespace.clone(), spec.secret_name.clone()),
            hosts: names.filter(|name| can_be_proved(name) && !by_dns.contains(name)).collect(),
            ingresses: configs.filter_map(|config| config.http01.as_ref()?.ingress.clone()).collect(),
        });
    }

    /// Leaves a Secret of an object with annotations to cert-manager. Files out of Git have no Certificate for it.
    pub(crate) fn leave(&mut self, origin: &Origin, secret: SecretName, hosts: &BTreeSet<String>) {
        let hosts = hosts.iter().filter(|host| can_be_proved(host)).map(|host| host.to_ascii_lowercase());
        let (origin, hosts, ingresses) = (origin.clone(), hosts.collect(), BTreeSet::new());
        self.certificates.push(Certificate { origin, secret, hosts, ingresses });
    }

    /// Whether it, or a part of it, was left to cert-manager.
    pub(crate) fn has(&self, origin: &Origin) -> bool {
        self.origin(|one| one.origin == *origin).is_some()
    }

    /// Notes that gatecert writes a Secret.
    pub(crate) fn write(&mut self, origin: &Origin, secret: SecretName) {
        self.writers.entry(secret).or_insert_with(|| origin.clone());
    }

    /// The Secrets that gatecert writes for an object that was read.
    pub(crate) fn made(&mut self, origin: &Origin) -> &mut BTreeSet<String> {
        let object = (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
        self.made.entry(object).or_default()
    }

    /// Whether gatecert writes a Secret for an object; none where that was not read.
    pub(crate) fn is_made(
        &self,
        (kind, name): (&str, &str),
        namespace: Option<&str>,
        secret: &str,
    ) -> Option<bool> {
        let object = (kind.to_owned(), namespace.map(str::to_owned), name.to_owned());
        self.made.get(&object).map(|secrets| secrets.contains(secret))
    }

    /// The one that a host is proved for, or any host where it is none.
    pub(crate) fn with_host(&self, host: Option<&str>) -> Option<&Origin> {
        let host = host.map(str::to_ascii_lowercase);
        self.origin(|one| host.as_ref().map_or(!one.hosts.is_empty(), |host| one.hosts.contains(host)))
    }

    /// The one that an Ingress is changed for.
    pub(crate) fn with_ingress(&self, ingress: &Origin) -> Option<&Origin> {
        self.origin(|one| one.ingresses.contains(&ingress.name) && one.origin.namespace == ingress.namespace)
    }

    /// The note that lets gatecert take over a Secret, or that it may not since another one writes it too.
    pub(crate) fn hand_over(&self, origin: &Origin, namespace: Option<&str>, secret: &str) -> Note {
        let name = (namespace.map(str::to_owned), secret.to_owned());
        let command = adopt_command(namespace, secret);
        let secret = word(secret);
        if let Some(other) = self.origin(|one| one.secret == name) {
            let text = format!(
                "its Secret {secret} is not handed over: cert-manager goes on to write it for {other}, and two would take \
                 turns; give one of them another Secret, or when nobody else writes this one, hand it over:"
            );
            return origin.not_migrated(text).command(command);
        }
        match self.writers.get(&name).filter(|first| *first != origin) {
            Some(first) => origin.not_migrated(format!(
                "{secret} is the Secret of {first} too, and one alone may write it: give one of them another Secret"
            )),
            None => origin.note(NoteKind::Before, ADOPT).command(command),
        }
    }

    fn origin(&self, is_it: impl Fn(&Certificate) -> bool) -> Option<&Origin> {
        self.certificates.iter().find(|one| is_it(one)).map(|one| &one.origin)
    }
}
