//! Issuers and ClusterIssuers.

mod solver;

pub(crate) use solver::ISTIO;

use crate::cert_manager::{Acme, ExternalAccountBinding, IssuerSpec, Object};
use crate::inputs::Input;
use crate::metadata;
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin, kubectl};
use crate::options::Options;
use gatecert_acme::Contact;
use gatecert_api::{
    AcmeIssuer, ClusterIssuer, ClusterIssuerSpec, Issuer, IssuerSpec as Wanted, SecretKeyReference,
    SecretReference,
};

/// Hosts of Let's Encrypt, and the words for its directories. Those of ACME v1 were switched off in June 2021.
const LETS_ENCRYPT: [(&str, &str); 2] = [
    ("acme-v01.api.letsencrypt.org", "letsencrypt"),
    ("acme-staging.api.letsencrypt.org", "letsencrypt-staging"),
];

/// Where cert-manager keeps the key in an account's Secret, unless an issuer says otherwise; and where gatecert does.
const ACCOUNT_KEY: &str = "tls.key";

/// Converts an issuer; false where it has no counterpart.
pub(crate) fn convert(
    input: &Input<Object<IssuerSpec>>,
    options: &Options,
    migration: &mut Migration,
) -> bool {
    let Input { origin, object } = input;
    let Some(acme) = &object.spec.acme else {
        migration.notes.push(origin.not_migrated(format!(
            "{} is not ACME: leave it, and what it issues, to cert-manager",
            other_kind(&object.spec)
        )));
        return false;
    };
    let mut conversion = Conversion { origin, options, migration, comments: Comments::default() };
    let Some(acme) = conversion.acme(acme) else { return false };
    let mut comments = conversion.comments;
    metadata::say_dropped([&object.metadata], metadata::OF_ANOTHER, &mut comments);
    let meta = metadata::kept(&object.metadata);
    let name = origin.name.as_str();
    if origin.kind == "ClusterIssuer" {
        let mut issuer = ClusterIssuer::new(name, ClusterIssuerSpec { acme });
        issuer.metadata = kube::core::ObjectMeta { namespace: None, ..meta };
        migration.add(&issuer, &[origin], comments);
    } else {
        let mut issuer = Issuer::new(name, Wanted { acme });
        issuer.metadata = meta;
        migration.add(&issuer, &[origin], comments);
    }
    true
}

fn other_kind(spec: &IssuerSpec) -> &'static str {
    match (&spec.ca, &spec.vault, &spec.self_signed, &spec.venafi) {
        (Some(_), ..) => "a CA of one's own (`ca`)",
        (_, Some(_), ..) => "`vault`",
        (_, _, Some(_), _) => "`selfSigned`",
        (.., Some(_)) => "`venafi`",
        _ => "an issuer without `acme`",
    }
}

struct Conversion<'a> {
    origin: &'a Origin,
    options: &'a Options,
    migration: &'a mut Migration,
    comments: Comments,
}

impl Conversion<'_> {
    fn acme(&mut self, acme: &Acme) -> Option<AcmeIssuer> {
        let server = self.server(&acme.server)?;
        let solvers = self.solvers(acme)?;
        let converted = AcmeIssuer {
            server,
            email: self.email(acme.email.as_deref()),
            ca_bundle: acme.ca_bundle.clone(),
            skip_tls_verify: acme.skip_tls_verify.filter(|skip| *skip),
            private_key_secret_ref: Some(SecretReference { name: acme.private_key_secret_ref.name.clone() }),
            external_account_binding: acme.external_account_binding.as_ref().map(|eab| self.binding(eab)),
            preferred_chain: acme.preferred_chain.clone().filter(|chain| !chain.is_empty()),
            profile: acme.profile.clone().filter(|profile| !profile.is_empty()),
            rate_limits: None,
            solvers: (!solvers.is_empty()).then_some(solvers),
            allow: None,
        };
        self.account_key(acme);
        if acme.disable_account_key_generation == Some(true) {
            let text = "`disableAccountKeyGeneration` is gone: where the Secret is missing, a key is made";
            self.comments.add(&["spec", "acme", "privateKeySecretRef"], text);
        }
        if acme.enable_duration_feature == Some(true) {
            let text =
                "`enableDurationFeature` is gone: how long a certificate holds is its profile's to say";
            self.comments.add(&["spec", "acme"], text);
        }
        Some(converted)
    }

    fn server(&mut self, server: &str) -> Option<String> {
        let host = server.split_once("://").map_or(server, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        if let Some((_, word)) = LETS_ENCRYPT.iter().find(|(old, _)| *old == host) {
            let text = "was ACME v1, which is switched off; the account's key is good for ACME v2 as well";
            self.comments.add(&["spec", "acme", "server"], format!("{text} (`{host}`)"));
            return Some((*word).to_owned());
        }
        if !server.starts_with("https://") {
            let text =
                "`spec.acme.server` is no https:// URL, and a controller speaks to a CA by https alone";
            self.migration.notes.push(self.origin.not_migrated(text).field("spec.acme.server"));
            return None;
        }
        Some(server.to_owned())
    }

    fn email(&mut self, email: Option<&str>) -> Option<String> {
        let email = email.filter(|email| !email.is_empty())?;
        if Contact::email(email).is_ok() {
            return Some(email.to_owned());
        }
        let text =
            "`spec.acme.email` is not one address, and was left out: name one that the CA may write to";
        self.migration.notes.push(self.origin.not_migrated(text).field("spec.acme.email"));
        None
    }

    fn binding(&mut self, eab: &ExternalAccountBinding) -> gatecert_api::ExternalAccountBinding {
        if eab.key_algorithm.as_deref().is_some_and(|algorithm| algorithm != "HS256") {
            let text = "`keyAlgorithm` is HS256, the one that CAs take";
            self.comments.add(&["spec", "acme", "externalAccountBinding"], text);
        }
        self.copy_command(&eab.key_secret_ref.name, eab.key_secret_ref.key.as_deref().unwrap_or("secret"));
        gatecert_api::ExternalAccountBinding {
            key_id: eab.key_id.clone(),
            key_secret_ref: SecretKeyReference {
                name: eab.key_secret_ref.name.clone(),
                key: eab.key_secret_ref.key.clone(),
            },
            key_algorithm: None,
        }
    }

    /// Gatecert reads the same Secret where it is beside the issuer; those of ClusterIssuers move.
    fn account_key(&mut self, acme: &Acme) {
        let secret = &acme.private_key_secret_ref;
        let key = secret.key.as_deref().filter(|key| !key.is_empty()).unwrap_or(ACCOUNT_KEY);
        let field: &[&str] = &["spec", "acme", "privateKeySecretRef"];
        if key != ACCOUNT_KEY {
            let text = format!(
                "the key was under `{key}`, and gatecert reads `{ACCOUNT_KEY}`: copy it there, or a new account is made"
            );
            self.migration.notes.push(self.origin.not_migrated(text).field(field.join(".")));
        }
        if self.origin.kind == "ClusterIssuer" {
            let namespace = &self.options.controller_namespace;
            let text =
                format!("the account's key: read from this Secret in `{namespace}`, where gatecert runs");
            self.comments.add(&["spec", "acme", "privateKeySecretRef"], text);
        }
        self.copy_command(&secret.name, key);
    }

    /// The command that copies a Secret of a ClusterIssuer. The value goes through pipes: it is on no command line.
    fn copy_command(&mut self, secret: &str, key: &str) {
        if self.origin.kind != "ClusterIssuer" {
            return;
        }
        let Options { controller_namespace: to, cert_manager_namespace: from, .. } = self.options;
        if from == to {
            return;
        }
        let path = key.replace('.', "\\.");
        let command = format!(
            "{} get secret {secret} -o jsonpath='{{.data.{path}}}' | base64 -d | {} create secret generic {secret} \
             --from-file={key}=/dev/stdin",
            kubectl(Some(from)),
            kubectl(Some(to)),
        );
        let text = "Give gatecert the keys of the accounts, or it registers new ones:";
        self.migration.notes.push(self.origin.note(NoteKind::Before, text).command(command));
    }
}
