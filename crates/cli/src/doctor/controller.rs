//! Whether gatecert is installed, and its controller runs.

use super::cluster::{Unread, Why, name_of};
use super::kind::Kind;
use super::report::Verdict;
use crate::issue::day;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

/// The name of the controller's Deployment in an installation.
pub(super) const DEPLOYMENT: &str = "gatecert";

/// How long beyond its time a Lease counts as held: the clocks of this machine and of the cluster need not agree.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn verdicts(leases: &[Lease], unread: &[Unread], now: Timestamp) -> Vec<Verdict> {
    let ours: Vec<_> = unread.iter().filter(|one| one.resource.ends_with(".gatecert.dev")).collect();
    if ours.iter().any(|one| one.why == Why::Absent) {
        let text = "the cluster does not know Certificates: gatecert is not installed";
        let fix = "gatecert render install | kubectl apply --server-side -f -";
        return vec![
            Verdict::fail(Kind::ClusterNotInstalled, text).object("certificates.gatecert.dev").fix(fix),
        ];
    }
    let forbidden = unread.iter().filter(|one| one.why == Why::Forbidden);
    let mut verdicts: Vec<_> = forbidden.map(forbidden_verdict).collect();
    if !unread.iter().any(|one| one.resource.starts_with("leases.")) {
        verdicts.push(controller(leases, now));
    }
    verdicts
}

fn forbidden_verdict(unread: &Unread) -> Verdict {
    let text = "the user of the kubeconfig may not list them, so that what follows from them is not known";
    Verdict::warn(Kind::ClusterForbidden, text)
        .object(unread.resource.clone())
        .fix(format!("kubectl auth can-i list {} --all-namespaces", unread.resource))
}

fn controller(leases: &[Lease], now: Timestamp) -> Verdict {
    let renewed = |lease: &Lease| Some(lease.spec.as_ref()?.renew_time.as_ref()?.0);
    let Some(lease) = leases.iter().max_by_key(|lease| renewed(lease)) else {
        let text = "no replica has ever led: the controller has not been started in this cluster";
        let fix = "gatecert render install | kubectl apply --server-side -f -";
        return Verdict::fail(Kind::ControllerMissing, text).object("Lease gatecert-controller").fix(fix);
    };
    let name = name_of(lease);
    let title = format!("Lease {name}");
    let look = look(&name.namespace);
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let seconds = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
    match (holder, spec.renew_time) {
        (Some(holder), Some(at)) if now.duration_since(at.0) <= seconds + TOLERANCE => {
            Verdict::ok(Kind::ControllerOk, format!("{holder} leads")).object(title)
        }
        (_, Some(at)) => {
            let text = format!("no replica leads: it was renewed last at {}", day(at.0));
            Verdict::fail(Kind::ControllerStale, text).object(title).fix(look)
        }
        _ => Verdict::fail(Kind::ControllerStale, "no replica leads").object(title).fix(look),
    }
}

/// The commands that show the controller's Pods in a namespace, and what they say.
pub(super) fn look(namespace: &str) -> String {
    format!("kubectl -n {namespace} get pods && kubectl -n {namespace} logs deployment/{DEPLOYMENT}")
}

/// Whether a command is about a Deployment that is installed, in the namespace where it is.
#[cfg(test)]
pub(super) fn is_about_installed(command: &str, namespace: &str) -> bool {
    let options = gatecert_render::InstallOptions { namespace: namespace.to_owned(), ..Default::default() };
    let mut words = command.split_whitespace();
    let place = words.find(|word| *word == "-n").and_then(|_| words.next());
    let deployment = words.find_map(|word| word.strip_prefix("deployment/"));
    gatecert_render::install(&options).iter().any(|object| {
        object["kind"] == "Deployment"
            && object["metadata"]["namespace"].as_str() == place
            && object["metadata"]["name"].as_str() == deployment
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn kinds(leases: &[Value], unread: &[(&str, Why)]) -> Vec<&'static str> {
        let leases: Vec<_> = leases
            .iter()
            .map(|spec| {
                let value = json!({"metadata": {"name": "gatecert-controller", "namespace": "gatecert-system"}, "spec": spec});
                serde_json::from_value(value).unwrap()
            })
            .collect();
        let unread: Vec<_> =
            unread.iter().map(|(resource, why)| Unread { resource: (*resource).into(), why: *why }).collect();
        let verdicts = verdicts(&leases, &unread, "2026-06-01T00:10:00Z".parse().unwrap());
        verdicts.iter().map(|verdict| verdict.kind.as_str()).collect()
    }

    fn held(holder: &str, at: &str) -> Value {
        json!({"holderIdentity": holder, "renewTime": at, "leaseDurationSeconds": 15})
    }

    #[test]
    fn a_lease_is_held_or_not() {
        assert_eq!(kinds(&[], &[]), ["controller-missing"]);
        assert_eq!(kinds(&[held("a", "2026-06-01T00:09:55.000000Z")], &[]), ["controller-ok"]);
        assert_eq!(kinds(&[held("a", "2026-06-01T00:00:00.000000Z")], &[]), ["controller-stale"]);
        assert_eq!(kinds(&[held("", "2026-06-01T00:09:55.000000Z")], &[]), ["controller-stale"]);
        let both = [held("a", "2026-06-01T00:00:00.000000Z"), held("b", "2026-06-01T00:09:55.000000Z")];
        assert_eq!(kinds(&both, &[]), ["controller-ok"]);
    }

    #[test]
    fn the_log_is_that_of_what_is_installed() {
        let lease = |spec: Value| {
            let metadata = json!({"name": "gatecert-controller", "namespace": "infra"});
            serde_json::from_value::<Lease>(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        for spec in [held("a", "2026-06-01T00:00:00.000000Z"), json!({})] {
            let verdicts = verdicts(&[lease(spec)], &[], "2026-06-01T00:10:00Z".parse().unwrap());
            assert_eq!(verdicts[0].kind.as_str(), "controller-stale");
            let fix = verdicts[0].fix.as_deref().unwrap();
            assert!(is_about_installed(fix, "infra"), "{fix}");
            assert!(!is_about_installed(fix, "gatecert-system"), "{fix}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        let absent = [
            ("certificates.gatecert.dev", Why::Absent),
            ("virtualservices.networking.istio.io", Why::Absent),
        ];
        assert_eq!(kinds(&[], &absent), ["cluster-not-installed"]);
        assert_eq!(kinds(&[], &absent[1..]), ["controller-missing"]);
        let forbidden = [("leases.coordination.k8s.io", Why::Forbidden)];
        assert_eq!(kinds(&[], &forbidden), ["cluster-forbidden"]);
    }
}
