//! External account binding (RFC 8555 §7.3.4).

use crate::jws;
use crate::key::{AccountKey, KeyError};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The binding of a new account to one that the CA knows from elsewhere.
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// The key identifier that the CA gave.
    pub key_id: String,
    /// The key that the CA gave with it.
    pub hmac_key: HmacKey,
}

/// The secret of an [`ExternalAccount`]. `Debug` does not show it, and it is wiped from memory at the end.
#[derive(Clone)]
pub struct HmacKey(Zeroizing<Vec<u8>>);

/// Why a text is no [`HmacKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HmacKeyError {
    /// It is not base64.
    #[error("the HMAC key is not base64 (url-safe or plain, padded or not)")]
    Encoding,
    /// It is empty.
    #[error("the HMAC key is empty")]
    Empty,
}

impl FromStr for HmacKey {
    type Err = HmacKeyError;

    /// Reads base64: CAs give the url-safe alphabet and the plain one, with padding and without.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let alphabet = if text.contains(['+', '/']) { &STANDARD } else { &URL_SAFE };
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(alphabet, config).decode(text).map_err(|_| HmacKeyError::Encoding)?;
        if bytes.is_empty() {
            return Err(HmacKeyError::Empty);
        }
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl HmacKey {
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.0);
        ring::hmac::sign(&key, message).as_ref().to_vec()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey([redacted])")
    }
}

impl ExternalAccount {
    /// The object that a new account's request carries: the account's public key, signed with the shared secret.
    pub(crate) fn binding(&self, key: &AccountKey, new_account_url: &str) -> Result<serde_json::Value, KeyError> {
        let payload = serde_json::to_vec(key.jwk()).map_err(|_| KeyError::Sign)?;
        let jws = jws::sign_hs256(&self.hmac_key, &self.key_id, new_account_url, &payload)?;
        serde_json::from_str(&jws).map_err(|_| KeyError::Sign)
    }
}
