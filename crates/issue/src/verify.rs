//! Whether a chain may be served: checked before anything is published.

use crate::facts::{CertificateFacts, MAX_CHAIN_PEM_BYTES, parse, read_chain};
use crate::key::CertificateKey;
use gatecert_acme::{ChainError, Identifier};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use x509_parser::certificate::X509Certificate;

/// How far the first moment of a certificate may lie ahead: the CA's clock and this one's need not agree to the second.
pub const MAX_NOT_BEFORE_AHEAD: SignedDuration = SignedDuration::from_mins(60);

/// Why a chain may not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The PEM text is longer than [`MAX_CHAIN_PEM_BYTES`].
    #[error("the chain has {size} bytes, more than {MAX_CHAIN_PEM_BYTES}")]
    TooLong {
        /// Its size in bytes.
        size: usize,
    },
    /// It is no chain of 1 to 10 certificates in PEM.
    #[error("it is no certificate chain")]
    Chain(#[source] ChainError),
    /// A certificate can not be read.
    #[error("certificate {index} of the chain is no X.509 certificate")]
    Certificate {
        /// Its place, the leaf being 0.
        index: usize,
    },
    /// The leaf has no names, or some that are neither DNS names nor addresses.
    #[error("the certificate's names are missing or can not be read")]
    Names,
    /// A date is outside of what a time can be.
    #[error("a date of the certificate can not be read")]
    Date(#[source] jiff::Error),
    /// The key belongs to another certificate.
    #[error("the private key ({key_type}) does not belong to the certificate", key_type = .key.key_type())]
    OtherKey {
        /// The key.
        key: CertificateKey,
    },
    /// The names are not those that were asked for.
    #[error("the certificate is for other names: {}", difference(.added, .missing))]
    OtherNames {
        /// Names that nobody asked for.
        added: BTreeSet<Identifier>,
        /// Names that it lacks.
        missing: BTreeSet<Identifier>,
    },
    /// It does not hold any more.
    #[error("the certificate has expired at {not_after}")]
    Expired {
        /// Its last moment.
        not_after: Timestamp,
    },
    /// It does not hold for some time.
    #[error("the certificate does not hold before {not_before}")]
    NotYetValid {
        /// Its first moment.
        not_before: Timestamp,
    },
    /// The leaf is a CA's certificate, which TLS clients refuse as a server's.
    #[error("the certificate is a CA's, not a server's")]
    LeafIsCa,
    /// The extended key usage leaves out servers.
    #[error("the certificate is not for TLS servers")]
    NotForServers,
    /// A certificate is not signed by the next one of the chain.
    #[error("certificate {index} of the chain is not signed by the one after it")]
    NotSigned {
        /// Its place, the leaf being 0.
        index: usize,
    },
    /// A certificate that signs another one of the chain may not do so.
    #[error("certificate {index} of the chain may not sign certificates")]
    NotCa {
        /// Its place, the leaf being 0.
        index: usize,
    },
}

impl VerifyError {
    /// Whether the certificate may pass at another time, or by a clock that is right.
    pub fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }
}

fn difference(added: &BTreeSet<Identifier>, missing: &BTreeSet<Identifier>) -> String {
    let list = |what: &str, names: &BTreeSet<Identifier>| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    [list("added", added), list("missing", missing)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Verifies a chain in PEM, leaf first: the key is the leaf's, the names are exactly these, the dates hold now, the leaf
/// is a server's, and each certificate is signed by the next, which may sign.
///
/// Whether clients trust the end of the chain is not asked: they know, and a private CA's root is nobody else's
/// business.
///
/// # Errors
/// The first rule that does not hold.
pub fn verify(
    chain_pem: &str,
    key: &CertificateKey,
    expected: &BTreeSet<Identifier>,
    now: Timestamp,
) -> Result<CertificateFacts, VerifyError> {
    let chain = read_chain(chain_pem)?;
    let parsed = chain.certificates_der().iter().enumerate().map(|(index, der)| parse(der, index));
    let certificates = parsed.collect::<Result<Vec<_>, _>>()?;
    let leaf = certificates.first().ok_or(VerifyError::Names)?;
    let facts = CertificateFacts::of(leaf)?;
    check_key(leaf, key)?;
    check_names(&facts.identifiers, expected)?;
    check_dates(&facts, now)?;
    check_purpose(leaf)?;
    check_signatures(&certificates)?;
    Ok(facts)
}

fn check_key(leaf: &X509Certificate<'_>, key: &CertificateKey) -> Result<(), VerifyError> {
    match leaf.public_key().raw == key.public_key_info_der() {
        true => Ok(()),
        false => Err(VerifyError::OtherKey { key: key.clone() }),
    }
}

fn check_names(found: &BTreeSet<Identifier>, expected: &BTreeSet<Identifier>) -> Result<(), VerifyError> {
    if found == expected {
        return Ok(());
    }
    let less = |a: &BTreeSet<Identifier>, b: &BTreeSet<Identifier>| a.difference(b).cloned().collect();
    Err(VerifyError::OtherNames { added: less(found, expected), missing: less(expected, found) })
}

fn check_dates(facts: &CertificateFacts, now: Timestamp) -> Result<(), VerifyError> {
    if facts.is_expired(now) {
        return Err(VerifyError::Expired { not_after: facts.not_after });
    }
    if facts.not_before.duration_since(now) > MAX_NOT_BEFORE_AHEAD {
        return Err(VerifyError::NotYetValid { not_before: facts.not_before });
    }
    Ok(())
}

fn check_purpose(leaf: &X509Certificate<'_>) -> Result<(), VerifyError> {
    if leaf.is_ca() {
        return Err(VerifyError::LeafIsCa);
    }
    match leaf.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.any || usage.value.server_auth => Ok(()),
        _ => Err(VerifyError::NotForServers),
    }
}

fn check_signatures(certificates: &[X509Certificate<'_>]) -> Result<(), VerifyError> {
    for (index, (subject, issuer)) in certificates.iter().zip(certificates.iter().skip(1)).enumerate() {
        let is_named = subject.issuer().as_raw() == issuer.subject().as_raw();
        if !is_named || subject.verify_signature(Some(issuer.public_key())).is_err() {
            return Err(VerifyError::NotSigned { index });
        }
        if !may_sign(issuer) {
            return Err(VerifyError::NotCa { index: index + 1 });
        }
    }
    Ok(())
}

/// RFC 5280 §4.2.1.3 and §4.2.1.9: the CA flag, and the key usage where it is given.
fn may_sign(issuer: &X509Certificate<'_>) -> bool {
    let key_usage =
        issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    issuer.is_ca() && key_usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::facts;
    use crate::key::KeyType;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose,
    };

    const NOW: &str = "2026-11-23T12:00:00Z";

    struct Ca {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn ca_params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    fn root(params: CertificateParams) -> Ca {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Ca { pem, issuer: Issuer::new(params, key) }
    }

    fn below(ca: &Ca, params: CertificateParams) -> Ca {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let pem = params.signed_by(&key, &ca.issuer).unwrap().pem();
        Ca { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate from four days before NOW to six days after it.
    fn leaf_params(names: &[&str]) -> CertificateParams {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2026, 11, 19);
        params.not_after = rcgen::date_time_ymd(2026, 11, 29);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params
    }

    fn leaf(ca: &Ca, key: &CertificateKey, params: &CertificateParams) -> String {
        let key = KeyPair::from_pem(&key.to_pem()).unwrap();
        params.signed_by(&key, &ca.issuer).unwrap().pem()
    }

    fn names(names: &[&str]) -> BTreeSet<Identifier> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn key() -> CertificateKey {
        CertificateKey::generate(KeyType::EcdsaP256).unwrap()
    }

    #[test]
    fn a_good_chain_gives_its_facts() {
        let root = root(ca_params("Root"));
        let intermediate = below(&root, ca_params("Sub"));
        let key = key();
        let mut params = leaf_params(&["WWW.Example.test", "192.0.2.7", "2001:db8::7"]);
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x8f, 0, 1]));
        let chain = leaf(&intermediate, &key, &params) + &intermediate.pem + &root.pem;
        let expected = names(&["www.example.test", "192.0.2.7", "2001:db8::7"]);
        let found = verify(&chain, &key, &expected, now()).unwrap();
        assert_eq!(found, facts(&chain).unwrap());
        assert_eq!(found.serial, "8f0001");
        assert_eq!((found.issuer.as_str(), found.key_type), ("Sub", Some(KeyType::EcdsaP256)));
        assert_eq!(found.life(), SignedDuration::from_hours(240));
        assert_eq!(found.fingerprint.len(), 64);
        assert!((0.0..1.0).contains(&found.jitter()));
        assert!(found.certificate_id.clone().unwrap().as_str().ends_with(".AI8AAQ"), "with its sign byte");
        assert_eq!(
            serde_json::from_value::<CertificateFacts>(serde_json::to_value(&found).unwrap()).unwrap(),
            found
        );
    }

    #[test]
    fn other_key_types_are_known() {
        let root = root(ca_params("Root"));
        for key_type in [KeyType::EcdsaP384, KeyType::Rsa2048] {
            let key = CertificateKey::generate(key_type).unwrap();
            let chain = leaf(&root, &key, &leaf_params(&["a.test"]));
            let found = verify(&chain, &key, &names(&["a.test"]), now()).unwrap();
            assert_eq!(found.key_type, Some(key_type));
        }
    }

    #[test]
    fn another_key() {
        let root = root(ca_params("Root"));
        let chain = leaf(&root, &key(), &leaf_params(&["a.test"]));
        let error = verify(&chain, &key(), &names(&["a.test"]), now()).unwrap_err();
        assert!(matches!(error, VerifyError::OtherKey { .. }), "{error:?}");
        assert!(error.to_string().contains("(ecdsa-p256)"), "{error}");
    }

    #[test]
    fn other_names() {
        let (root, key) = (root(ca_params("Root")), key());
        let chain = leaf(&root, &key, &leaf_params(&["a.test", "b.test"]));
        let error = verify(&chain, &key, &names(&["a.test", "c.test"]), now()).unwrap_err();
        assert_eq!(error.to_string(), "the certificate is for other names: added b.test; missing c.test");
        let mut params = leaf_params(&["a.test"]);
        params.subject_alt_names.push(rcgen::SanType::URI("spiffe://x/y".try_into().unwrap()));
        let error = verify(&leaf(&root, &key, &params), &key, &names(&["a.test"]), now()).unwrap_err();
        assert!(matches!(error, VerifyError::Names), "{error:?}");
        let error = facts(&leaf(&root, &key, &leaf_params(&[]))).unwrap_err();
        assert!(matches!(error, VerifyError::Names), "{error:?}");
    }

    #[test]
    fn dates() {
        let (root, key) = (root(ca_params("Root")), key());
        let chain = leaf(&root, &key, &leaf_params(&["a.test"]));
        let at = |time: &str| verify(&chain, &key, &names(&["a.test"]), time.parse().unwrap());
        at("2026-11-28T23:59:59Z").unwrap();
        at("2026-11-18T23:00:00Z").unwrap();
        for time in ["2026-11-29T00:00:00Z", "2027-11-29T00:00:00Z", "2026-11-18T22:59:59Z"] {
            assert!(at(time).unwrap_err().is_about_time());
        }
    }

    #[test]
    fn not_a_servers() {
        let (root, key) = (root(ca_params("Root")), key());
        let mut params = leaf_params(&["a.test"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let error = verify(&leaf(&root, &key, &params), &key, &names(&["a.test"]), now()).unwrap_err();
        assert!(matches!(error, VerifyError::NotForServers), "{error:?}");
        params.extended_key_usages = vec![];
        verify(&leaf(&root, &key, &params), &key, &names(&["a.test"]), now()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let error = verify(&leaf(&root, &key, &params), &key, &names(&["a.test"]), now()).unwrap_err();
        assert!(matches!(error, VerifyError::LeafIsCa), "{error:?}");
    }

    #[test]
    fn signatures() {
        let (root, key) = (root(ca_params("Root")), key());
        let intermediate = below(&root, ca_params("Sub"));
        let namesake = below(&root, ca_params("Sub"));
        let leaf = leaf(&intermediate, &key, &leaf_params(&["a.test"]));
        let check = |chain: String| verify(&chain, &key, &names(&["a.test"]), now());
        check(format!("{leaf}{}", intermediate.pem)).unwrap();
        check(leaf.clone()).unwrap();
        let error = check(format!("{leaf}{}", root.pem)).unwrap_err();
        assert!(matches!(error, VerifyError::NotSigned { index: 0 }), "a gap: {error:?}");
        let error = check(format!("{leaf}{}", namesake.pem)).unwrap_err();
        assert!(matches!(error, VerifyError::NotSigned { index: 0 }), "the same name: {error:?}");
        let error = check(format!("{leaf}{0}{0}", intermediate.pem)).unwrap_err();
        assert!(matches!(error, VerifyError::NotSigned { index: 1 }), "twice: {error:?}");
        let error = check(format!("{}{leaf}", intermediate.pem)).unwrap_err();
        assert!(
            matches!(error, VerifyError::Names | VerifyError::OtherKey { .. }),
            "turned round: {error:?}"
        );
    }

    #[test]
    fn issuers_that_may_not_sign() {
        let (root, key) = (root(ca_params("Root")), key());
        let mut not_ca = ca_params("Sub");
        not_ca.is_ca = IsCa::ExplicitNoCa;
        let mut not_signer = ca_params("Sub");
        not_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        for params in [not_ca, not_signer] {
            let intermediate = below(&root, params);
            let chain = leaf(&intermediate, &key, &leaf_params(&["a.test"])) + &intermediate.pem;
            let error = verify(&chain, &key, &names(&["a.test"]), now()).unwrap_err();
            assert!(matches!(error, VerifyError::NotCa { index: 1 }), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_chain() {
        let (root, key) = (root(ca_params("Root")), key());
        let one = leaf(&root, &key, &leaf_params(&["a.test"]));
        for text in [String::new(), "x".into(), key.to_pem().to_string(), one.repeat(11)] {
            assert!(matches!(facts(&text), Err(VerifyError::Chain(_))), "{text}");
        }
        assert!(matches!(facts(&" ".repeat(MAX_CHAIN_PEM_BYTES + 1)), Err(VerifyError::TooLong { .. })));
        let empty = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(facts(empty).is_err());
    }
}
