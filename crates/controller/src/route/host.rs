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
pub struct ServerHost<'a> {
    namespace: &'a str,
    /// The host.
    pub host: &'a str,
}

impl<'a> ServerHost<'a> {
    /// Reads `host` or `namespace/host`.
    pub fn parse(entry: &'a str) -> Self {
        let (namespace, host) = entry.split_once('/').unwrap_or(("*", entry));
        Self { namespace, host }
    }

    /// Whether VirtualServices of `namespace` may bind to it on a Gateway in `home`.
    pub fn admits(self, namespace: &str, home: &str) -> bool {
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
    use proptest::prelude::*;

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

    /// Few labels, so that patterns and hosts often meet, in any case.
    fn any_host() -> impl Strategy<Value = String> {
        prop::collection::vec("[abAB]{1,2}", 1..5).prop_map(|labels| labels.join("."))
    }

    fn any_pattern() -> impl Strategy<Value = String> {
        prop_oneof![any_host(), any_host().prop_map(|host| format!("*.{host}")), Just("*".to_owned())]
    }

    /// What Envoy does, said in labels: how many of them are given, `None` where the pattern does not fit.
    fn labels_given(pattern: &str, host: &str) -> Option<(bool, usize)> {
        let labels = |name: &str| name.to_lowercase().rsplit('.').map(str::to_owned).collect::<Vec<_>>();
        let (given, host) = (labels(pattern), labels(host));
        match given.last().map(String::as_str) {
            Some("*") => {
                let given = &given[..given.len() - 1];
                (host.len() > given.len() && host.starts_with(given)).then_some((false, given.len()))
            }
            _ => (given == host).then_some((true, given.len())),
        }
    }

    proptest! {
        #[test]
        fn fits_as_its_labels_do(pattern in any_pattern(), host in any_host()) {
            let (fit, given) = (fit(&pattern, &host), labels_given(&pattern, &host));
            prop_assert_eq!(fit.is_some(), given.is_some());
            prop_assert_eq!(fit == Some(Fit::Exact), given.is_some_and(|(is_exact, _)| is_exact));
            prop_assert_eq!(fit, super::fit(&pattern.to_uppercase(), &host.to_lowercase()));
            let below = given.map(|(is_exact, given)| is_exact || (given > 0 && host.split('.').count() == given + 1));
            prop_assert_eq!(fit_one_label(&pattern, &host).is_some(), below == Some(true));
        }

        #[test]
        fn one_pattern_is_the_most_specific(patterns in prop::collection::vec(any_pattern(), 0..12), host in any_host()) {
            let fitting = patterns.iter().filter_map(|pattern| labels_given(pattern, &host).map(|given| (given, pattern)));
            let best = fitting.max_by_key(|(given, _)| *given).map(|(_, pattern)| pattern.to_lowercase());
            let found = most_specific(patterns.iter().map(String::as_str), &host);
            prop_assert_eq!(found.map(|(_, pattern)| pattern.to_lowercase()), best);
        }

        #[test]
        fn an_address_is_below_nothing(address in any::<std::net::Ipv4Addr>(), pattern in "[*][.][0-9.]{1,9}") {
            prop_assert_eq!(fit(&pattern, &address.to_string()), None);
        }

        #[test]
        fn a_namespace_part_admits_its_own(part in "[a-c.*]", namespace in "[a-c]", home in "[a-c]", host in any_host()) {
            let entry = format!("{part}/{host}");
            let admits = ServerHost::parse(&entry).admits(&namespace, &home);
            prop_assert_eq!(admits, part == "*" || part == namespace || (part == "." && namespace == home));
            prop_assert!(ServerHost::parse(&host).admits(&namespace, &home));
        }
    }
}
