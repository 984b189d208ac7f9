//! Names that are safe as the name of a file.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest name in bytes: the longest DNS name (RFC 1035 §2.3.4), below the 255 that file systems take.
const MAX_LENGTH: usize = 253;

/// The directory beside the certificates that holds the accounts; no certificate can have this name.
pub(crate) const ACCOUNTS: &str = "accounts";

/// The name of a certificate, which is also the name of its directory.
///
/// 1 to 253 of the characters `a`-`z`, `0`-`9`, `.`, `_` and `-`, beginning with a letter, a digit or `_`; not
/// `accounts`. What holds such a name cannot lead out of the directory that it is joined to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateName(String);

/// Why a text can not name a certificate or an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No character at all.
    #[error("the name is empty")]
    Empty,
    /// More bytes than a DNS name may have.
    #[error("the name has {length} bytes, more than {MAX_LENGTH}")]
    TooLong {
        /// The bytes it has.
        length: usize,
    },
    /// A character that names do not have.
    #[error("{character:?} can not be in the name {name:?}")]
    Character {
        /// The name.
        name: String,
        /// Its first unfit character.
        character: char,
    },
    /// A leading dot or hyphen: hidden files, `..`, and what looks like an option.
    #[error("the name {name:?} begins with {character:?}")]
    Start {
        /// The name.
        name: String,
        /// Its first character.
        character: char,
    },
    /// `accounts`, which holds the ACME accounts.
    #[error("the name `{ACCOUNTS}` is taken by the directory of the ACME accounts")]
    Reserved,
}

impl CertificateName {
    /// The name of the certificate whose first identifier this is; see [`crate::FileStore::name_for`].
    pub(crate) fn for_identifier(identifier: &str) -> Result<Self, NameError> {
        if let Ok(address) = identifier.parse::<IpAddr>() {
            return address.to_string().replace(':', "_").parse();
        }
        let lower = identifier.strip_suffix('.').unwrap_or(identifier).to_ascii_lowercase();
        match lower.strip_prefix("*.") {
            Some(base) => {
                dns_characters(base)?;
                format!("_.{base}").parse()
            }
            None => {
                dns_characters(&lower)?;
                lower.parse()
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without `_`, which stands for the characters that a file name does not have: so no two identifiers share a name.
fn dns_characters(name: &str) -> Result<(), NameError> {
    file_name(name, |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-'))
}

/// What every name obeys, `allowed` being the characters of its kind.
pub(crate) fn file_name(name: &str, allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if name.len() > MAX_LENGTH {
        return Err(NameError::TooLong { length: name.len() });
    }
    if let Some(character) = name.chars().find(|c| !allowed(*c)) {
        return Err(NameError::Character { name: name.to_owned(), character });
    }
    if matches!(first, '.' | '-') {
        return Err(NameError::Start { name: name.to_owned(), character: first });
    }
    Ok(())
}

impl FromStr for CertificateName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        file_name(name, |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))?;
        if name == ACCOUNTS {
            return Err(NameError::Reserved);
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for CertificateName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        name.parse()
    }
}

impl From<CertificateName> for String {
    fn from(name: CertificateName) -> Self {
        name.0
    }
}

impl AsRef<str> for CertificateName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
