//! A certificate authority for tests.

use crate::StartError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// A root with its key.
pub(super) struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestAuthority {
    pub(super) fn new(name: &str) -> Result<Self, StartError> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::OrganizationName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        Ok(Self { issuer: CertifiedIssuer::self_signed(parameters, key).map_err(failed)? })
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The certificate and key of a server with these names and addresses.
    pub(super) fn server(&self, names: &[String]) -> Result<(String, String), StartError> {
        self.sign(CertificateParams::new(names.to_vec()).map_err(failed)?)
    }

    /// The certificate and key of a workload.
    pub(super) fn workload(&self, spiffe: &str) -> Result<(String, String), StartError> {
        let mut parameters = CertificateParams::default();
        let uri = spiffe.to_owned().try_into().map_err(failed)?;
        parameters.subject_alt_names = vec![SanType::URI(uri)];
        self.sign(parameters)
    }

    fn sign(&self, mut parameters: CertificateParams) -> Result<(String, String), StartError> {
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn failed(source: rcgen::Error) -> StartError {
    StartError::set_up("test authority", source)
}
