//! What a source gets otherwise than its author may expect.

use gatecert_render::ObjectName;
use std::collections::BTreeSet;
use std::fmt;

/// How many hosts a message names.
const SHOWN_HOSTS: usize = 5;

/// What a source gets otherwise than its author may expect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum SourceWarning {
    /// Some hosts of a Secret can not be proved.
    #[error(
        "Secret {secret}: {} left out, since HTTP-01 proves neither wildcards nor what is no full DNS name; name each host",
        Few(hosts)
    )]
    LeftOut {
        /// The Secret.
        secret: ObjectName,
        /// What was left out.
        hosts: BTreeSet<String>,
    },
    /// No host of a Secret can be proved.
    #[error(
        "Secret {secret}: no certificate for {}, since HTTP-01 proves neither wildcards nor what is no full DNS name; name each host",
        Few(hosts)
    )]
    NothingLeft {
        /// The Secret.
        secret: ObjectName,
        /// What was left out.
        hosts: BTreeSet<String>,
    },
    /// A credential is not a Secret of the cluster.
    #[error("credential {name:?}: no certificate, since it is not a Secret of the cluster")]
    NotASecret {
        /// The credential.
        name: String,
    },
    /// The name of a Secret is one for CA certificates.
    #[error(
        "Secret {secret}: no certificate, since Istio reads Secrets that end in -cacert as CA certificates"
    )]
    CaCertificate {
        /// The Secret.
        secret: ObjectName,
    },
    /// The gateway runs in several namespaces, none of which is that of the source.
    #[error(
        "the gateway's Pods are selected by Services of several namespaces ({}): the Secrets go to the namespace of \
         this object; a Certificate with secretNamespace names another",
        Few(namespaces)
    )]
    SeveralWorkloads {
        /// The namespaces.
        namespaces: BTreeSet<String>,
    },
    /// The common name is none of the names.
    #[error("common name {name} is left out, since no certificate of this object has that name")]
    CommonName {
        /// The common name.
        name: String,
    },
    /// An older source of the namespace wants the Secret from another issuer.
    #[error(
        "Secret {secret}: the names of this object are left out, since {owner} has it issued by {issuer}"
    )]
    OtherIssuer {
        /// The Secret.
        secret: ObjectName,
        /// The older source.
        owner: String,
        /// Its issuer.
        issuer: String,
    },
    /// An older source of the namespace wants the Secret with other settings.
    #[error("Secret {secret}: the annotations of {owner} count, which is older; those here differ")]
    OtherSettings {
        /// The Secret.
        secret: ObjectName,
        /// The older source.
        owner: String,
    },
    /// More names than a certificate holds.
    #[error("Secret {secret}: {count} names are wanted and a certificate holds 100; use several Secrets")]
    TooManyNames {
        /// The Secret.
        secret: ObjectName,
        /// How many.
        count: usize,
    },
    /// Two other Certificates have the names that this one could have.
    #[error("Secret {secret}: no certificate, since the Certificate {name} is for another Secret")]
    NameTaken {
        /// The Secret.
        secret: ObjectName,
        /// The name.
        name: ObjectName,
    },
}

/// The first of many.
struct Few<'a>(&'a BTreeSet<String>);

impl fmt::Display for Few<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().take(SHOWN_HOSTS).map(String::as_str).collect();
        f.write_str(&shown.join(", "))?;
        match self.0.len().saturating_sub(SHOWN_HOSTS) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
