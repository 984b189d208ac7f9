//! Publishing to a Kubernetes Secret of type `kubernetes.io/tls`.
//!
//! A Secret is gatecert's when its labels say so. One that is not is written only where its owner consents by the
//! annotation [`annotation::ADOPT`], or where it does not exist: a Secret that appears in between is noticed, not
//! overwritten.

use gatecert_api::annotation;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::core::Status;
use kube::{Client, ResourceExt as _};
use zeroize::Zeroizing;

/// The type of a Secret with a certificate and its key.
pub const TLS: &str = "kubernetes.io/tls";

/// The largest value in a Secret that is read, in bytes. The API server's limit for all of one is 1 MiB.
const MAX_VALUE: usize = 1024 * 1024;

/// What there is under the name of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Nothing.
    Absent,
    /// A Secret of gatecert's.
    Ours,
    /// Somebody else's, who lets gatecert have it.
    Adoptable,
    /// Somebody else's.
    Foreign,
    /// A Secret of another type than `kubernetes.io/tls`, which can not be changed.
    WrongType,
}

/// Whose a Secret is.
pub fn ownership(secret: &Secret) -> Ownership {
    if secret.type_.as_deref() != Some(TLS) {
        return Ownership::WrongType;
    }
    let is_ours = secret.labels().get(annotation::MANAGED_BY).is_some_and(|by| by == annotation::MANAGER);
    let is_adoptable = secret.annotations().get(annotation::ADOPT).is_some_and(|adopt| adopt == "true");
    match (is_ours, is_adoptable) {
        (true, _) => Ownership::Ours,
        (false, true) => Ownership::Adoptable,
        (false, false) => Ownership::Foreign,
    }
}

/// The certificate and the key in a Secret, if it has text under both names.
pub fn pair(secret: &Secret) -> Option<(String, Zeroizing<String>)> {
    let text = |key: &str| {
        let value = &secret.data.as_ref()?.get(key)?.0;
        (value.len() <= MAX_VALUE).then(|| String::from_utf8(value.clone()).ok()).flatten()
    };
    Some((text("tls.crt")?, Zeroizing::new(text("tls.key")?)))
}

/// Why a Secret is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It appeared since it was looked for, and is somebody else's.
    #[error("Secret {0} has appeared meanwhile and is not gatecert's")]
    Appeared(String),
    /// The API server refuses, or can not be reached.
    #[error("Secret {name} can not be written")]
    Write {
        /// Namespace and name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// Applies a Secret, server-side, as the field manager `gatecert`: one request, by which fields that were applied before and
/// are in it no more go. Where there is none it is applied without force: one of somebody else's that appears
/// meanwhile has another certificate, or another type, and the API server refuses to overwrite those.
///
/// # Errors
/// [`SecretError`].
pub async fn publish(client: &Client, secret: &Secret, present: Ownership) -> Result<Secret, SecretError> {
    let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let parameters =
        PatchParams { force: present != Ownership::Absent, ..PatchParams::apply(annotation::MANAGER) };
    let result = secrets.patch(&name, &parameters, &Patch::Apply(secret)).await;
    let name = format!("{namespace}/{name}");
    result.map_err(|error| match error {
        kube::Error::Api(status) if is_owned_by_another(&status) => SecretError::Appeared(name),
        source => SecretError::Write { name, source: Box::new(source) },
    })
}

/// Whether a field is another manager's, by the words of server-side apply.
fn is_owned_by_another(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_conflict() && causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn secret(type_: &str, label: Option<&str>, adopt: Option<&str>) -> Secret {
        let map =
            |key: &str, value: Option<&str>| value.map(|value| [(key.to_owned(), value.to_owned())].into());
        Secret {
            metadata: ObjectMeta {
                labels: map(annotation::MANAGED_BY, label),
                annotations: map(annotation::ADOPT, adopt),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            data: Some([("tls.crt".to_owned(), ByteString(b"C".to_vec()))].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn foreign_secrets_need_consent() {
        assert_eq!(ownership(&secret(TLS, Some("gatecert"), None)), Ownership::Ours);
        assert_eq!(ownership(&secret(TLS, Some("helm"), None)), Ownership::Foreign);
        assert_eq!(ownership(&secret(TLS, None, Some("yes"))), Ownership::Foreign);
        assert_eq!(ownership(&secret(TLS, None, Some("true"))), Ownership::Adoptable);
        assert_eq!(ownership(&secret("Opaque", Some("gatecert"), Some("true"))), Ownership::WrongType);
    }

    #[test]
    fn half_a_pair_is_none() {
        let mut secret = secret(TLS, None, None);
        assert!(pair(&secret).is_none());
        secret.data.as_mut().unwrap().insert("tls.key".into(), ByteString(b"K".to_vec()));
        assert_eq!(pair(&secret).unwrap().0, "C");
        secret.data.as_mut().unwrap().insert("tls.key".into(), ByteString(vec![0xff]));
        assert!(pair(&secret).is_none());
    }
}
