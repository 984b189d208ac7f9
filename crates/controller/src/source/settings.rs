//! What the annotations of a source say of its certificates.

use gatecert_api::{Algorithm, IssuerKind, IssuerReference, PrivateKey, RotationPolicy, annotation};
use std::collections::BTreeMap;

/// How much of a value an error repeats, in characters.
const SHOWN_VALUE: usize = 64;

/// Why the annotations of a source can not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Two issuers.
    #[error(
        "the annotations {} and {} exclude each other: keep one of them",
        annotation::ISSUER,
        annotation::CLUSTER_ISSUER
    )]
    TwoIssuers,
    /// A value that is not allowed.
    #[error("the annotation {annotation} is {value:?}, allowed is {allowed}")]
    Value {
        /// The annotation.
        annotation: &'static str,
        /// Its value, cut to 64 characters.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// What the annotations of a source say of its certificates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) issuer: IssuerReference,
    pub(super) private_key: Option<PrivateKey>,
    pub(super) profile: Option<String>,
    pub(super) common_name: Option<String>,
    pub(super) renew_before: Option<String>,
}

impl Settings {
    pub(super) fn read(annotations: &BTreeMap<String, String>) -> Result<Self, SourceError> {
        let annotations = Annotations(annotations);
        Ok(Self {
            issuer: annotations.issuer()?,
            private_key: annotations.private_key()?,
            profile: annotations.text(
                annotation::PROFILE,
                "the name of a profile, 1 to 64 characters",
                |text| (1..=64).contains(&text.chars().count()),
            )?,
            common_name: annotations
                .text(annotation::COMMON_NAME, "a full DNS name of at most 64 characters", |text| {
                    text.len() <= 64 && super::is_dns_name(&text.to_ascii_lowercase())
                })?
                .map(|name| name.to_ascii_lowercase()),
            renew_before: annotations.text(
                annotation::RENEW_BEFORE,
                "a duration in hours, minutes and seconds, such as 360h or 1h30m",
                is_duration,
            )?,
        })
    }

    /// Whether everything but the common name is the same.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.private_key == other.private_key
            && self.profile == other.profile
            && self.renew_before == other.renew_before
    }

    /// The issuer, for messages.
    pub(super) fn issuer_title(&self) -> String {
        format!("{} {}", self.issuer.kind.unwrap_or_default().as_str(), self.issuer.name)
    }

    /// The key of a Secret whose place in the source may ask for an algorithm.
    pub(super) fn key(&self, algorithm: Option<Algorithm>) -> Option<PrivateKey> {
        let Some(algorithm) = algorithm else { return self.private_key.clone() };
        let annotated = self.private_key.clone().unwrap_or_default();
        // A size belongs to the algorithm that it was written for.
        let size = annotated.size.filter(|_| annotated.algorithm().0 == algorithm);
        Some(PrivateKey { algorithm: Some(algorithm), size, ..annotated })
    }
}

struct Annotations<'a>(&'a BTreeMap<String, String>);

impl Annotations<'_> {
    fn issuer(&self) -> Result<IssuerReference, SourceError> {
        let allowed = "the name of an issuer, 1 to 253 characters";
        let name = |annotation| self.text(annotation, allowed, |name| (1..=253).contains(&name.len()));
        let (name, kind) = match (name(annotation::ISSUER)?, name(annotation::CLUSTER_ISSUER)?) {
            (Some(_), Some(_)) => return Err(SourceError::TwoIssuers),
            (None, Some(name)) => (name, IssuerKind::ClusterIssuer),
            (name, None) => (name.unwrap_or_default(), IssuerKind::Issuer),
        };
        Ok(IssuerReference { name, kind: Some(kind), group: None })
    }

    fn private_key(&self) -> Result<Option<PrivateKey>, SourceError> {
        let algorithm =
            self.choice(annotation::PRIVATE_KEY_ALGORITHM, "ECDSA or RSA", |value| match value {
                "ECDSA" => Some(Algorithm::Ecdsa),
                "RSA" => Some(Algorithm::Rsa),
                _ => None,
            })?;
        let (allowed, sizes): (_, &[i32]) = match algorithm.unwrap_or_default() {
            Algorithm::Ecdsa => ("256 or 384 for ECDSA", &[256, 384]),
            Algorithm::Rsa => ("2048, 3072 or 4096 for RSA", &[2048, 3072, 4096]),
        };
        let size = self.choice(annotation::PRIVATE_KEY_SIZE, allowed, |value| {
            sizes.iter().copied().find(|size| size.to_string() == value)
        })?;
        let rotation_policy =
            self.choice(annotation::PRIVATE_KEY_ROTATION_POLICY, "Always or Never", |value| match value {
                "Always" => Some(RotationPolicy::Always),
                "Never" => Some(RotationPolicy::Never),
                _ => None,
            })?;
        let key = PrivateKey { algorithm, size, rotation_policy };
        Ok((key != PrivateKey::default()).then_some(key))
    }

    fn text(
        &self,
        annotation: &'static str,
        allowed: &'static str,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, SourceError> {
        self.choice(annotation, allowed, |value| is_allowed(value).then(|| value.to_owned()))
    }

    fn choice<T>(
        &self,
        annotation: &'static str,
        allowed: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SourceError> {
        let Some(value) = self.0.get(annotation) else { return Ok(None) };
        let error =
            || SourceError::Value { annotation, value: value.chars().take(SHOWN_VALUE).collect(), allowed };
        read(value).ok_or_else(error).map(Some)
    }
}

/// Whether it is one or more numbers, each with `h`, `m` or `s` behind it, as the definition of the resource asks.
fn is_duration(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_part = |part: &str| {
        part.strip_suffix(['h', 'm', 's']).is_some_and(|number| match number.split_once('.') {
            Some((whole, fraction)) => is_number(whole) && is_number(fraction),
            None => is_number(number),
        })
    };
    (2..=32).contains(&text.len()) && text.split_inclusive(['h', 'm', 's']).all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the annotations are that are read.
    const READ: [&str; 8] = [
        annotation::ISSUER,
        annotation::CLUSTER_ISSUER,
        annotation::PROFILE,
        annotation::PRIVATE_KEY_ALGORITHM,
        annotation::PRIVATE_KEY_SIZE,
        annotation::PRIVATE_KEY_ROTATION_POLICY,
        annotation::COMMON_NAME,
        annotation::RENEW_BEFORE,
    ];

    /// Anything, and what is nearly right.
    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-z.*-]{0,80}",
            "[0-9]{1,12}[hms]",
            Just("ECDSA".to_owned()),
            Just("RSA".to_owned()),
            Just("4096".to_owned()),
            "x{0,300}",
        ]
    }

    proptest! {
        /// What is taken is of the form that a Certificate may have; an error shows little of the value.
        #[test]
        fn annotations_hold_anything(values in prop::collection::btree_map(0_usize..8, any_value(), 0..8)) {
            let annotations = values.into_iter().map(|(index, value)| (READ[index].to_owned(), value)).collect();
            match Settings::read(&annotations) {
                Ok(settings) => {
                    prop_assert!(settings.issuer.name.len() <= 253);
                    prop_assert!(settings.profile.is_none_or(|profile| (1..=64).contains(&profile.chars().count())));
                    prop_assert!(settings.common_name.is_none_or(|name| name.len() <= 64 && !name.contains('*')));
                    let duration = settings.renew_before.map(|text| text.parse::<kube::core::Duration>());
                    prop_assert!(duration.is_none_or(|duration| duration.is_ok()));
                    let size = settings.private_key.and_then(|key| key.size);
                    prop_assert!(size.is_none_or(|size| [256, 384, 2048, 3072, 4096].contains(&size)));
                }
                Err(SourceError::TwoIssuers) => {}
                Err(SourceError::Value { value, .. }) => prop_assert!(value.chars().count() <= SHOWN_VALUE),
            }
        }
    }
}
