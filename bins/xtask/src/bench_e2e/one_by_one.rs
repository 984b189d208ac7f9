//! Gateways that are applied one after the other, and certificates that are renewed one after the other.

use crate::percentiles;
use crate::rig::{Rig, gateway, timed};
use anyhow::Result;
use gatecert_api::Certificate;
use gatecert_testkit::cluster::apply;
use kube::Api;
use kube::api::Patch;
use serde_json::{Value, json};

/// How long the first certificates and the renewals took until Envoy served them.
pub(super) async fn run(rig: &Rig, runs: usize, renewals: usize) -> Result<(Value, Value)> {
    let (mut applied, mut renewed) = (Vec::new(), Vec::new());
    let mut leaves = Vec::new();
    for run in 0..runs {
        let manifest = gateway(&name(run), &[&host(run)]);
        let (time, leaf) = timed(async {
            apply(&rig.cluster.client, &manifest).await?;
            rig.served(&host(run), &[]).await
        })
        .await?;
        eprintln!("Gateway {}: {time:.0?}", run + 1);
        applied.push(time);
        leaves.push(leaf);
    }
    for (run, leaf) in leaves.iter().enumerate().take(renewals) {
        let certificates: Api<Certificate> = Api::namespaced(rig.cluster.client.clone(), "istio-system");
        let renew = Patch::Merge(json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}}));
        let (time, _) = timed(async {
            certificates.patch(&format!("{}-tls", name(run)), &Default::default(), &renew).await?;
            rig.served(&host(run), leaf).await
        })
        .await?;
        eprintln!("renewal {}: {time:.0?}", run + 1);
        renewed.push(time);
    }
    Ok((percentiles::milliseconds(&applied), percentiles::milliseconds(&renewed)))
}

fn name(run: usize) -> String {
    format!("bench-{run}")
}

fn host(run: usize) -> String {
    format!("www.bench-{run}.test")
}
