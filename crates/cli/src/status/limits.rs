//! What is left of the CAs' rate limits, as the Certificates remember what was ordered.

use gatecert_acme::Identifier;
use gatecert_api::{
    AcmeIssuer, AcmeStatus, Certificate, CertificateSummary, ClusterIssuer, Issuer, IssuerKind, OrderType,
    RecentOrder,
};
use gatecert_controller::limits;
use gatecert_issue::budget::{Budget, Limits, OrderKind, Ordered};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// What is left of the limits of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountLimits {
    /// The URL of the account.
    pub(super) account: String,
    /// New orders that can be made now, and how many at most.
    pub(super) new_orders: Option<Remaining>,
    /// Certificates that can be had now for the registered domain that is the worst off.
    pub(super) certificates_per_domain: Option<Remaining>,
    /// How many Certificates wait for their turn.
    pub(super) waiting: usize,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Remaining {
    pub(super) left: u32,
    pub(super) of: u32,
}

/// What a Certificate has ordered.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    issuer: IssuerName,
    names: BTreeSet<Identifier>,
    recent: Vec<RecentOrder>,
}

/// Kind, namespace (none of a ClusterIssuer) and name.
type IssuerName = (IssuerKind, String, String);

/// The accounts of the issuers.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    of_issuers: HashMap<IssuerName, String>,
    limits: BTreeMap<String, Limits>,
}

impl Accounts {
    pub(super) fn add_issuer(&mut self, issuer: &Issuer) {
        let account = issuer.status.as_ref().and_then(|status| status.acme.as_ref());
        let name = (
            IssuerKind::Issuer,
            issuer.metadata.namespace.clone().unwrap_or_default(),
            issuer.metadata.name.clone().unwrap_or_default(),
        );
        self.add(name, &issuer.spec.acme, account);
    }

    pub(super) fn add_cluster_issuer(&mut self, issuer: &ClusterIssuer) {
        let account = issuer.status.as_ref().and_then(|status| status.acme.as_ref());
        let name =
            (IssuerKind::ClusterIssuer, String::new(), issuer.metadata.name.clone().unwrap_or_default());
        self.add(name, &issuer.spec.acme, account);
    }

    fn add(&mut self, name: IssuerName, spec: &AcmeIssuer, account: Option<&AcmeStatus>) {
        if let Some(account) = account {
            self.of_issuers.insert(name, account.uri.clone());
            self.limits.insert(account.uri.clone(), limits(spec));
        }
    }
}

impl Orders {
    pub(super) fn of(certificate: &Certificate) -> Self {
        let reference = &certificate.spec.issuer_ref;
        let kind = reference.kind.unwrap_or_default();
        let namespace = match kind {
            IssuerKind::ClusterIssuer => String::new(),
            IssuerKind::Issuer => certificate.metadata.namespace.clone().unwrap_or_default(),
        };
        Self {
            issuer: (kind, namespace, reference.name.clone()),
            names: certificate.spec.names().filter_map(|name| name.parse().ok()).collect(),
            recent: certificate
                .status
                .as_ref()
                .map(|status| status.recent_orders.clone())
                .unwrap_or_default(),
        }
    }
}

/// Counts the orders that are remembered.
pub(super) fn limits_of<'a>(
    accounts: &Accounts,
    certificates: impl Iterator<Item = &'a (CertificateSummary, Orders)> + Clone,
    now: Timestamp,
) -> Vec<AccountLimits> {
    let of_account = |account: &String| {
        certificates
            .clone()
            .filter(|(_, orders)| accounts.of_issuers.get(&orders.issuer) == Some(account))
            .collect::<Vec<_>>()
    };
    let limits = accounts.limits.iter();
    limits.map(|(account, limits)| left(account, *limits, &of_account(account), now)).collect()
}

fn left(
    account: &str,
    limits: Limits,
    certificates: &[&(CertificateSummary, Orders)],
    now: Timestamp,
) -> AccountLimits {
    let mut past: Vec<_> = certificates
        .iter()
        .flat_map(|(_, orders)| orders.recent.iter().map(|order| (order, &orders.names)))
        .filter(|(order, _)| order.time.0 <= now)
        .collect();
    past.sort_by_key(|(order, _)| order.time.0);
    let mut budget = Budget::new(limits);
    for (order, names) in past {
        let failed: Vec<_> = order.failed_names.iter().filter_map(|name| name.parse().ok()).collect();
        let (kind, names) = match order.order_type {
            OrderType::New => (OrderKind::New, Some(names)),
            OrderType::OtherNames => (OrderKind::New, None),
            OrderType::Renewal => (OrderKind::Renewal, Some(names)),
            OrderType::Due => (OrderKind::Due, Some(names)),
        };
        budget.replay(&Ordered { at: order.time.0, kind, names, failed: &failed });
    }
    let left = budget.left(now);
    let remaining = |left: Option<u32>, limit: Option<gatecert_issue::budget::Limit>| {
        left.zip(limit).map(|(left, limit)| Remaining { left, of: limit.count() })
    };
    AccountLimits {
        account: account.to_owned(),
        new_orders: remaining(left.new_orders, limits.new_orders),
        certificates_per_domain: remaining(left.certificates_per_domain, limits.certificates_per_domain),
        waiting: certificates.iter().filter(|(summary, _)| summary.reason.ends_with("Limit")).count(),
    }
}

/// The limits for people: nothing where there are none.
pub(super) fn text(limits: &[AccountLimits]) -> String {
    let mut text = String::new();
    for account in limits {
        let mut said: Vec<String> = Vec::new();
        if let Some(Remaining { left, of }) = account.new_orders {
            said.push(format!("{left} of {of} new orders left"));
        }
        if let Some(Remaining { left, of }) = account.certificates_per_domain {
            said.push(format!("{left} of {of} certificates left for the domain with the fewest"));
        }
        if account.waiting > 0 {
            said.push(format!("{} Certificates wait for their turn", account.waiting));
        }
        if !said.is_empty() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {}: {}", crate::output::clean(&account.account), said.join(", "));
        }
    }
    if text.is_empty() { text } else { format!("Rate limits of the CAs:\n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn orders_of_all_certificates_of_an_account_count() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let mut accounts = Accounts::default();
        let issuer: ClusterIssuer = serde_json::from_value(json!({
            "apiVersion": "gatecert.dev/v1", "kind": "ClusterIssuer", "metadata": {"name": "le"},
            "spec": {"acme": {"server": "letsencrypt"}},
            "status": {"acme": {"directory": "d", "uri": "https://ca.test/acct/1", "thumbprint": "t"}},
        }))
        .unwrap();
        accounts.add_cluster_issuer(&issuer);
        let certificate = |name: &str, type_: &str| -> Certificate {
            serde_json::from_value(json!({
                "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {
                    "secretName": name, "dnsNames": [format!("{name}.example.com")],
                    "issuerRef": {"name": "le", "kind": "ClusterIssuer"},
                },
                "status": {"recentOrders": [{
                    "url": format!("https://ca.test/order/{name}"), "time": "2026-11-26T11:59:59Z", "type": type_,
                }]},
            }))
            .unwrap()
        };
        let all = [certificate("a", "New"), certificate("b", "New"), certificate("c", "Due")]
            .map(|certificate| (CertificateSummary::of(&certificate, 1), Orders::of(&certificate)));
        let limits = limits_of(&accounts, all.iter(), now);
        assert_eq!(limits.len(), 1);
        assert_eq!(limits[0].new_orders, Some(Remaining { left: 298, of: 300 }));
        assert_eq!(limits[0].certificates_per_domain, Some(Remaining { left: 48, of: 50 }));
        let said = text(&limits);
        assert!(said.contains("https://ca.test/acct/1: 298 of 300 new orders left, 48 of 50"), "{said}");
        assert_eq!(text(&[]), "");
    }
}
