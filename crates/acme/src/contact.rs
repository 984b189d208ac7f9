//! Contact addresses of an account (RFC 8555 §7.3).

use crate::identifier::Identifier;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest e-mail address in characters (RFC 5321 §4.5.3.1: 64 + `@` + 253, less brackets).
const MAX_ADDRESS: usize = 254;

/// A contact URL: `mailto:` and one address without header fields, the only form that every CA takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contact(String);

/// Why a text is no e-mail address for a [`Contact`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an e-mail address: {reason}")]
pub struct ContactError {
    address: String,
    reason: &'static str,
}

impl Contact {
    /// The contact of an e-mail address, with or without `mailto:`. The domain is converted to punycode.
    ///
    /// # Errors
    /// What is not `local@domain` in ASCII; lists and header fields, which RFC 8555 §7.3 forbids.
    pub fn email(address: &str) -> Result<Self, ContactError> {
        let fail = |reason| ContactError { address: address.chars().take(MAX_ADDRESS).collect(), reason };
        let bare = address.strip_prefix("mailto:").unwrap_or(address);
        let (local, domain) = bare.rsplit_once('@').ok_or_else(|| fail("it has no `@`"))?;
        if local.is_empty() || local.len() > 64 {
            return Err(fail("the part before `@` is empty or longer than 64 characters"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&'*+-/=^_`{|}~.".contains(c);
        if !local.chars().all(allowed) {
            return Err(fail("the part before `@` has a character that is not allowed there"));
        }
        match Identifier::dns(domain) {
            Ok(Identifier::Dns(name)) if name.as_str().contains('.') && !name.as_str().starts_with('*') => {
                Ok(Self(format!("mailto:{local}@{name}")))
            }
            _ => Err(fail("the part after `@` is not a domain")),
        }
    }

    /// The URL, `mailto:admin@example.com` for instance.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.strip_prefix("mailto:").unwrap_or(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Contact::email("Admin+x@Example.COM").unwrap().as_str(), "mailto:Admin+x@example.com");
        assert_eq!(Contact::email("mailto:a@b.test").unwrap().to_string(), "a@b.test");
        for bad in [
            "",
            "a",
            "@b.test",
            "a@",
            "a@b",
            "a@b.test,c@d.test",
            "a@b.test?subject=x",
            "a b@c.test",
            "a@*.test",
            "a%0a@b.test",
        ] {
            assert!(Contact::email(bad).is_err(), "{bad}");
        }
    }
}
