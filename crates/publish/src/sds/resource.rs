//! A pair as Envoy's `Secret`.

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, TlsCertificate, secret};
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The type of all resources here.
pub(super) const TYPE_URL: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A chain and the key of its leaf, in PEM.
#[derive(PartialEq)]
pub(super) struct Pair {
    pub(super) chain_pem: String,
    pub(super) key_pem: Zeroizing<String>,
}

impl Pair {
    /// The message. From here on the key is in buffers of others, which live until the answer is sent.
    pub(super) fn resource(&self, name: &str) -> Any {
        let mut secret = Secret {
            name: name.to_owned(),
            r#type: Some(secret::Type::TlsCertificate(TlsCertificate {
                certificate_chain: Some(inline(&self.chain_pem)),
                private_key: Some(inline(&self.key_pem)),
                ..TlsCertificate::default()
            })),
        };
        let value = secret.encode_to_vec();
        wipe(&mut secret);
        Any { type_url: TYPE_URL.to_owned(), value }
    }
}

fn inline(pem: &str) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(pem.as_bytes().to_vec())), ..DataSource::default() }
}

fn wipe(secret: &mut Secret) {
    let Some(secret::Type::TlsCertificate(certificate)) = &mut secret.r#type else { return };
    let key = certificate.private_key.as_mut().and_then(|key| key.specifier.as_mut());
    if let Some(Specifier::InlineBytes(bytes)) = key {
        bytes.zeroize();
    }
}
