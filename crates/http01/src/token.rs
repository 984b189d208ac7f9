//! Tokens, key authorizations and thumbprints (RFC 8555 sections 8.1 and 8.3): what may go into the store.

use thiserror::Error;

/// The longest token that is answered. A token has at least 128 bits, 22 characters; CAs use 43.
pub(crate) const MAX_TOKEN_BYTES: usize = 128;

/// The longest body: Let's Encrypt reads 128 bytes and refuses a body that fills them.
pub(crate) const MAX_BODY_BYTES: usize = 127;

/// SHA-256 in base64url without padding, RFC 7638 as RFC 8555 section 8.1 uses it.
pub(crate) const THUMBPRINT_BYTES: usize = 43;

/// How much of a refused text an error repeats, in characters.
const SHOWN_CHARS: usize = 80;

/// Why something was not put into a [`TokenStore`](crate::TokenStore).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The host is neither a name in ASCII nor an IP address. A wildcard is not a host: HTTP-01 can not prove it.
    #[error("`{host}` is not a host name or IP address")]
    Host {
        /// The refused text, escaped and cut.
        host: String,
    },
    /// The token is not 1 to 128 characters of base64url.
    #[error("`{token}` is not a token: 1 to 128 characters of base64url are")]
    Token {
        /// The refused text, escaped and cut.
        token: String,
    },
    /// The key authorization is longer than a CA reads.
    #[error("the key authorization has {length} bytes, a CA accepts at most 127")]
    KeyAuthorizationTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The key authorization is not the token, a dot and a thumbprint in base64url (RFC 8555 section 8.1).
    #[error("the key authorization is not the token `{token}`, a dot and a thumbprint in base64url")]
    KeyAuthorization {
        /// The token that it should begin with.
        token: String,
    },
    /// The thumbprint is not a SHA-256 digest in base64url, 43 characters (RFC 7638).
    #[error("`{thumbprint}` is not a key thumbprint: 43 characters of base64url are")]
    Thumbprint {
        /// The refused text, escaped and cut.
        thumbprint: String,
    },
}

pub(crate) fn is_token(text: &str) -> bool {
    text.len() <= MAX_TOKEN_BYTES && is_base64url(text)
}

pub(crate) fn check_token(token: &str) -> Result<(), TokenError> {
    if is_token(token) { Ok(()) } else { Err(TokenError::Token { token: shown(token) }) }
}

/// The whole form is checked since the three arguments of `insert` are all text and easily swapped.
pub(crate) fn check_key_authorization(token: &str, key_authorization: &str) -> Result<(), TokenError> {
    if key_authorization.len() > MAX_BODY_BYTES {
        return Err(TokenError::KeyAuthorizationTooLong { length: key_authorization.len() });
    }
    let thumbprint = key_authorization.strip_prefix(token).and_then(|rest| rest.strip_prefix('.'));
    match thumbprint {
        Some(thumbprint) if is_base64url(thumbprint) => Ok(()),
        _ => Err(TokenError::KeyAuthorization { token: token.to_owned() }),
    }
}

pub(crate) fn check_thumbprint(thumbprint: &str) -> Result<(), TokenError> {
    if thumbprint.len() == THUMBPRINT_BYTES && is_base64url(thumbprint) {
        Ok(())
    } else {
        Err(TokenError::Thumbprint { thumbprint: shown(thumbprint) })
    }
}

pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
}

fn is_base64url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for token in ["a", "-_Az09", &"x".repeat(MAX_TOKEN_BYTES)] {
            assert_eq!(check_token(token), Ok(()), "{token}");
        }
        for token in
            ["", "a=", "a+b", "a/b", "a.b", "a b", "a\n", "%41", "é", &"x".repeat(MAX_TOKEN_BYTES + 1)]
        {
            assert!(check_token(token).is_err(), "{token:?}");
        }
    }

    #[test]
    fn key_authorizations() {
        assert_eq!(check_key_authorization("t", "t.thumb"), Ok(()));
        for wrong in ["", "t", "t.", "t.thumb\n", "u.thumb", "t.a.b", "tt.a", "t. a"] {
            assert_eq!(
                check_key_authorization("t", wrong),
                Err(TokenError::KeyAuthorization { token: "t".to_owned() }),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_key_authorization_has_fewer_than_128_bytes() {
        assert_eq!(check_key_authorization("t", &format!("t.{}", "x".repeat(125))), Ok(()));
        let refused = check_key_authorization("t", &format!("t.{}", "x".repeat(126)));
        assert_eq!(refused, Err(TokenError::KeyAuthorizationTooLong { length: 128 }));
    }

    #[test]
    fn thumbprints() {
        assert_eq!(check_thumbprint(&"a".repeat(43)), Ok(()));
        for wrong in ["", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43)] {
            assert!(check_thumbprint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_repeat_little_and_escaped() {
        let error = check_token(&"\u{1b}\n".repeat(500)).unwrap_err().to_string();
        assert!(error.len() < 500 && !error.contains(['\n', '\u{1b}']), "{error}");
    }
}
