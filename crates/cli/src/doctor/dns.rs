//! A and AAAA records: are there any, and do they lead to the gateway?

use super::address::is_public;
use super::kind::Kind;
use super::report::Verdict;
use super::resolver::Addresses;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What is known of a name.
#[derive(Clone, Debug)]
pub(super) struct DnsFacts {
    pub(super) host: String,
    pub(super) addresses: Addresses,
    /// The addresses of the gateways that serve it, where they are known: of load balancers and statuses.
    pub(super) gateway: BTreeSet<IpAddr>,
    /// Whether private addresses are good enough.
    pub(super) is_private_allowed: bool,
}

pub(super) fn verdicts(facts: &DnsFacts) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = failed(facts).collect();
    let all = facts.addresses.all();
    if all.is_empty() && verdicts.is_empty() {
        return vec![missing(facts)];
    }
    let (public, private): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|address| facts.is_private_allowed || is_public(address));
    if !private.is_empty() {
        verdicts.push(private_verdict(facts, &private));
    }
    let elsewhere: Vec<_> =
        public.iter().copied().filter(|address| !facts.gateway.contains(address)).collect();
    if facts.gateway.is_empty() || elsewhere.is_empty() {
        if !public.is_empty() {
            verdicts.push(ok(facts, &public));
        }
        return verdicts;
    }
    verdicts.push(
        Verdict::warn(
            Kind::DnsElsewhere,
            format!(
                "{} is not an address of the gateway, which has {}: right if a proxy or load balancer is there that \
                 sends port 80 on",
                list(&elsewhere),
                list(&facts.gateway)
            ),
        )
        .object(record(facts, &elsewhere))
        .fix(format!("otherwise let {} lead to {}", facts.host, list(&facts.gateway))),
    );
    verdicts
}

fn ok(facts: &DnsFacts, public: &[IpAddr]) -> Verdict {
    let to = if facts.gateway.is_empty() { "" } else { ", which the gateway has" };
    Verdict::ok(Kind::DnsOk, format!("{}{to}", list(public))).object(record(facts, public))
}

fn failed(facts: &DnsFacts) -> impl Iterator<Item = Verdict> {
    let both = [("A", &facts.addresses.v4), ("AAAA", &facts.addresses.v6)];
    both.into_iter().filter_map(|(record, answer)| {
        let why = answer.as_ref().err()?;
        let message = format!("{}: the CA would stop here, even where the other family has addresses", why.0);
        Some(
            Verdict::fail(Kind::DnsFailed, message)
                .object(format!("{record} {}", facts.host))
                .fix(format!(
                    "see what the zone's own servers answer: dig +trace {record} {}; where it is the resolver that is \
                     silent, --resolver names another",
                    facts.host
                )),
        )
    })
}

fn missing(facts: &DnsFacts) -> Verdict {
    let fix = match facts.gateway.is_empty() {
        true => "add an A or AAAA record with the gateway's address".to_owned(),
        false => format!("let {} lead to {}", facts.host, list(&facts.gateway)),
    };
    Verdict::fail(
        Kind::DnsMissing,
        "it has neither an A nor an AAAA record, so that the CA finds nobody to ask",
    )
    .object(facts.host.clone())
    .fix(fix)
}

fn private_verdict(facts: &DnsFacts, private: &[IpAddr]) -> Verdict {
    let message = format!("{} is on no public network: a CA on the Internet can not reach it", list(private));
    Verdict::fail(Kind::DnsPrivate, message).object(record(facts, private)).fix(
        "give the name a public address; --allow-private is for a CA inside, or --resolver for the view from outside",
    )
}

/// The records that these addresses come from.
fn record(facts: &DnsFacts, addresses: &[IpAddr]) -> String {
    let types: BTreeSet<_> =
        addresses.iter().map(|address| if address.is_ipv4() { "A" } else { "AAAA" }).collect();
    format!("{} {}", types.into_iter().collect::<Vec<_>>().join(","), facts.host)
}

fn list<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::resolver::Unanswered;
    use super::*;

    fn facts(v4: &[&str], v6: &[&str], gateway: &[&str]) -> DnsFacts {
        let parse = |all: &[&str]| all.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
        DnsFacts {
            host: "www.example.com".into(),
            addresses: Addresses { v4: Ok(parse(v4)), v6: Ok(parse(v6)) },
            gateway: parse(gateway).into_iter().collect(),
            is_private_allowed: false,
        }
    }

    fn kinds(facts: &DnsFacts) -> Vec<&'static str> {
        verdicts(facts).iter().map(|verdict| verdict.kind.as_str()).collect()
    }

    #[test]
    fn addresses_are_compared_with_the_gateways() {
        assert_eq!(kinds(&facts(&[], &[], &[])), ["dns-missing"]);
        assert_eq!(kinds(&facts(&["1.1.1.1"], &[], &[])), ["dns-ok"]);
        assert_eq!(kinds(&facts(&["1.1.1.1"], &[], &["1.1.1.1", "2606:4700::1"])), ["dns-ok"]);
        assert_eq!(kinds(&facts(&["1.1.1.1"], &["2606:4700::2"], &["1.1.1.1"])), ["dns-elsewhere"]);
        assert_eq!(kinds(&facts(&["10.0.0.1"], &[], &["10.0.0.1"])), ["dns-private"]);
        assert_eq!(kinds(&facts(&["10.0.0.1", "1.1.1.1"], &[], &[])), ["dns-private", "dns-ok"]);
        let allowed = DnsFacts { is_private_allowed: true, ..facts(&["10.0.0.1"], &[], &["10.0.0.1"]) };
        assert_eq!(kinds(&allowed), ["dns-ok"]);
    }

    #[test]
    fn one_family_without_an_answer_is_a_failure() {
        let mut facts = facts(&["1.1.1.1"], &[], &[]);
        facts.addresses.v6 = Err(Unanswered("DNS answers `Server Failure`".into()));
        assert_eq!(kinds(&facts), ["dns-failed", "dns-ok"]);
        facts.addresses.v4 = facts.addresses.v6.clone().map(|_| Vec::new());
        assert_eq!(kinds(&facts), ["dns-failed", "dns-failed"]);
        let verdict = &verdicts(&facts)[0];
        assert_eq!(verdict.object.as_deref(), Some("A www.example.com"));
        assert!(verdict.message.contains("Server Failure"), "{verdict:?}");
    }
}
