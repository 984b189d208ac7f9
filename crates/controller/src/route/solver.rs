//! Which of an issuer's solvers is for a name.

use gatecert_api::{Http01Solver, Selector, Solver};

/// How closely a solver's selector fits: a name before a zone, a longer zone before a shorter, none last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Unselective,
    Zone(usize),
    Name,
}

/// The solver for `host`; of equals, the first. `None` where each of them is for other names.
pub(super) fn for_host<'a>(solvers: &'a [Solver], host: &str) -> Option<&'a Http01Solver> {
    solvers
        .iter()
        .filter_map(|solver| Some((rank(solver.selector.as_ref(), host)?, &solver.http01)))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, solver)| solver)
}

fn rank(selector: Option<&Selector>, host: &str) -> Option<Rank> {
    let names = selector.and_then(|selector| selector.dns_names.as_deref()).unwrap_or_default();
    let zones = selector.and_then(|selector| selector.dns_zones.as_deref()).unwrap_or_default();
    if names.is_empty() && zones.is_empty() {
        return Some(Rank::Unselective);
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Some(Rank::Name);
    }
    zones.iter().filter(|zone| is_in(host, zone)).map(|zone| Rank::Zone(zone.len())).max()
}

fn is_in(host: &str, zone: &str) -> bool {
    let Some(start) = host.len().checked_sub(zone.len()) else { return false };
    let is_below = start == 0 || host.as_bytes().get(start - 1) == Some(&b'.');
    is_below && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_selector_wins() {
        let solvers: Vec<Solver> = serde_saphyr::from_str(
            "
            - http01: {ingress: {ingressClassName: rest}}
            - http01: {ingress: {ingressClassName: later}}
            - selector: {dnsZones: [example.test]}
              http01: {ingress: {ingressClassName: zone}}
            - selector: {dnsZones: [eu.example.test, other.test]}
              http01: {ingress: {ingressClassName: longer}}
            - selector: {dnsNames: [www.eu.example.test]}
              http01: {ingress: {ingressClassName: name}}
            ",
        )
        .unwrap();
        for (host, wanted) in [
            ("www.eu.example.test", "name"),
            ("api.eu.example.test", "longer"),
            ("eu.example.test", "longer"),
            ("neu.example.test", "zone"),
            ("example.test", "zone"),
            ("badexample.test", "rest"),
            ("192.0.2.1", "rest"),
        ] {
            let found = for_host(&solvers, host).unwrap().ingress.as_ref().unwrap();
            assert_eq!(found.ingress_class_name, wanted, "{host}");
        }
        assert_eq!(for_host(&solvers[2..], "example.com"), None);
        assert_eq!(for_host(&[], "example.com"), None);
    }
}
