//! The annotations by which objects asked cert-manager for certificates.

use crate::cert_manager;
use crate::certificate::{MAX_COMMON_NAME, is_duration};
use crate::document::{Data, Document, Node};
use crate::error::{InputError, word};
use crate::inputs::is_name;
use crate::metadata::{TLS_ACME, is_theirs};
use crate::migration::Comments;
use crate::note::{Note, NoteKind, Origin, kubectl};
use crate::spelling::{did_you_mean, nearest};
use gatecert_api::{Algorithm, annotation};
use std::collections::{BTreeMap, BTreeSet};

/// All that are known.
const KNOWN: [&str; 41] = [
    "cert-manager.io/issuer",
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/issuer-kind",
    "cert-manager.io/issuer-group",
    "cert-manager.io/common-name",
    "cert-manager.io/alt-names",
    "cert-manager.io/ip-sans",
    "cert-manager.io/uri-sans",
    "cert-manager.io/email-sans",
    "cert-manager.io/duration",
    "cert-manager.io/renew-before",
    "cert-manager.io/renew-before-percentage",
    "cert-manager.io/usages",
    "cert-manager.io/revision-history-limit",
    "cert-manager.io/private-key-algorithm",
    "cert-manager.io/private-key-encoding",
    "cert-manager.io/private-key-size",
    "cert-manager.io/private-key-rotation-policy",
    "cert-manager.io/secret-template",
    "cert-manager.io/certificate-name",
    "cert-manager.io/subject-organizations",
    "cert-manager.io/subject-organizationalunits",
    "cert-manager.io/subject-countries",
    "cert-manager.io/subject-provinces",
    "cert-manager.io/subject-localities",
    "cert-manager.io/subject-postalcodes",
    "cert-manager.io/subject-streetaddresses",
    "cert-manager.io/subject-serialnumber",
    "cert-manager.io/acme-challenge-type",
    "cert-manager.io/acme-dns01-provider",
    "acme.cert-manager.io/http01-edit-in-place",
    "acme.cert-manager.io/http01-ingress-class",
    "acme.cert-manager.io/http01-ingress-ingressclassname",
    "certmanager.k8s.io/issuer",
    "certmanager.k8s.io/cluster-issuer",
    "certmanager.k8s.io/acme-challenge-type",
    "certmanager.k8s.io/acme-dns01-provider",
    "certmanager.k8s.io/acme-http01-edit-in-place",
    "certmanager.k8s.io/acme-http01-ingress-class",
    "certmanager.k8s.io/alt-names",
    TLS_ACME,
];

/// Names that go into a certificate, which gatecert takes from the hosts of the object alone.
const MORE_NAMES: [&str; 4] = ["alt-names", "ip-sans", "uri-sans", "email-sans"];

/// Annotations that are only fields of Certificates with gatecert, and the fields.
const FIELDS_ALONE: [(&str, &str); 2] =
    [("secret-template", "secretTemplate"), ("renew-before-percentage", "renewBeforePercentage")];

/// What is read, or refused. All others say how cert-manager itself works, or what a public CA does not look at.
const USED: [&str; 14] = [
    "issuer",
    "cluster-issuer",
    "issuer-kind",
    "issuer-group",
    "common-name",
    "renew-before",
    "renew-before-percentage",
    "private-key-algorithm",
    "private-key-size",
    "private-key-rotation-policy",
    "secret-template",
    "acme-challenge-type",
    "acme-dns01-provider",
    TLS_ACME,
];

/// The annotations that ask for a certificate.
const ASKING: [&str; 2] = ["issuer", "cluster-issuer"];

/// The groups of cert-manager's annotations.
const GROUPS: [&str; 2] = [cert_manager::GROUP, cert_manager::OLD_GROUP];

/// The path of the annotations.
pub(crate) const ANNOTATIONS: &[&str] = &["metadata", "annotations"];

/// Annotations of cert-manager's that nobody can have meant.
pub(crate) fn check(document: &Document) -> Vec<InputError> {
    let annotations = document.root.field("metadata").and_then(|metadata| metadata.field("annotations"));
    let Some(Data::Map(fields)) = annotations.map(|annotations| &annotations.data) else { return Vec::new() };
    let wrong = fields.iter().filter_map(|(key, _)| {
        let meant = probable(&key.name)?;
        let message = format!("unknown annotation {}", word(&key.name));
        Some(InputError::new(document, key.place, message).hint(did_you_mean(Some(&meant))))
    });
    wrong.collect()
}

/// Whether an object of whatever kind names one of cert-manager's issuers.
pub(crate) fn is_asking(root: &Node) -> bool {
    let annotations = root.field("metadata").and_then(|metadata| metadata.field("annotations"));
    let has = |group: &str, name: &str| {
        annotations.is_some_and(|annotations| annotations.field(&format!("{group}/{name}")).is_some())
    };
    GROUPS.iter().any(|group| ASKING.iter().any(|name| has(group, name)))
}

/// The annotation that was probably meant, if it is another one.
fn probable(key: &str) -> Option<String> {
    if KNOWN.contains(&key) {
        return None;
    }
    let (group, name) = key.split_once('/')?;
    let known = || KNOWN.iter().filter_map(|known| known.split_once('/'));
    let group = match known().any(|(known, _)| known == group) {
        true => group,
        // No other name has this group, so that it is the group that is wrong.
        false => nearest(group, known().filter(|(_, known)| *known == name).map(|(group, _)| group))?,
    };
    let names = known().filter(|(known, _)| *known == group).map(|(_, name)| name);
    nearest(name, names).map(|name| format!("{group}/{name}"))
}

/// Whether gatecert gets a certificate for a host of an annotated object.
pub(crate) fn can_be_proved(host: &str) -> bool {
    !host.starts_with('*')
}

/// The same of all hosts of a Secret. With any other one, the Secret can not be handed over.
pub(crate) fn are_proved(hosts: &BTreeSet<String>) -> bool {
    hosts.iter().all(|host| can_be_proved(host))
}

/// A namespace, where one is known, and the name of a Secret in it.
pub(crate) type SecretName = (Option<String>, String);

/// The Secrets that annotations ask for, with their hosts.
pub(crate) type Secrets = BTreeMap<SecretName, BTreeSet<String>>;

/// Tells of the hosts that an annotated object has its certificate for, and that gatecert leaves out.
pub(crate) fn wildcards(origin: &Origin, secrets: &Secrets, notes: &mut Vec<Note>) {
    let hosts = secrets.values().flatten();
    let wildcards: BTreeSet<_> = hosts.filter(|host| !can_be_proved(host)).map(|host| word(host)).collect();
    if !wildcards.is_empty() {
        let text = format!(
            "{} can not be proved by HTTP-01 and gets no certificate: name each host, or leave this to cert-manager",
            wildcards.into_iter().collect::<Vec<_>>().join(", ")
        );
        notes.push(origin.not_migrated(text));
    }
    let is_mixed =
        |hosts: &BTreeSet<String>| !are_proved(hosts) && hosts.iter().any(|host| can_be_proved(host));
    for ((_, secret), _) in secrets.iter().filter(|(_, hosts)| is_mixed(hosts)) {
        let text = format!(
            "its Secret {} is not handed over: gatecert would write it for the other hosts alone, and clients of the wildcard \
             would get a wrong certificate; give the wildcard another Secret, and migrate this again",
            word(secret)
        );
        notes.push(origin.not_migrated(text));
    }
}

/// What an object asked cert-manager for.
pub(crate) struct Asked<'a> {
    origin: &'a Origin,
    annotations: &'a BTreeMap<String, String>,
}

impl<'a> Asked<'a> {
    /// None where it did not ask.
    pub(crate) fn of(origin: &'a Origin, annotations: Option<&'a BTreeMap<String, String>>) -> Option<Self> {
        let asked = Self { origin, annotations: annotations? };
        let is_asking = ASKING.iter().any(|name| asked.get(name).is_some())
            || asked.annotations.get(TLS_ACME).is_some_and(|value| value == "true");
        is_asking.then_some(asked)
    }

    /// The annotation of that name of either group.
    fn get(&self, name: &str) -> Option<&'a str> {
        GROUPS
            .iter()
            .find_map(|group| self.annotations.get(&format!("{group}/{name}")))
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The same in gatecert's words; an error where what was asked for has no counterpart.
    pub(crate) fn wanted(
        &self,
        comments: &mut Comments,
        notes: &mut Vec<Note>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut wanted = BTreeMap::new();
        let (issuer, name) = self.issuer()?;
        wanted.insert(issuer.to_owned(), name.to_owned());
        self.key(&mut wanted, comments)?;
        match self.get("common-name") {
            Some(name) if name.len() <= MAX_COMMON_NAME => {
                wanted.insert(annotation::COMMON_NAME.to_owned(), name.to_owned());
            }
            Some(_) => comments.add(
                ANNOTATIONS,
                format!("`common-name` is gone: it has more than {MAX_COMMON_NAME} characters, which none may have"),
            ),
            None => {}
        }
        match self.get("renew-before") {
            Some(text) if is_duration(text) => {
                wanted.insert(annotation::RENEW_BEFORE.to_owned(), text.to_owned());
            }
            Some(text) => comments
                .add(ANNOTATIONS, format!("`renew-before` was {}, no duration such as 360h", word(text))),
            None => {}
        }
        self.left(notes);
        self.gone(comments);
        Ok(wanted)
    }

    fn issuer(&self) -> Result<(&'static str, &'a str), String> {
        let group = self.get("issuer-group").unwrap_or(cert_manager::GROUP);
        if group != cert_manager::GROUP {
            return Err(format!("the issuer is of {}, another project", word(group)));
        }
        let is_by_dns =
            self.get("acme-challenge-type").is_some_and(|kind| kind.eq_ignore_ascii_case("dns01"));
        if is_by_dns {
            return Err("its names are proved by DNS-01, and gatecert proves them by HTTP-01".to_owned());
        }
        match (self.get("cluster-issuer"), self.get("issuer"), self.get("issuer-kind")) {
            (Some(_), Some(_), _) => {
                Err("it names an Issuer and a ClusterIssuer: keep one of them".to_owned())
            }
            (Some(name), None, _) | (None, Some(name), Some("ClusterIssuer")) => {
                Ok((annotation::CLUSTER_ISSUER, name))
            }
            (None, Some(name), None | Some("Issuer")) => Ok((annotation::ISSUER, name)),
            (None, Some(_), Some(kind)) => {
                Err(format!("`issuer-kind` is {}, which is no issuer", word(kind)))
            }
            (None, None, _) => Err(format!(
                "`{TLS_ACME}` asks for the default issuer, which options of cert-manager name: annotate it with {} instead",
                annotation::CLUSTER_ISSUER
            )),
        }
    }

    /// The same kind of key, written out: with another one, the certificate would be issued anew.
    fn key(&self, wanted: &mut BTreeMap<String, String>, comments: &mut Comments) -> Result<(), String> {
        let size = self.get("private-key-size").map(str::parse::<i32>).transpose();
        let size = size.map_err(|_| "`private-key-size` is no number".to_owned())?;
        let algorithm = crate::certificate::algorithm_of(self.get("private-key-algorithm"), size)?;
        if self.get("private-key-algorithm").is_none() {
            let text = "the key is cert-manager's default, written out: with another kind of key the certificate would be issued anew";
            comments.add(ANNOTATIONS, text);
        }
        let word_of = if algorithm == Algorithm::Rsa { "RSA" } else { "ECDSA" };
        wanted.insert(annotation::PRIVATE_KEY_ALGORITHM.to_owned(), word_of.to_owned());
        if algorithm == Algorithm::Rsa || size.is_some() {
            wanted.insert(annotation::PRIVATE_KEY_SIZE.to_owned(), size.unwrap_or(2048).to_string());
        }
        match self.get("private-key-rotation-policy") {
            Some(policy @ ("Always" | "Never")) => {
                wanted.insert(annotation::PRIVATE_KEY_ROTATION_POLICY.to_owned(), policy.to_owned());
            }
            Some(other) => return Err(format!("`private-key-rotation-policy` is {}", word(other))),
            None => {}
        }
        Ok(())
    }

    fn left(&self, notes: &mut Vec<Note>) {
        for name in MORE_NAMES.iter().filter(|name| self.get(name).is_some()) {
            let text = format!(
                "`{name}` has no counterpart: an annotated object gets a certificate for its own hosts; write a Certificate \
                 with all names instead of the annotation"
            );
            notes.push(self.origin.not_migrated(text).field(ANNOTATIONS.join(".")));
        }
        for (name, field) in FIELDS_ALONE.iter().filter(|(name, _)| self.get(name).is_some()) {
            let text = format!(
                "`{name}` has no counterpart: write a Certificate with `{field}` instead of the annotation"
            );
            notes.push(self.origin.not_migrated(text).field(ANNOTATIONS.join(".")));
        }
    }

    fn gone(&self, comments: &mut Comments) {
        let used = |key: &str| {
            let name = key.rsplit('/').next().unwrap_or_default();
            key == TLS_ACME || USED.contains(&name) || MORE_NAMES.contains(&name)
        };
        let gone = self.annotations.keys().filter(|key| is_theirs(key) && !used(key));
        let gone: Vec<_> = gone.map(|key| word(key)).collect();
        if !gone.is_empty() {
            let text = format!("gone, which says nothing to gatecert or to the CA: {}", gone.join(", "));
            comments.add(ANNOTATIONS, text);
        }
    }

    /// What takes cert-manager's annotations off the object, so that it makes no Certificates of it any more; those that
    /// it made stay. `kubectl apply` takes away what it remembers to have set, and nothing else.
    pub(crate) fn removal(&self) -> Note {
        let keys = self.annotations.keys().filter(|key| is_theirs(key) && is_key(key));
        let keys: Vec<_> = keys.map(|key| format!("{key}-")).collect();
        let Origin { kind, namespace, name, .. } = self.origin;
        let kind = match kind.as_str() {
            "Gateway" | "ListenerSet" => format!("{}.gateway.networking.k8s.io", kind.to_lowercase()),
            _ => kind.to_lowercase(),
        };
        let command = format!("{} annotate {kind} {name} {}", kubectl(namespace.as_deref()), keys.join(" "));
        let text = "Take cert-manager's annotations away, which applying did already where `kubectl apply` had set them:";
        self.origin.note(NoteKind::After, text).command(command)
    }
}

/// Whether Kubernetes takes it as the name of an annotation. Somebody copies the command that it gets into.
fn is_key(text: &str) -> bool {
    text.split('/').count() == 2 && text.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let annotations = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let origin =
            Origin { kind: "Ingress".into(), namespace: None, name: "web".into(), source: "f:1".into() };
        let asked = Asked::of(&origin, Some(&annotations)).expect("it asks");
        asked.wanted(&mut Comments::default(), &mut Vec::new())
    }

    #[test]
    fn the_issuer_is_of_either_kind() {
        for (pairs, wanted) in [
            (&[("cert-manager.io/issuer", "a")][..], "gatecert.dev/issuer"),
            (&[("certmanager.k8s.io/cluster-issuer", "a")], "gatecert.dev/cluster-issuer"),
            (
                &[("cert-manager.io/issuer", "a"), ("cert-manager.io/issuer-kind", "ClusterIssuer")],
                "gatecert.dev/cluster-issuer",
            ),
        ] {
            assert_eq!(asked(pairs).unwrap()[wanted], "a");
        }
        assert!(asked(&[("kubernetes.io/tls-acme", "true")]).unwrap_err().contains("default issuer"));
        let both = [("cert-manager.io/issuer", "a"), ("cert-manager.io/cluster-issuer", "a")];
        assert!(asked(&both).is_err());
        let other =
            [("cert-manager.io/issuer", "a"), ("cert-manager.io/issuer-group", "awspca.cert-manager.io")];
        assert!(asked(&other).unwrap_err().contains("another project"));
    }
}
