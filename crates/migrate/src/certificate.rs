//! Certificates.

mod key;

pub(crate) use key::algorithm_of;

use crate::cert_manager::{self, CertificateSpec, Object, OldDomainConfig};
use crate::error::word;
use crate::inputs::Input;
use crate::metadata;
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin};
use crate::staying::Staying;
use gatecert_acme::Identifier;
use gatecert_api::{Certificate, CertificateSpec as Wanted, IssuerKind, IssuerReference, SecretTemplate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What lets gatecert take over Secrets.
pub(crate) const ADOPT: &str =
    "Let gatecert take over the Secrets as they are, so that nothing is issued anew:";

/// What a certificate holds at most.
const MAX_NAMES: usize = 100;

/// What a common name holds at most (RFC 5280 appendix A.1, ub-common-name), in characters.
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// How many names a message has at most.
const SHOWN_NAMES: usize = 5;

/// What becomes of a Certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has its counterpart.
    Moves,
    /// cert-manager has it still.
    Stays,
    /// cert-manager made it for an object with annotations: see [`made`].
    IsMade,
}

/// Converts a Certificate. `refused` are the issuers that have no counterpart.
pub(crate) fn convert(
    input: &Input<Object<CertificateSpec>>,
    refused: &BTreeSet<Origin>,
    migration: &mut Migration,
) -> Outcome {
    let Input { origin, object } = input;
    if source(&object.metadata).is_some() {
        return Outcome::IsMade;
    }
    let mut comments = Comments::default();
    let mut conversion = Conversion { origin, migration, comments: &mut comments };
    let Some(spec) = conversion.spec(&object.spec, refused) else { return Outcome::Stays };
    let mut certificate = Certificate::new(&origin.name, spec);
    certificate.metadata = metadata::kept(&object.metadata);
    metadata::say_dropped([&object.metadata], metadata::OF_ANOTHER, &mut comments);
    migration.add(&certificate, &[origin], comments);
    Outcome::Moves
}

/// Tells of a Certificate that cert-manager made: it stays, unless gatecert makes its own from the same annotations.
pub(crate) fn made(input: &Input<Object<CertificateSpec>>, staying: &mut Staying, migration: &mut Migration) {
    let Input { origin, object } = input;
    let Some((kind, name)) = source(&object.metadata) else { return };
    let secret = object.spec.secret_name.as_str();
    let text = format!("made by cert-manager for {kind} {}", word(name));
    let again = format!("{text}, from which gatecert makes its own");
    let note = match staying.is_made((kind, name), origin.namespace.as_deref(), secret) {
        Some(true) => {
            migration.notes.push(origin.note(NoteKind::PassedOver, again));
            return;
        }
        Some(false) => {
            format!(
                "{text}, and stays with cert-manager: gatecert makes none for Secret {} from that",
                word(secret)
            )
        }
        None => format!("{again}: migrate that too, which is not among what was read"),
    };
    migration.notes.push(origin.not_migrated(note));
    staying.add(input);
}

/// The object whose annotations it was made for, by kind and name.
fn source(metadata: &ObjectMeta) -> Option<(&str, &str)> {
    let mut owners = metadata.owner_references.iter().flatten();
    let kinds = ["Ingress", "Gateway", "ListenerSet"];
    let owner = owners.find(|owner| kinds.contains(&owner.kind.as_str()))?;
    Some((&owner.kind, &owner.name))
}

struct Conversion<'a> {
    origin: &'a Origin,
    migration: &'a mut Migration,
    comments: &'a mut Comments,
}

impl Conversion<'_> {
    fn spec(&mut self, spec: &CertificateSpec, refused: &BTreeSet<Origin>) -> Option<Wanted> {
        let mut reasons = self.obstacles(spec);
        let issuer_ref = self.issuer(&spec.issuer_ref, refused).map_err(|why| reasons.push(why)).ok();
        let private_key = self.key(spec).map_err(|why| reasons.push(why)).ok();
        let names = self.names(spec).map_err(|why| reasons.push(why)).ok();
        if !reasons.is_empty() {
            let text = format!("{}; leave it to cert-manager, or change that", reasons.join("; "));
            self.migration.notes.push(self.origin.not_migrated(text));
            return None;
        }
        let (dns_names, common_name) = names?;
        self.parts(spec);
        self.dropped(spec);
        Some(Wanted {
            secret_name: spec.secret_name.clone(),
            dns_names: (!dns_names.is_empty()).then_some(dns_names),
            ip_addresses: spec.ip_addresses.clone().filter(|addresses| !addresses.is_empty()),
            common_name,
            issuer_ref: issuer_ref?,
            private_key: Some(private_key?),
            renew_before: self.renew_before(spec.renew_before.as_deref()),
            renew_before_percentage: self.percentage(spec),
            secret_template: spec.secret_template.as_ref().map(|template| SecretTemplate {
                annotations: template.annotations.clone(),
                labels: template.labels.clone(),
            }),
            usages: spec.usages.clone().filter(|usages| !usages.is_empty()),
            revision_history_limit: spec.revision_history_limit,
            ..Wanted::default()
        })
    }

    /// What makes it a certificate that Let's Encrypt's kind of CA does not issue.
    fn obstacles(&self, spec: &CertificateSpec) -> Vec<String> {
        let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let mut reasons = Vec::new();
        let mut refuse = |is_so: bool, why: &str| {
            if is_so {
                reasons.push(why.to_owned());
            }
        };
        refuse(spec.is_ca == Some(true), "`isCA`: no public CA issues CA certificates");
        refuse(has(&spec.uris) || has(&spec.uri_sans), "`uris`: ACME has names and addresses alone");
        refuse(
            has(&spec.email_addresses) || has(&spec.email_sans),
            "`emailAddresses`: ACME has names and addresses alone",
        );
        refuse(
            spec.other_names.as_ref().is_some_and(|names| !names.is_empty()),
            "`otherNames`: ACME has names and addresses alone",
        );
        refuse(
            spec.secret_name.ends_with("-cacert"),
            "`secretName`: Istio reserves names that end in -cacert for CA certificates",
        );
        let mut configs = spec.acme.iter().flat_map(|acme| acme.config.iter().flatten());
        if configs.any(OldDomainConfig::is_by_dns) {
            reasons.push(by_dns(spec));
        }
        reasons
    }

    fn names(&mut self, spec: &CertificateSpec) -> Result<(Vec<String>, Option<String>), String> {
        let mut names = spec.dns_names.clone().unwrap_or_default();
        let common_name = spec.common_name.clone().filter(|name| !name.is_empty());
        if let Some(name) = &common_name
            && !names.iter().any(|other| other.eq_ignore_ascii_case(name))
        {
            names.insert(0, name.clone());
            let text = "has `commonName` too, which the certificate holds as a name in any case";
            self.comments.add(&["spec", "dnsNames"], text);
        }
        // gatecert compares letter by letter.
        let common_name = common_name.map(|name| {
            names.iter().find(|other| other.eq_ignore_ascii_case(&name)).cloned().unwrap_or(name)
        });
        if let Some(wildcard) = names.iter().find(|name| name.starts_with("*.")) {
            let why = "a wildcard can not be proved by HTTP-01: name each host";
            return Err(format!("`dnsNames` has {}: {why}", word(wildcard)));
        }
        if let Some(name) = names.iter().find(|name| Identifier::dns(name).is_err() || !name.is_ascii()) {
            return Err(format!("`dnsNames` has {}, which is no DNS name that a CA issues", word(name)));
        }
        let addresses = spec.ip_addresses.as_deref().unwrap_or_default();
        if let Some(address) = addresses.iter().find(|address| address.parse::<IpAddr>().is_err()) {
            return Err(format!("`ipAddresses` has {}, which is no address", word(address)));
        }
        if !addresses.is_empty() {
            let text =
                "Let's Encrypt issues addresses with the profile `shortlived` alone: `profile: shortlived`";
            self.comments.add(&["spec", "ipAddresses"], text);
        }
        match names.len() + addresses.len() {
            0 => Err("there is no name in it".to_owned()),
            count if count > MAX_NAMES => Err(format!("it has {count} names, and a CA issues {MAX_NAMES}")),
            _ => Ok((names, common_name.and_then(|name| self.common_name(name)))),
        }
    }

    /// One that a certificate can hold.
    fn common_name(&mut self, name: String) -> Option<String> {
        if name.len() <= MAX_COMMON_NAME {
            return Some(name);
        }
        let text = format!(
            "`commonName` is gone: it has more than {MAX_COMMON_NAME} characters, which none may have; as one of `dnsNames` \
             it stays"
        );
        self.comments.add(&["spec"], text);
        None
    }

    fn issuer(
        &mut self,
        reference: &cert_manager::IssuerReference,
        refused: &BTreeSet<Origin>,
    ) -> Result<IssuerReference, String> {
        let group = reference.group.as_deref().unwrap_or_default();
        if !["", cert_manager::GROUP, cert_manager::OLD_GROUP].contains(&group) {
            return Err(format!("`issuerRef.group` is {}, an issuer of another project", word(group)));
        }
        let kind = match reference.kind.as_deref().unwrap_or_default() {
            "" | "Issuer" => IssuerKind::Issuer,
            "ClusterIssuer" => IssuerKind::ClusterIssuer,
            other => return Err(format!("`issuerRef.kind` is {}, which is no issuer", word(other))),
        };
        let is_it = |issuer: &&Origin| {
            let namespace = if kind == IssuerKind::Issuer { &self.origin.namespace } else { &None };
            issuer.kind == kind.as_str() && issuer.name == reference.name && issuer.namespace == *namespace
        };
        if let Some(issuer) = refused.iter().find(is_it) {
            return Err(format!("its issuer is not migrated ({issuer})"));
        }
        if !self.migration.has_issuer(kind, self.origin.namespace.as_deref(), &reference.name) {
            self.comments.add(&["spec", "issuerRef"], missing_issuer(kind, &reference.name));
        }
        if !group.is_empty() {
            let text = format!("`group: {group}` is gone: issuers are gatecert's");
            self.comments.add(&["spec", "issuerRef"], text);
        }
        let kind = (kind == IssuerKind::ClusterIssuer).then_some(kind);
        Ok(IssuerReference { name: reference.name.clone(), kind, group: None })
    }

    /// What somebody else has to go on doing.
    fn parts(&mut self, spec: &CertificateSpec) {
        let mut left = |is_there: bool, field: &str, what: &str| {
            if is_there {
                self.migration.notes.push(self.origin.not_migrated(what).field(format!("spec.{field}")));
            }
        };
        left(
            spec.keystores.is_some(),
            "keystores",
            "the Secret holds `tls.crt` and `tls.key` alone: make the keystore where it is read, by `openssl pkcs12` or \
             `keytool` in an init container for instance",
        );
        left(
            spec.additional_output_formats.as_ref().is_some_and(|formats| !formats.is_empty()),
            "additionalOutputFormats",
            "the Secret holds `tls.crt` and `tls.key` alone: what reads another form has to make it from those",
        );
    }

    /// What is dropped without a loss.
    fn dropped(&mut self, spec: &CertificateSpec) {
        let mut gone = |is_there: bool, text: &str| {
            if is_there {
                self.comments.add(&["spec"], text);
            }
        };
        gone(
            spec.duration.is_some(),
            "`duration` is gone: how long a certificate holds is the CA's to say, by `profile`",
        );
        gone(
            spec.subject.is_some() || spec.organization.is_some() || spec.literal_subject.is_some(),
            "`subject` and `organization` are gone: Let's Encrypt never put those into a certificate",
        );
        gone(
            spec.encode_usages_in_request.is_some(),
            "`encodeUsagesInRequest` is gone: the CA decides on usages",
        );
        gone(spec.name_constraints.is_some(), "`nameConstraints` is gone, which is for CA certificates");
        gone(spec.signature_algorithm.is_some(), "`signatureAlgorithm` is gone: it follows from the key");
        gone(
            spec.acme.is_some(),
            "`acme.config` is gone: names are proved on whatever gateway serves them, unless `solvers` of the issuer say \
             otherwise",
        );
    }

    fn renew_before(&mut self, text: Option<&str>) -> Option<String> {
        let text = text?;
        if is_duration(text) {
            return Some(text.to_owned());
        }
        let comment =
            format!("`renewBefore` was {}, no duration such as 360h; renewed as is usual", word(text));
        self.comments.add(&["spec", "renewBefore"], comment);
        None
    }

    fn percentage(&mut self, spec: &CertificateSpec) -> Option<i32> {
        let percentage = spec.renew_before_percentage?;
        if spec.renew_before.is_none() && (1..=99).contains(&percentage) {
            return Some(percentage);
        }
        let text = "`renewBeforePercentage` is gone: it is between 1 and 99, without `renewBefore` beside it";
        self.comments.add(&["spec", "renewBeforePercentage"], text);
        None
    }
}

/// That names are proved by DNS-01, and which.
fn by_dns(spec: &CertificateSpec) -> String {
    let names: Vec<_> = spec.names_by_dns().take(SHOWN_NAMES).map(word).collect();
    let more = if spec.names_by_dns().count() > SHOWN_NAMES { " and more" } else { "" };
    let of = if names.is_empty() { String::new() } else { format!(" ({}{more})", names.join(", ")) };
    format!("`acme.config`: names are proved by DNS-01{of}, and gatecert proves them by HTTP-01")
}

/// That an issuer was not read, which may be right.
pub(crate) fn missing_issuer(kind: IssuerKind, name: &str) -> String {
    let kind = kind.as_str();
    format!("{kind} {} is not among what was read: migrate it too, unless gatecert has it", word(name))
}

/// One or more numbers, each with `h`, `m` or `s` behind it, as gatecert takes it. Go takes fractions of seconds too.
pub(crate) fn is_duration(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_part = |part: &str| {
        part.strip_suffix(['h', 'm', 's']).is_some_and(|number| match number.split_once('.') {
            Some((whole, fraction)) => is_number(whole) && is_number(fraction),
            None => is_number(number),
        })
    };
    (2..=32).contains(&text.len()) && text.split_inclusive(['h', 'm', 's']).all(is_part)
}
