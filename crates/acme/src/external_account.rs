//! Binding a new account to one that the CA knows from elsewhere (RFC 8555 §7.3.4).

use crate::jws;
use crate::key::{AccountKey, KeyError};
use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The shortest HMAC key that is taken, in bytes. RFC 7518 §3.2 asks for 32, but the CA chooses; below this a text is
/// rather something else that was pasted by mistake.
const MIN_HMAC_KEY_BYTES: usize = 16;

/// What a CA hands out for binding an ACME account to an account with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The key identifier.
    pub key_id: String,
    /// The key.
    pub hmac_key: HmacKey,
}

impl ExternalAccount {
    /// The `externalAccountBinding` of a new account with this key (RFC 8555 §7.3.4).
    pub(crate) fn binding(&self, account_key: &AccountKey, new_account_url: &str) -> Result<Value, KeyError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.hmac_key.0);
        jws::sign_hs256(&key, &self.key_id, new_account_url, account_key.jwk().to_string().as_bytes())
    }
}

/// A key that is shared with the CA. Wiped from memory when dropped; `Debug` shows nothing of it.
///
/// Parsed from base64, of the URL alphabet or the standard one, with or without padding and white space around it:
/// CAs hand out all of these.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey(Zeroizing<Vec<u8>>);

/// Why a text is no [`HmacKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HmacKeyError {
    /// The text is no base64.
    #[error("the HMAC key is not base64")]
    NotBase64,
    /// The key is too short.
    #[error("the HMAC key has {bytes} bytes, fewer than {MIN_HMAC_KEY_BYTES}: is it the key itself?")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
}

impl FromStr for HmacKey {
    type Err = HmacKeyError;

    fn from_str(text: &str) -> Result<Self, HmacKeyError> {
        let text = text.trim();
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let bytes = lenient(alphabet).decode(text).map_err(|_| HmacKeyError::NotBase64)?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < MIN_HMAC_KEY_BYTES {
            return Err(HmacKeyError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }
}

fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_every_form_that_cas_use() {
        let bytes: Vec<u8> = (0..32).map(|i| 0xFF - i).collect();
        for text in [
            "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA",
            "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA=",
            "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA",
            " //79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=\r\n",
        ] {
            assert_eq!(text.parse::<HmacKey>().unwrap().0.as_slice(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_key() {
        let error = |text: &str| text.parse::<HmacKey>().unwrap_err();
        assert_eq!(error(""), HmacKeyError::TooShort { bytes: 0 });
        assert_eq!(error(" \n"), HmacKeyError::TooShort { bytes: 0 });
        assert_eq!(error("c2hvcnQ"), HmacKeyError::TooShort { bytes: 5 });
        assert_eq!(error("//79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA"), HmacKeyError::NotBase64);
        assert_eq!(error("no base64 at all!"), HmacKeyError::NotBase64);
    }
}
