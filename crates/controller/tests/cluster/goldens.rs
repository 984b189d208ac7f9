//! What gatecert-render prints, shown to the API server.

use crate::Outcome;
use crate::harness::World;
use gatecert_testkit::cluster::check;
use std::fs;

const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../render/tests/it/snapshots");

const GUIDE: &str = include_str!("../../../../docs/guides/render-gitops.md");

/// The definitions of Istio, of the Gateway API and of Kubernetes have every field of every golden.
pub(crate) async fn the_api_server_knows_every_field(world: &World) -> Outcome {
    world.namespaces(&["shop", "blog", "edge"]).await?;
    let mut objects = 0;
    for entry in fs::read_dir(SNAPSHOTS)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        // Behind the two lines of dashes around the header.
        let text = text.splitn(3, "---\n").nth(2).ok_or("a snapshot without header")?;
        if text.contains("apiVersion:") {
            let checked = check(&world.cluster.client, text).await;
            objects +=
                checked.map_err(|error| format!("{}: {}", path.display(), crate::harness::chain(&error)))?;
        }
    }
    assert!(objects >= 12, "{objects} objects are too few to be all");
    let shown = GUIDE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown = shown.collect::<String>();
    assert_eq!(check(&world.cluster.client, &shown).await?, 6, "certificates and grants of the guide");
    let typo = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: typo, namespace: shop}
spec: {hosts: [www.example.com], http: [{directResponse: {status: 200, boddy: {string: x}}}]}
";
    let refused = check(&world.cluster.client, typo).await.map_err(|error| crate::harness::chain(&error));
    assert!(refused.as_ref().is_err_and(|error| error.contains("boddy")), "{refused:?}");
    Ok(())
}
