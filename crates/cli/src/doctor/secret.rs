//! The Secrets that the name is served with: is the Certificate's among them, and is it good?

use super::certificate::{ISSUER, created, look};
use super::cluster::Why;
use super::kind::Kind;
use super::report::{Verdict, merged, plain};
use crate::issue::day;
use gatecert_acme::Identifier;
use gatecert_api::annotation;
use gatecert_issue::{CertificateFacts, CertificateKey, VerifyError, facts, verify};
use gatecert_publish::kubernetes::{Ownership, TLS, ownership, pair};
use gatecert_render::{ObjectName, secret_grant};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// What is known.
#[derive(Clone, Debug)]
pub(super) struct SecretFacts {
    pub(super) host: Identifier,
    pub(super) now: Timestamp,
    /// The Certificate, where there is one.
    pub(super) certificate: Option<Publishing>,
    /// The Secrets that gateways end TLS with for the name, each with the gateway.
    pub(super) read_by: BTreeSet<(String, ObjectName)>,
    /// What is under these names.
    pub(super) secrets: BTreeMap<ObjectName, Result<Option<Secret>, Why>>,
}

/// A Certificate and the Secret that it writes.
#[derive(Clone, Debug)]
pub(super) struct Publishing {
    pub(super) certificate: ObjectName,
    pub(super) secret: ObjectName,
    pub(super) names: BTreeSet<Identifier>,
}

pub(super) fn verdicts(facts: &SecretFacts) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if let Some(publishing) = &facts.certificate {
        verdicts.extend(not_read(facts, publishing));
    }
    for (name, secret) in &facts.secrets {
        verdicts.push(judge(facts, name, secret).object(format!("Secret {name}")));
    }
    verdicts
}

/// The Certificate writes one Secret, and the gateways read others.
fn not_read(facts: &SecretFacts, publishing: &Publishing) -> Option<Verdict> {
    let Publishing { certificate, secret, .. } = publishing;
    if facts.read_by.iter().any(|(_, read)| read == secret) {
        return None;
    }
    let host = facts.host.value();
    let object = format!("Secret {secret}");
    let Some((gateway, read)) = facts.read_by.first() else {
        let text = format!("no gateway has an HTTPS server for {host} that names it");
        return Some(Verdict::warn(Kind::SecretNotRead, text).object(object).fix(format!(
            "servers of an Istio Gateway whose Pods are in namespace {}:\n- port: {{number: 443, name: https, protocol: \
             HTTPS}}\n  hosts: [{host}]\n  tls: {{mode: SIMPLE, credentialName: {}}}",
            secret.namespace, secret.name
        )));
    };
    let text = format!("Certificate {certificate} writes it, and {gateway} serves {host} with Secret {read}");
    Some(
        Verdict::fail(Kind::SecretNotRead, text)
            .object(object)
            .fix(brought_together(facts, publishing, read)),
    )
}

/// How to have a Certificate write the Secret that a gateway reads.
fn brought_together(facts: &SecretFacts, publishing: &Publishing, read: &ObjectName) -> String {
    let Publishing { certificate, secret, .. } = publishing;
    if let Some(other) = facts.secrets.get(read).and_then(|found| others(found, certificate)) {
        return format!("Certificate {other} writes that one: {}", apart(facts, publishing));
    }
    // Whoever has those names would lose them.
    if let Some(Ok(Some(found))) = facts.secrets.get(read)
        && content(found, facts.now).is_ok_and(|found| !is_for(&found, &facts.host))
    {
        return apart(facts, publishing);
    }
    let write = |fields: Value| merged("certificates.gatecert.dev", certificate, &json!({"spec": fields}));
    if secret.namespace == read.namespace {
        let command = write(json!({"secretName": read.name}));
        return format!(
            "let the Certificate write that one, or set credentialName to {}:\n{command}",
            secret.name
        );
    }
    let command = write(json!({"secretNamespace": read.namespace, "secretName": read.name}));
    let consent = match certificate.namespace == read.namespace {
        true => String::new(),
        false => consent(&certificate.namespace, read),
    };
    format!(
        "the Secret has to be in the namespace of the gateway's Pods, {}: put the Certificate there, or let it write \
         there:\n{consent}{command}",
        read.namespace
    )
}

/// How a Certificate's own Secret is read beside one for other names.
fn apart(facts: &SecretFacts, Publishing { secret, .. }: &Publishing) -> String {
    format!(
        "give {} a server of its own, with credentialName {} in namespace {}",
        facts.host.value(),
        secret.name,
        secret.namespace
    )
}

fn is_for(found: &CertificateFacts, host: &Identifier) -> bool {
    found.identifiers.iter().any(|one| covers(one, host))
}

/// The other Certificate that has written a Secret.
fn others(secret: &Result<Option<Secret>, Why>, certificate: &ObjectName) -> Option<String> {
    let secret = secret.as_ref().ok()?.as_ref()?;
    let writer = secret.annotations().get(annotation::CERTIFICATE_NAME)?;
    (*writer != certificate.name).then(|| plain(writer))
}

/// The command by which a namespace consents that Certificates of another one write its Secret.
fn consent(namespace: &str, secret: &ObjectName) -> String {
    // A ReferenceGrant is plain data.
    let grant = serde_json::to_string(&secret_grant(namespace, secret)).unwrap_or_default();
    format!("kubectl apply -f - <<'EOF'\n{grant}\nEOF\n")
}

fn judge(facts: &SecretFacts, name: &ObjectName, secret: &Result<Option<Secret>, Why>) -> Verdict {
    let publishing = facts.certificate.as_ref().filter(|one| one.secret == *name);
    let secret = match secret {
        Ok(Some(secret)) => secret,
        Ok(None) | Err(Why::Absent) => return missing(facts, name),
        Err(Why::Forbidden) => {
            let text = "it may not be read by the user of the kubeconfig";
            return Verdict::skipped(Kind::ClusterForbidden, text)
                .fix(format!("kubectl auth can-i get secrets -n {}", name.namespace));
        }
    };
    if publishing.is_some() {
        match ownership(secret) {
            Ownership::WrongType => return wrong_type(name, secret),
            Ownership::Foreign => return foreign(name),
            _ => {}
        }
    }
    if secret.labels().get(annotation::PART).is_some_and(|part| part == annotation::PART_PLACEHOLDER) {
        let text = "it holds a self-signed certificate that stands in until the first one is issued";
        let fix = match publishing {
            Some(one) => look(&one.certificate),
            None => "kubectl get certificates.gatecert.dev --all-namespaces".to_owned(),
        };
        return Verdict::warn(Kind::SecretPlaceholder, text).fix(fix);
    }
    match content(secret, facts.now) {
        Ok(found) => names(facts, name, publishing, &found),
        Err((kind, why)) => {
            let fix = match publishing {
                Some(one) => format!(
                    "kubectl -n {} annotate certificates.gatecert.dev {} {}=now",
                    one.certificate.namespace,
                    one.certificate.name,
                    annotation::RENEW
                ),
                None => "no Certificate of gatecert writes it: mend it where it comes from, or give it to gatecert by a \
                         Certificate with this secretName"
                    .to_owned(),
            };
            Verdict::fail(kind, why).fix(fix)
        }
    }
}

fn missing(facts: &SecretFacts, name: &ObjectName) -> Verdict {
    let text = "it does not exist, and a gateway serves the name with it: TLS fails there";
    match &facts.certificate {
        Some(one) if one.secret == *name => Verdict::fail(
            Kind::SecretMissing,
            format!("it does not exist: Certificate {} has not been issued yet", one.certificate),
        )
        .fix(look(&one.certificate)),
        // A second Certificate would be one too many.
        Some(one) => Verdict::fail(Kind::SecretMissing, text).fix(brought_together(facts, one, name)),
        None => Verdict::fail(Kind::SecretMissing, text).fix(format!(
            "write a Certificate for it, or name another Secret:\n{}",
            created(name, name, &facts.host.value(), ISSUER)
        )),
    }
}

fn wrong_type(name: &ObjectName, secret: &Secret) -> Verdict {
    let found = secret.type_.as_deref().unwrap_or("Opaque");
    Verdict::fail(
        Kind::SecretType,
        format!("it has the type {found}, not {TLS}, and the type can not be changed"),
    )
    .fix(format!("kubectl -n {} delete secret {}", name.namespace, name.name))
}

fn foreign(name: &ObjectName) -> Verdict {
    Verdict::fail(Kind::SecretForeign, "it is not gatecert's, so that it is not written").fix(format!(
        "kubectl -n {} annotate secret {} {}=true",
        name.namespace,
        name.name,
        annotation::ADOPT
    ))
}

/// What is in it, or what is wrong with that.
fn content(secret: &Secret, now: Timestamp) -> Result<CertificateFacts, (Kind, String)> {
    let unreadable = |why: String| (Kind::SecretUnreadable, why);
    let (chain, key) = istio_pair(secret)
        .or_else(|| pair(secret))
        .ok_or_else(|| unreadable("tls.crt or tls.key is missing or no text".into()))?;
    let key = CertificateKey::from_pem(&key).map_err(|error| unreadable(error.to_string()))?;
    let found = facts(&chain).map_err(|error| unreadable(error.to_string()))?;
    verify(&chain, &key, &found.identifiers, now).map_err(|error| {
        let kind = match &error {
            VerifyError::OtherKey { .. } => Kind::SecretKey,
            VerifyError::Expired { .. } => Kind::SecretExpired,
            VerifyError::NotYetValid { .. } => Kind::SecretNotYetValid,
            VerifyError::OtherNames { .. } => Kind::SecretNames,
            VerifyError::LeafIsCa
            | VerifyError::NotForServers
            | VerifyError::NotSigned { .. }
            | VerifyError::NotCa { .. } => Kind::SecretChain,
            _ => Kind::SecretUnreadable,
        };
        (kind, error.to_string())
    })
}

/// Istio takes `cert` and `key` before `tls.crt` and `tls.key`.
fn istio_pair(secret: &Secret) -> Option<(String, Zeroizing<String>)> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some((text("cert")?, Zeroizing::new(text("key")?)))
}

/// A Certificate for a name that a gateway serves with a Secret for others, which are left as they are.
fn with_its_own(facts: &SecretFacts, read: &ObjectName) -> String {
    let host = facts.host.value();
    let own = ObjectName::new(&read.namespace, format!("{}-own", read.name));
    format!(
        "write a Certificate for it, and give the name a server of its own with credentialName {}:\n{}",
        own.name,
        created(&own, &own, &host, ISSUER)
    )
}

/// How a Certificate is issued again whose Secret is for other names: by itself, so that something keeps it.
fn reissued(publishing: &Publishing) -> String {
    let look = look(&publishing.certificate);
    format!("it is issued again by itself; where that does not come, its conditions say why:\n{look}")
}

fn names(
    facts: &SecretFacts,
    name: &ObjectName,
    publishing: Option<&Publishing>,
    found: &CertificateFacts,
) -> Verdict {
    let all: Vec<_> = found.identifiers.iter().map(ToString::to_string).collect();
    if !is_for(found, &facts.host) {
        let text = format!(
            "its certificate is for {}, not for {}: browsers refuse it",
            all.join(", "),
            facts.host.value()
        );
        return Verdict::fail(Kind::SecretNames, text).fix(match (publishing, &facts.certificate) {
            (Some(one), _) => reissued(one),
            (None, Some(one)) => apart(facts, one),
            (None, None) => with_its_own(facts, name),
        });
    }
    if let Some(one) = publishing.filter(|one| one.names != found.identifiers) {
        let text = format!(
            "its certificate is for {}, which are not the names of Certificate {}",
            all.join(", "),
            one.certificate
        );
        return Verdict::warn(Kind::SecretNames, text).fix(reissued(one));
    }
    let days = found.not_after.duration_since(facts.now).as_hours() / 24;
    Verdict::ok(
        Kind::SecretOk,
        format!("{} from {}, until {} ({days} d)", all.join(", "), found.issuer, day(found.not_after)),
    )
}

fn covers(name: &Identifier, host: &Identifier) -> bool {
    let (name, host) = (name.value(), host.value());
    let parent = host.split_once('.').map(|(_, parent)| parent);
    name == host || name.strip_prefix("*.").is_some_and(|zone| Some(zone) == parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_issue::KeyType;

    const NOW: &str = "2026-06-01T00:00:00Z";

    fn self_signed(names: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 5, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 7, 1);
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn secret(chain: &str, key: &str, more: Value) -> Secret {
        let mut secret = json!({
            "metadata": {"name": "www-tls", "namespace": "infra", "labels": {"app.kubernetes.io/managed-by": "gatecert"}},
            "type": "kubernetes.io/tls",
        });
        for (field, value) in more.as_object().unwrap() {
            secret[field] = value.clone();
        }
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        let bytes = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        secret.data = Some([("tls.crt".to_owned(), bytes(chain)), ("tls.key".to_owned(), bytes(key))].into());
        secret
    }

    fn of(host: &str, secret: Option<Secret>, now: &str) -> Vec<(&'static str, String)> {
        let name = ObjectName::new("infra", "www-tls");
        let facts = SecretFacts {
            host: Identifier::dns(host).unwrap(),
            now: now.parse().unwrap(),
            certificate: Some(Publishing {
                certificate: ObjectName::new("infra", "www"),
                secret: name.clone(),
                names: [Identifier::dns("www.example.com").unwrap()].into(),
            }),
            read_by: [("Gateway infra/public".to_owned(), name.clone())].into(),
            secrets: [(name, Ok(secret))].into(),
        };
        verdicts(&facts).into_iter().map(|one| (one.kind.as_str(), one.fix.unwrap_or_default())).collect()
    }

    fn kind(secret: Option<Secret>) -> &'static str {
        let all = of("www.example.com", secret, NOW);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].0
    }

    #[test]
    fn what_is_in_a_secret_is_judged() {
        let (chain, key) = self_signed(&["www.example.com"]);
        let good = || secret(&chain, &key, json!({}));
        assert_eq!(kind(None), "secret-missing");
        assert_eq!(kind(Some(good())), "secret-ok");
        assert_eq!(kind(Some(secret(&chain, &key, json!({"type": "Opaque"})))), "secret-type");
        assert_eq!(
            kind(Some(secret(&chain, &key, json!({"metadata": {"name": "www-tls"}})))),
            "secret-foreign"
        );
        let placeholder = json!({"metadata": {"labels": {
            "app.kubernetes.io/managed-by": "gatecert", "gatecert.dev/part": "placeholder"}}});
        assert_eq!(kind(Some(secret(&chain, &key, placeholder))), "secret-placeholder");
        assert_eq!(kind(Some(secret("x", &key, json!({})))), "secret-unreadable");
        assert_eq!(kind(Some(secret(&chain, "x", json!({})))), "secret-unreadable");
        let other = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
        assert_eq!(kind(Some(secret(&chain, &other.to_pem(), json!({})))), "secret-key");
        let (strange, strange_key) = self_signed(&["other.test"]);
        assert_eq!(kind(Some(secret(&strange, &strange_key, json!({})))), "secret-names");
        let broken = format!("{chain}{strange}");
        assert_eq!(kind(Some(secret(&broken, &key, json!({})))), "secret-chain");
        assert_eq!(of("www.example.com", Some(good()), "2026-08-01T00:00:00Z")[0].0, "secret-expired");
        assert_eq!(of("www.example.com", Some(good()), "2026-01-01T00:00:00Z")[0].0, "secret-not-yet-valid");
    }

    #[test]
    fn another_secret_is_read() {
        let (chain, key) = self_signed(&["www.example.com"]);
        let name = ObjectName::new("shop", "www-tls");
        let mut facts = SecretFacts {
            host: Identifier::dns("www.example.com").unwrap(),
            now: NOW.parse().unwrap(),
            certificate: Some(Publishing {
                certificate: ObjectName::new("shop", "www"),
                secret: name.clone(),
                names: [Identifier::dns("www.example.com").unwrap()].into(),
            }),
            read_by: [("Gateway infra/public".to_owned(), ObjectName::new("infra", "www-tls"))].into(),
            secrets: [(name, Ok(Some(secret(&chain, &key, json!({})))))].into(),
        };
        // A command that took over what another Certificate writes would serve its names no more.
        let mut anothers = secret(&chain, &key, json!({}));
        anothers.metadata.annotations =
            Some([(annotation::CERTIFICATE_NAME.to_owned(), "all".to_owned())].into());
        let mut taken = facts.clone();
        taken.secrets.insert(ObjectName::new("infra", "www-tls"), Ok(Some(anothers)));
        let fix = verdicts(&taken)[0].fix.clone().unwrap();
        assert!(fix.starts_with("Certificate all writes that one") && !fix.contains("kubectl"), "{fix}");

        let found = verdicts(&facts);
        assert_eq!(found[0].kind.as_str(), "secret-not-read");
        assert!(
            found[0].fix.as_deref().unwrap().contains("namespace of the gateway's Pods, infra"),
            "{found:?}"
        );
        let fix = found[0].fix.as_deref().unwrap();
        assert!(fix.contains(r#""kind":"ReferenceGrant""#), "{fix}");
        assert!(fix.contains(r#""name":"certificates-of-shop-for-www-tls""#), "{fix}");
        let write = "kubectl -n shop patch certificates.gatecert.dev/www --type=merge \
                     -p '{\"spec\":{\"secretNamespace\":\"infra\",\"secretName\":\"www-tls\"}}'";
        assert!(fix.ends_with(write), "{fix}");
        assert_eq!(found[0].level, super::super::report::Level::Fail);
        facts.read_by = [("Gateway shop/public".to_owned(), ObjectName::new("shop", "other"))].into();
        let write = "kubectl -n shop patch certificates.gatecert.dev/www --type=merge \
                     -p '{\"spec\":{\"secretName\":\"other\"}}'";
        let found = verdicts(&facts);
        assert!(found[0].fix.as_deref().unwrap().ends_with(write), "{found:?}");
        facts.read_by.clear();
        let found = verdicts(&facts);
        assert_eq!(found[0].kind.as_str(), "secret-not-read");
        assert_eq!(found[0].level, super::super::report::Level::Warn);
        facts.secrets = [(ObjectName::new("shop", "www-tls"), Err(Why::Forbidden))].into();
        assert_eq!(verdicts(&facts)[1].kind.as_str(), "cluster-forbidden");
    }

    #[test]
    fn what_is_not_there_yet_comes_with_a_command() {
        let (chain, key) = self_signed(&["www.example.com"]);
        let name = ObjectName::new("infra", "www-tls");
        let labels = json!({"app.kubernetes.io/managed-by": "gatecert", "gatecert.dev/part": "placeholder"});
        let placeholder = secret(&chain, &key, json!({"metadata": {"labels": labels}}));
        let describe = "kubectl -n infra describe certificates.gatecert.dev www";
        assert_eq!(of("www.example.com", Some(placeholder.clone()), NOW)[0].1, describe);
        assert_eq!(of("www.example.com", None, NOW)[0].1, describe);
        let mut facts = SecretFacts {
            host: Identifier::dns("www.example.com").unwrap(),
            now: NOW.parse().unwrap(),
            certificate: None,
            read_by: [("Gateway infra/public".to_owned(), name.clone())].into(),
            secrets: [(name.clone(), Ok(None))].into(),
        };
        let fix = verdicts(&facts)[0].fix.clone().unwrap();
        assert!(fix.contains("metadata: {name: www-tls, namespace: infra}"), "{fix}");
        assert!(fix.contains("secretName: www-tls, dnsNames: [www.example.com]"), "{fix}");
        facts.certificate = Some(Publishing {
            certificate: ObjectName::new("infra", "www"),
            secret: ObjectName::new("infra", "other"),
            names: [Identifier::dns("www.example.com").unwrap()].into(),
        });
        let both = verdicts(&facts);
        assert_eq!((both[0].kind.as_str(), both[1].kind.as_str()), ("secret-not-read", "secret-missing"));
        assert_eq!(both[0].fix, both[1].fix);
        facts.certificate = None;
        facts.secrets = [(name, Ok(Some(placeholder)))].into();
        let listed = "kubectl get certificates.gatecert.dev --all-namespaces";
        assert_eq!(verdicts(&facts)[0].fix.as_deref(), Some(listed));
    }

    #[test]
    fn a_secret_for_other_names_comes_with_a_command() {
        let (chain, key) = self_signed(&["other.test"]);
        let name = ObjectName::new("shop", "www-tls");
        let write = |secret: &str| {
            Some(Publishing {
                certificate: ObjectName::new("shop", "www"),
                secret: ObjectName::new("shop", secret),
                names: [Identifier::dns("www.example.com").unwrap()].into(),
            })
        };
        let mut facts = SecretFacts {
            host: Identifier::dns("www.example.com").unwrap(),
            now: NOW.parse().unwrap(),
            certificate: write("www-tls"),
            read_by: [("Gateway shop/public".to_owned(), name.clone())].into(),
            secrets: [(name, Ok(Some(secret(&chain, &key, json!({})))))].into(),
        };
        let fix = |facts: &SecretFacts| {
            let all = verdicts(facts);
            let found = all.iter().find(|one| one.kind == Kind::SecretNames).unwrap();
            found.fix.clone().unwrap()
        };
        assert!(
            fix(&facts).ends_with("\nkubectl -n shop describe certificates.gatecert.dev www"),
            "{facts:?}"
        );
        facts.certificate = write("another");
        // Whoever has the other names keeps them.
        let apart = "give www.example.com a server of its own, with credentialName another in namespace shop";
        assert_eq!(fix(&facts), apart);
        assert_eq!(verdicts(&facts)[0].fix.as_deref(), Some(apart));
        facts.certificate = None;
        let own = fix(&facts);
        assert!(own.contains("credentialName www-tls-own:\nkubectl create -f -"), "{own}");
        assert!(own.contains("secretName: www-tls-own, dnsNames: [www.example.com]"), "{own}");
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let of = |name: &str, host: &str| covers(&name.parse().unwrap(), &host.parse().unwrap());
        assert!(of("*.example.com", "www.example.com"));
        assert!(!of("*.example.com", "a.www.example.com"));
        assert!(!of("*.example.com", "example.com"));
    }
}
