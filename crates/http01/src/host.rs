//! Hosts, in the one form in which they are compared.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The longest name in text, RFC 1035 section 2.3.4: 255 octets on the wire, two of them not text.
const MAX_NAME_BYTES: usize = 253;

/// A host without port, brackets and trailing dot, in lower case; an IPv6 address as RFC 5952 writes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host<'a>(Cow<'a, str>);

impl<'a> Host<'a> {
    /// Reads what a `Host` header, an authority or a caller gives; `None` when it can be no host of a certificate.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            return Self::bracketed(rest);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self(address.to_string().into()));
        }
        let name = without_port(text)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        is_name(name).then(|| Self(lower_case(name)))
    }

    fn bracketed(rest: &str) -> Option<Self> {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        without_port(port)?.is_empty().then(|| Self(address.to_string().into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3986 section 3.2.3 allows an empty port.
fn without_port(text: &str) -> Option<&str> {
    match text.split_once(':') {
        None => Some(text),
        Some((host, port)) => port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// CAs ask in lower case, so that the borrowed form is the usual one.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Host::parse(text).map(|host| host.as_str().to_owned())
    }

    #[test]
    fn one_form_for_all_spellings() {
        for text in [
            "www.example.com",
            "WWW.Example.COM",
            "www.example.com.",
            "www.example.com:80",
            "www.example.com.:5002",
            "www.example.com:",
        ] {
            assert_eq!(parsed(text).as_deref(), Some("www.example.com"), "{text}");
        }
        for text in
            ["2001:db8::1", "[2001:db8::1]", "[2001:DB8::1]:80", "[2001:db8:0:0::1]:", "2001:0db8::0001"]
        {
            assert_eq!(parsed(text).as_deref(), Some("2001:db8::1"), "{text}");
        }
        assert_eq!(parsed("192.0.2.1:80").as_deref(), Some("192.0.2.1"));
        assert_eq!(parsed("_a.xn--bcher-kva.example").as_deref(), Some("_a.xn--bcher-kva.example"));
    }

    #[test]
    fn no_host() {
        let long = format!("{}com", "a.".repeat(126));
        for text in [
            "",
            ".",
            ":80",
            "a..b",
            ".a",
            "a:b",
            "a:80:80",
            "a b",
            "a/b",
            "*.example.com",
            "bücher.example",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[192.0.2.1]",
            "[fe80::1%1]",
            "user@a",
            "a.\0",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_longest_name_is_253_bytes() {
        let longest = format!("{}c", "a.".repeat(126));
        assert_eq!(longest.len(), MAX_NAME_BYTES);
        assert_eq!(parsed(&longest).as_deref(), Some(longest.as_str()));
        assert!(parsed(&format!("{longest}.:80")).is_some());
    }
}
