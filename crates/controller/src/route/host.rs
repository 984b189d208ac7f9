//! Hosts as gateways and routes list them, against one name.

use std::net::IpAddr;

/// How closely a pattern fits a host. Patterns that fit the same host and have the same `Fit` are the same pattern, so
/// that comparing them says which of two virtual hosts Envoy takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// `*`
    Any,
    /// `*.example.com`, by the length of what is fixed.
    Suffix(usize),
    /// The host itself.
    Exact,
}

/// How closely `pattern` fits `host`: the host itself, `*.example.com` for everything below at any depth, or `*`.
/// An address is not below anything.
pub(super) fn fit(pattern: &str, host: &str) -> Option<Fit> {
    if pattern == "*" {
        return Some(Fit::Any);
    }
    if pattern.eq_ignore_ascii_case(host) {
        return Some(Fit::Exact);
    }
    let suffix = pattern.strip_prefix('*').filter(|suffix| suffix.starts_with('.'))?;
    if is_address(host) || host.len() <= suffix.len() {
        return None;
    }
    let end = host.get(host.len() - suffix.len()..)?;
    end.eq_ignore_ascii_case(suffix).then_some(Fit::Suffix(suffix.len()))
}

/// As [`fit`], where `*.example.com` stands for names one label below only, and `*` for nothing.
pub(super) fn fit_one_label(pattern: &str, host: &str) -> Option<Fit> {
    match fit(pattern, host)? {
        Fit::Any => None,
        Fit::Suffix(length) => {
            let label = host.get(..host.len() - length)?;
            (!label.contains('.')).then_some(Fit::Suffix(length))
        }
        Fit::Exact => Some(Fit::Exact),
    }
}

/// Of patterns, the one that fits the host most closely: where Envoy looks, and the only place where it looks.
pub(super) fn most_specific<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    host: &str,
) -> Option<(Fit, &'a str)> {
    patterns.into_iter().filter_map(|pattern| Some((fit(pattern, host)?, pattern))).max()
}

/// Whether the host is an address, which has no labels.
pub(super) fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// An entry of an Istio server's `hosts`: a host, perhaps with the namespace that may bind to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerHost<'a> {
    namespace: &'a str,
    /// The host.
    pub(super) host: &'a str,
}

impl<'a> ServerHost<'a> {
    /// Reads `host` or `namespace/host`.
    pub(super) fn parse(entry: &'a str) -> Self {
        let (namespace, host) = entry.split_once('/').unwrap_or(("*", entry));
        Self { namespace, host }
    }

    /// Whether VirtualServices of `namespace` may bind to it on a Gateway in `home`.
    pub(super) fn admits(self, namespace: &str, home: &str) -> bool {
        match self.namespace {
            "*" => true,
            "." => namespace == home,
            only => namespace == only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_by_name_by_suffix_or_always() {
        for (pattern, host, wanted) in [
            ("foo.example.test", "foo.example.test", Some(Fit::Exact)),
            ("Foo.Example.test", "foo.example.test", Some(Fit::Exact)),
            ("*.example.test", "foo.example.test", Some(Fit::Suffix(13))),
            ("*.example.test", "a.b.example.test", Some(Fit::Suffix(13))),
            ("*.example.test", "example.test", None),
            ("*.example.test", "badexample.test", None),
            ("*.example.test", ".example.test", None),
            ("*", "foo.example.test", Some(Fit::Any)),
            ("*", "192.0.2.1", Some(Fit::Any)),
            ("*.2.1", "192.0.2.1", None),
            ("192.0.2.1", "192.0.2.1", Some(Fit::Exact)),
            ("2001:db8::1", "2001:db8::1", Some(Fit::Exact)),
            ("*example.test", "foo.example.test", None),
            ("*.é.test", "xé.test", None),
        ] {
            assert_eq!(fit(pattern, host), wanted, "{pattern} {host}");
        }
    }

    #[test]
    fn an_ingress_wildcard_has_one_label() {
        assert_eq!(fit_one_label("*.example.test", "foo.example.test"), Some(Fit::Suffix(13)));
        assert_eq!(fit_one_label("*.example.test", "a.b.example.test"), None);
        assert_eq!(fit_one_label("*", "foo.example.test"), None);
        assert_eq!(fit_one_label("foo.example.test", "foo.example.test"), Some(Fit::Exact));
    }

    #[test]
    fn exact_goes_before_longer_before_any() {
        let all = ["*", "*.test", "*.example.test", "foo.example.test", "bar.example.test"];
        let found = |host| most_specific(all, host).map(|(_, pattern)| pattern);
        assert_eq!(found("foo.example.test"), Some("foo.example.test"));
        assert_eq!(found("baz.example.test"), Some("*.example.test"));
        assert_eq!(found("example.test"), Some("*.test"));
        assert_eq!(found("example.com"), Some("*"));
        assert_eq!(most_specific(["a.test"], "b.test"), None);
    }

    #[test]
    fn a_server_host_admits_namespaces() {
        for (entry, namespace, wanted) in [
            ("www.example.test", "shop", true),
            ("*/www.example.test", "shop", true),
            ("shop/www.example.test", "shop", true),
            ("shop/www.example.test", "evil", false),
            ("./www.example.test", "shop", false),
            ("./www.example.test", "infra", true),
        ] {
            let host = ServerHost::parse(entry);
            assert_eq!(host.host, "www.example.test");
            assert_eq!(host.admits(namespace, "infra"), wanted, "{entry} {namespace}");
        }
    }
}
