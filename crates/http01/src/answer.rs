//! What a challenge is answered with.

use crate::token::MAX_BODY_BYTES;
use bytes::Bytes;
use http::HeaderValue;

/// A key authorization ready to be sent. Cloning it allocates nothing.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) length: HeaderValue,
}

impl Answer {
    /// For text that was checked: base64url and a dot.
    pub(crate) fn new(key_authorization: String) -> Self {
        let length = HeaderValue::from(key_authorization.len());
        Self { body: Bytes::from(key_authorization), length }
    }

    /// The answer of the stateless mode; `None` when it would be longer than a CA reads.
    pub(crate) fn stateless(token: &str, thumbprint: &str) -> Option<Self> {
        let length = token.len() + 1 + thumbprint.len();
        if length > MAX_BODY_BYTES {
            return None;
        }
        let mut key_authorization = String::with_capacity(length);
        key_authorization.extend([token, ".", thumbprint]);
        Some(Self::new(key_authorization))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::THUMBPRINT_BYTES;

    #[test]
    fn a_stateless_answer_has_fewer_than_128_bytes() {
        let thumbprint = "x".repeat(THUMBPRINT_BYTES);
        let longest = Answer::stateless(&"t".repeat(83), &thumbprint).unwrap();
        assert_eq!((longest.body.len(), longest.length.to_str().unwrap()), (127, "127"));
        assert!(Answer::stateless(&"t".repeat(84), &thumbprint).is_none());
        assert_eq!(Answer::stateless("t", "x").unwrap().text(), "t.x");
    }
}
