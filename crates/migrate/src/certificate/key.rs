//! The key of a certificate.

use super::Conversion;
use crate::cert_manager::CertificateSpec;
use crate::error::word;
use gatecert_api::{Algorithm, PrivateKey, RotationPolicy};

const KEY: &[&str] = &["spec", "privateKey"];

impl Conversion<'_> {
    /// The same kind of key. It is written out where cert-manager's default is another than gatecert's: a certificate of
    /// another kind of key would be issued anew.
    pub(super) fn key(&mut self, spec: &CertificateSpec) -> Result<PrivateKey, String> {
        let new = spec.private_key.clone().unwrap_or_default();
        let algorithm = new.algorithm.or_else(|| spec.key_algorithm.clone()).filter(|text| !text.is_empty());
        let is_said = algorithm.is_some();
        let size = new.size.or(spec.key_size).filter(|size| *size != 0);
        let algorithm = algorithm_of(algorithm.as_deref(), size)?;
        if !is_said {
            let text = "cert-manager's default, written out: with another kind of key the certificate would be issued anew";
            self.comments.add(KEY, text);
        }
        let encoding = new.encoding.or_else(|| spec.key_encoding.clone()).unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("pkcs8") {
            self.comments.add(
                KEY,
                "the next key is written as PKCS#8 (`PRIVATE KEY`), cert-manager wrote PKCS#1 or SEC1",
            );
        }
        let rotation_policy = match new.rotation_policy.as_deref() {
            Some("Never") => Some(RotationPolicy::Never),
            Some("Always") => Some(RotationPolicy::Always),
            Some(other) => return Err(format!("`privateKey.rotationPolicy` is {}", word(other))),
            None => {
                let text = "each certificate gets a new key; cert-manager before 1.18 kept it: `rotationPolicy: Never`";
                self.comments.add(KEY, text);
                None
            }
        };
        let size = (algorithm == Algorithm::Rsa || size.is_some()).then(|| size.unwrap_or(2048));
        Ok(PrivateKey { algorithm: Some(algorithm), size, rotation_policy })
    }
}

/// The algorithm, where gatecert and public CAs have it in that size.
pub(crate) fn algorithm_of(text: Option<&str>, size: Option<i32>) -> Result<Algorithm, String> {
    let algorithm = match text {
        None => Algorithm::Rsa,
        Some(text) if text.eq_ignore_ascii_case("rsa") => Algorithm::Rsa,
        Some(text) if text.eq_ignore_ascii_case("ecdsa") => Algorithm::Ecdsa,
        Some(other) => {
            return Err(format!("`privateKey.algorithm` is {}: no public CA takes it", word(other)));
        }
    };
    let sizes: &[i32] = if algorithm == Algorithm::Rsa { &[2048, 3072, 4096] } else { &[256, 384] };
    match size {
        Some(size) if !sizes.contains(&size) => {
            let (name, sizes) = match algorithm {
                Algorithm::Rsa => ("RSA", "2048, 3072 and 4096"),
                Algorithm::Ecdsa => ("ECDSA", "256 and 384"),
            };
            Err(format!(
                "`privateKey.size` is {size}: gatecert makes {name} keys of {sizes} bits, as Let's Encrypt takes them"
            ))
        }
        _ => Ok(algorithm),
    }
}
