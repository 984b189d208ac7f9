//! What a certificate names: DNS names and IP addresses (RFC 8555 §9.7.7, RFC 8738).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest DNS name in characters, without a final dot (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// The longest label of a DNS name in characters (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A DNS name as certificates hold it: lower case ASCII (punycode), no final dot; its first label may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A DNS name, type `dns`.
    Dns(DnsName),
    /// An IP address, type `ip` (RFC 8738).
    Ip(IpAddr),
}

/// Why a text is no [`Identifier`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a DNS name: {reason}")]
pub struct IdentifierError {
    name: String,
    reason: &'static str,
}

impl Identifier {
    /// A DNS name from text: any case, unicode labels (converted by UTS 46 to punycode), one final dot allowed, and
    /// `*.` before it for a wildcard.
    ///
    /// # Errors
    /// What is no host name: empty or over-long labels, characters other than letters, digits and inner hyphens, a
    /// name that is an IPv4 address.
    pub fn dns(name: &str) -> Result<Self, IdentifierError> {
        let fail = |reason| IdentifierError { name: name.chars().take(MAX_NAME).collect(), reason };
        let trimmed = name.strip_suffix('.').unwrap_or(name);
        let (prefix, base) = match trimmed.strip_prefix("*.") {
            Some(base) => ("*.", base),
            None => ("", trimmed),
        };
        // A name of four times the length in bytes can not come out short enough.
        if base.len() > 4 * MAX_NAME {
            return Err(fail("it is longer than 253 characters"));
        }
        let ascii = idna::domain_to_ascii(base).map_err(|_| fail(reason_of(base)))?;
        check(&ascii).map_err(fail)?;
        if prefix.len() + ascii.len() > MAX_NAME {
            return Err(fail("it is longer than 253 characters"));
        }
        Ok(Self::Dns(DnsName(format!("{prefix}{ascii}"))))
    }

    /// Whether it is a wildcard name, which HTTP-01 can not prove (RFC 8555 §8.3).
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.0.starts_with("*."))
    }

    /// The value as it stands in ACME messages and in an HTTP-01 request's Host (without brackets).
    pub fn value(&self) -> String {
        self.to_string()
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    if name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its last label is a number (an address is given as an IP)");
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    match label.as_bytes() {
        [] => Err("a label is empty"),
        bytes if bytes.len() > MAX_LABEL => Err("a label is longer than 63 characters"),
        [b'-', ..] | [.., b'-'] => Err("a label begins or ends with a hyphen"),
        bytes if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') => Ok(()),
        [b'*'] => Err("`*` may only be the first label"),
        _ => Err("a label has a character other than letters, digits and hyphens"),
    }
}

/// The reason for what the IDNA conversion refused, which itself gives none.
fn reason_of(name: &str) -> &'static str {
    match check(&name.to_ascii_lowercase()) {
        Err(reason) if name.is_ascii() => reason,
        _ => "a label is not valid in an internationalised name",
    }
}

impl From<IpAddr> for Identifier {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    /// An IP address where the text is one (IPv6 with or without brackets), else a DNS name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::dns(text), |address| Ok(Self::Ip(address)))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(f),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self {
            Self::Dns(_) => "dns",
            Self::Ip(_) => "ip",
        };
        Wire { kind: kind.into(), value: self.value() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        match wire.kind.as_str() {
            "dns" => Self::dns(&wire.value).map_err(serde::de::Error::custom),
            "ip" => wire.value.parse().map(Self::Ip).map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom("an identifier is neither `dns` nor `ip`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> String {
        Identifier::dns(name).unwrap().value()
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(dns("WWW.Example.COM."), "www.example.com");
        assert_eq!(dns("*.Example.com"), "*.example.com");
        assert_eq!(dns("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(dns("localhost"), "localhost");
        assert_eq!(dns(&format!("{}.test", "a".repeat(63))), format!("{}.test", "a".repeat(63)));
    }

    #[test]
    fn what_is_no_name_says_why() {
        let long_label = format!("{}.test", "a".repeat(64));
        let long_name = format!("{}test", "a.".repeat(126));
        for (name, reason) in [
            ("", "empty"),
            (".", "empty"),
            ("a..b", "label is empty"),
            (".a", "label is empty"),
            ("a_b.test", "character other than"),
            ("-a.test", "hyphen"),
            ("a-.test", "hyphen"),
            ("a.*.test", "only be the first label"),
            ("*", "only be the first label"),
            ("a b.test", "character other than"),
            ("a/b.test", "character other than"),
            ("192.0.2.1", "number"),
            (&long_label, "63"),
            (&long_name, "253"),
        ] {
            let error = Identifier::dns(name).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn texts_may_be_addresses() {
        assert_eq!("192.0.2.1".parse(), Ok(Identifier::Ip([192, 0, 2, 1].into())));
        assert_eq!("[2001:DB8::1]".parse::<Identifier>().unwrap().value(), "2001:db8::1");
        assert!("[www.example.com]".parse::<Identifier>().is_err());
    }

    #[test]
    fn wire_form() {
        let json = r#"{"type":"dns","value":"www.example.com"}"#;
        let identifier: Identifier = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&identifier).unwrap(), json);
        assert!(serde_json::from_str::<Identifier>(r#"{"type":"email","value":"a@b.c"}"#).is_err());
    }
}
