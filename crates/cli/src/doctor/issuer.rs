//! The issuer of a Certificate, its account, and what is left of the CA's limits.

use super::cluster::{Gathered, name_of};
use super::kind::Kind;
use super::report::{Verdict, plain};
use crate::issue::day;
use gatecert_acme::Identifier;
use gatecert_api::{AcmeIssuer, Certificate, IssuerKind, IssuerReference, IssuerStatus, OrderType};
use gatecert_controller::{limits, order_kind};
use gatecert_issue::budget::{Ask, Budget, OrderKind, Ordered};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// An issuer as a Certificate means it.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    /// `ClusterIssuer letsencrypt`.
    pub(super) title: String,
    pub(super) namespace: Option<String>,
    pub(super) reference: IssuerReference,
    /// Its spec and status, where it is there.
    pub(super) found: Option<(AcmeIssuer, Option<IssuerStatus>)>,
}

impl Meant {
    /// The issuer of a Certificate.
    pub(super) fn by(certificate: &Certificate, gathered: &Gathered) -> Self {
        let reference = certificate.spec.issuer_ref.clone();
        let home = certificate.metadata.namespace.clone().unwrap_or_default();
        match reference.kind.unwrap_or_default() {
            IssuerKind::ClusterIssuer => {
                let mut all = gathered.cluster_issuers.iter();
                let found = all.find(|one| one.metadata.name.as_ref() == Some(&reference.name));
                Self {
                    title: format!("ClusterIssuer {}", reference.name),
                    namespace: None,
                    found: found.map(|one| (one.spec.acme.clone(), one.status.clone())),
                    reference,
                }
            }
            IssuerKind::Issuer => {
                let is_it = |one: &&gatecert_api::Issuer| {
                    one.metadata.name.as_ref() == Some(&reference.name)
                        && one.metadata.namespace.as_ref() == Some(&home)
                };
                let found = gathered.issuers.iter().find(is_it);
                Self {
                    title: format!("Issuer {home}/{}", reference.name),
                    found: found.map(|one| (one.spec.acme.clone(), one.status.clone())),
                    namespace: Some(home),
                    reference,
                }
            }
        }
    }

    /// The URL of the account.
    pub(super) fn account(&self) -> Option<&str> {
        Some(self.found.as_ref()?.1.as_ref()?.acme.as_ref()?.uri.as_str())
    }
}

pub(super) fn verdicts(meant: &Meant) -> Vec<Verdict> {
    let Some((spec, status)) = &meant.found else {
        let text = "it does not exist, and the Certificate names it";
        let place = meant
            .namespace
            .as_ref()
            .map_or_else(|| "--cluster".to_owned(), |home| format!("--namespace {home}"));
        let fix = format!(
            "gatecert render issuer --name {} {place} | kubectl apply -f -",
            plain(&meant.reference.name)
        );
        return vec![Verdict::fail(Kind::IssuerMissing, text).object(meant.title.clone()).fix(fix)];
    };
    let ready = status.iter().flat_map(|status| &status.conditions).find(|one| one.type_ == "Ready");
    let look = match &meant.namespace {
        Some(home) => format!("kubectl -n {home} describe issuers.gatecert.dev {}", meant.reference.name),
        None => format!("kubectl describe clusterissuers.gatecert.dev {}", meant.reference.name),
    };
    let verdict = match (ready, meant.account()) {
        (Some(ready), Some(account)) if ready.status == "True" => {
            Verdict::ok(Kind::IssuerOk, format!("ready, account {account} at {}", spec.directory()))
        }
        (Some(ready), _) => {
            let text = format!("it is not ready ({}): {}", ready.reason, ready.message);
            Verdict::fail(Kind::IssuerNotReady, text).fix(look)
        }
        (None, _) => {
            let text = "it has no status: the controller has not looked at it";
            Verdict::fail(Kind::IssuerNotReady, text).fix(look)
        }
    };
    vec![verdict.object(meant.title.clone())]
}

/// Whether the CA's limits leave room for an order of the Certificate's, as the controller counts them.
pub(super) fn limit(
    meant: &Meant,
    certificate: &Certificate,
    gathered: &Gathered,
    now: Timestamp,
) -> Option<Verdict> {
    let (spec, _) = meant.found.as_ref()?;
    let account = meant.account()?;
    let mut past: Vec<_> = gathered
        .certificates
        .iter()
        .filter(|one| Meant::by(one, gathered).account() == Some(account))
        .flat_map(orders)
        .filter(|order| order.at <= now)
        .collect();
    past.sort_by_key(|order| order.at);
    let mut budget = Budget::new(limits(spec));
    for order in &past {
        budget.replay(&Ordered {
            at: order.at,
            kind: order.kind,
            names: order.names.as_ref(),
            failed: &order.failed,
        });
    }
    let names = identifiers(certificate.spec.names());
    let has_one = certificate.status.as_ref().is_some_and(|status| status.serial_number.is_some());
    let kind = if has_one { OrderKind::Renewal } else { OrderKind::New };
    let left = budget.left(now);
    let verdict = match budget.ask(&Ask { who: "doctor", names: &names, kind }, now) {
        Ok(_leave) => {
            let counted = [("new orders", left.new_orders), ("certificates of the domain that is the worst off", left.certificates_per_domain)];
            let counted: Vec<_> =
                counted.iter().filter_map(|(what, left)| Some(format!("{} {what}", (*left)?))).collect();
            let rest = if counted.is_empty() { String::new() } else { format!("; left are {}", counted.join(", ")) };
            Verdict::ok(Kind::LimitOk, format!("an order can be made now ({} within a week){rest}", past.len()))
        }
        Err(held) => Verdict::warn(Kind::LimitUsedUp, format!("{held}: the next order is made at {}", day(held.until)))
            .fix("it is made by itself then; see why so much was ordered, and try with letsencrypt-staging meanwhile"),
    };
    Some(verdict.object(format!("{}, Certificate {}", meant.title, name_of(certificate))))
}

/// An order of the past.
struct Past {
    at: Timestamp,
    kind: OrderKind,
    names: Option<BTreeSet<Identifier>>,
    failed: Vec<Identifier>,
}

fn orders(certificate: &Certificate) -> Vec<Past> {
    let names = identifiers(certificate.spec.names());
    let recent = certificate.status.iter().flat_map(|status| &status.recent_orders);
    let each = recent.map(|order| Past {
        at: order.time.0,
        kind: order_kind(order.order_type),
        names: (order.order_type != OrderType::OtherNames).then(|| names.clone()),
        failed: identifiers(order.failed_names.iter().map(String::as_str)).into_iter().collect(),
    });
    each.collect()
}

fn identifiers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<Identifier> {
    names.filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-06-01T00:00:00Z";

    fn gathered(status: Value, orders: usize) -> Gathered {
        let issuer = json!({
            "apiVersion": "gatecert.dev/v1", "kind": "ClusterIssuer", "metadata": {"name": "le"},
            "spec": {"acme": {"server": "letsencrypt"}}, "status": status,
        });
        let orders: Vec<_> = (0..orders)
            .map(|n| json!({"url": format!("https://ca.test/{n}"), "time": "2026-05-31T23:00:00Z", "type": "New"}))
            .collect();
        let certificate = json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate", "metadata": {"name": "www", "namespace": "shop"},
            "spec": {"secretName": "www-tls", "dnsNames": ["www.example.com"], "issuerRef": {"name": "le", "kind": "ClusterIssuer"}},
            "status": {"recentOrders": orders},
        });
        Gathered {
            cluster_issuers: vec![serde_json::from_value(issuer).unwrap()],
            certificates: vec![serde_json::from_value(certificate).unwrap()],
            ..Gathered::default()
        }
    }

    fn ready() -> Value {
        json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "r", "message": "", "lastTransitionTime": NOW}],
            "acme": {"directory": "d", "uri": "https://ca.test/acct/1", "thumbprint": "t"},
        })
    }

    fn kind(gathered: &Gathered) -> &'static str {
        verdicts(&Meant::by(&gathered.certificates[0], gathered))[0].kind.as_str()
    }

    #[test]
    fn an_issuer_is_there_and_ready_or_not() {
        assert_eq!(kind(&gathered(ready(), 0)), "issuer-ok");
        let mut broken = ready();
        broken["conditions"][0]["status"] = json!("False");
        assert_eq!(kind(&gathered(broken, 0)), "issuer-not-ready");
        assert_eq!(kind(&gathered(json!({}), 0)), "issuer-not-ready");
        let mut without = gathered(ready(), 0);
        without.cluster_issuers.clear();
        assert_eq!(kind(&without), "issuer-missing");
    }

    #[test]
    fn what_was_ordered_is_counted() {
        // Within the hour two new orders are there again, of three hundred in three hours.
        let limit_of = |orders| {
            let gathered = gathered(ready(), orders);
            let certificate = &gathered.certificates[0];
            let verdict =
                limit(&Meant::by(certificate, &gathered), certificate, &gathered, NOW.parse().unwrap());
            verdict.unwrap()
        };
        assert_eq!(limit_of(0).kind.as_str(), "limit-ok");
        assert!(limit_of(2).message.contains("48 certificates of the domain"), "{:?}", limit_of(2));
        let used_up = limit_of(5);
        assert_eq!(used_up.kind.as_str(), "limit-used-up");
        assert!(used_up.message.contains("5 certificates for exactly these names"), "{used_up:?}");
        let unregistered = gathered(json!({}), 0);
        let certificate = &unregistered.certificates[0];
        let meant = Meant::by(certificate, &unregistered);
        assert!(limit(&meant, certificate, &unregistered, NOW.parse().unwrap()).is_none());
    }
}
