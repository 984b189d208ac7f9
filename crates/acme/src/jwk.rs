//! Public keys as JWK (RFC 7517, RFC 7518 §6) and their thumbprints (RFC 7638).

use crate::key::{Curve, base64url};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::fmt;

/// A public key as JWK: only the required members, in lexicographic order, so that its JSON is what RFC 7638 §3 hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk(Members);

/// Members are base64url or fixed names: none needs escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Members {
    Ec { crv: &'static str, x: String, y: String },
    Rsa { e: String, n: String },
}

impl Jwk {
    /// The coordinates have the width of the field (RFC 7518 §6.2.1.2).
    pub(crate) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Self {
        Self(Members::Ec { crv: curve.name(), x: base64url(x), y: base64url(y) })
    }

    /// The numbers have no leading zeros (RFC 7518 §6.3.1).
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self(Members::Rsa { e: base64url(e), n: base64url(n) })
    }

    /// The SHA-256 thumbprint in base64url (RFC 7638 §3).
    pub fn thumbprint(&self) -> String {
        base64url(digest(&SHA256, self.to_string().as_bytes()))
    }

    fn members(&self) -> Vec<(&'static str, &str)> {
        match &self.0 {
            Members::Ec { crv, x, y } => vec![("crv", crv), ("kty", "EC"), ("x", x), ("y", y)],
            Members::Rsa { e, n } => vec![("e", e), ("kty", "RSA"), ("n", n)],
        }
    }
}

/// The JSON without white space.
impl fmt::Display for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members();
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
        write!(f, "{{{}}}", members.join(","))
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = self.members();
        let mut map = serializer.serialize_map(Some(members.len()))?;
        for (name, value) in members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{AccountKey, KeyAlgorithm};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn thumbprint_of_rfc_7638() {
        let modulus = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP",
            "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY",
            "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f",
            "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        let jwk = Jwk::rsa(&URL_SAFE_NO_PAD.decode(modulus).unwrap(), &[1, 0, 1]);
        assert_eq!(jwk.to_string(), format!(r#"{{"e":"AQAB","kty":"RSA","n":"{modulus}"}}"#));
        assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn display_and_serialize_agree() {
        for algorithm in [KeyAlgorithm::Es256, KeyAlgorithm::Es384] {
            let key = AccountKey::generate(algorithm).unwrap();
            assert_eq!(serde_json::to_string(key.jwk()).unwrap(), key.jwk().to_string());
        }
    }
}
