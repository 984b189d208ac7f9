//! Faults of Secrets: each is seen by a client of the gateway, then named.

use crate::Outcome;
use crate::doctor::well;
use crate::world::World;
use gatecert_testkit::cluster::base64;
use kube::ResourceExt as _;
use std::time::Duration;

/// How long istiod takes to push what Envoy will refuse. What came in the same push would be refused with it, and not be pushed
/// again.
const ALONE: Duration = Duration::from_secs(1);

pub async fn what_clients_refuse(world: &World) -> Outcome {
    let host = "www.secret.test";
    well(world, "secret", host).await?;
    world.is_taken(host, true).await?;
    let (chain, _) = world.pair(host, -1, 60);
    let (_, other) = world.pair(host, -1, 60);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: secret, namespace: istio-system}\n";
    for kind in ["secret-expired", "secret-not-yet-valid", "secret-names", "secret-chain", "secret-missing"] {
        match kind {
            "secret-expired" => world.secret("secret", host, -60, 30).await?,
            "secret-not-yet-valid" => world.secret("secret", host, 5, 30).await?,
            "secret-names" => world.secret("secret", "other.test", -1, 30).await?,
            "secret-chain" => {
                let (strange, _) = world.pair("strange.test", -1, 30);
                let (leaf, key) = world.pair("other.test", -1, 30);
                let leaf = leaf.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
                world.secret_of("secret", &(leaf + &strange), &key).await?;
            }
            _ => world.delete(secret).await?,
        }
        if kind != "secret-missing" {
            world.is_taken(host, false).await?;
        }
        let report = world.doctor(host, &[]).await?;
        report.expect(&[kind]);
        let check = report.check(kind);
        assert_eq!(check["object"], "Secret istio-system/secret");
        world.mend(check["fix"].as_str().unwrap()).await?;
    }
    // What the fixes ask the controller for.
    let certificate = world.object("Certificate", Some("istio-system"), "secret").await?;
    let renew = certificate.annotations().get("gatecert.dev/renew");
    assert_eq!(renew.map(String::as_str), Some("now"), "{certificate:?}");
    // Envoy keeps the old pair, so that this one is first of a new name.
    well(world, "halves", "www.halves.test").await?;
    world.is_taken("www.halves.test", true).await?;
    world.secret_of("halves", &chain, &other).await?;
    world.doctor("www.halves.test", &[]).await?.expect(&["secret-key"]);
    tokio::time::sleep(ALONE).await;
    Ok(())
}

pub async fn what_is_no_certificate_yet(world: &World) -> Outcome {
    let host = "www.yet.test";
    well(world, "yet", host).await?;
    world.is_taken(host, true).await?;
    let stand_in = rcgen::generate_simple_self_signed([host.to_owned()])?;
    let (chain, key) = (stand_in.cert.pem(), stand_in.signing_key.serialize_pem());
    let labels = "{gatecert.dev/part: placeholder, app.kubernetes.io/managed-by: gatecert}";
    world.apply(&tls_secret("yet", labels, &chain, &key)).await?;
    world.is_taken(host, false).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["secret-placeholder"]);
    assert_eq!(report.check("secret-placeholder")["object"], "Secret istio-system/yet");

    let other = "www.garbled.test";
    well(world, "garbled", other).await?;
    world.is_taken(other, true).await?;
    let (_, key) = world.pair(other, -1, 60);
    world.secret_of("garbled", "no certificate", &key).await?;
    let report = world.doctor(other, &[]).await?;
    report.expect(&["secret-unreadable"]);
    tokio::time::sleep(ALONE).await;
    Ok(())
}

/// A Secret beside the Envoys.
fn tls_secret(name: &str, labels: &str, chain: &str, key: &str) -> String {
    let (chain, key) = (base64(chain), base64(key));
    format!(
        "apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: {name}, namespace: istio-system, labels: {labels}}}
data: {{tls.crt: {chain}, tls.key: {key}}}
"
    )
}

pub async fn what_is_not_written(world: &World) -> Outcome {
    let host = "www.foreign.test";
    well(world, "foreign", host).await?;
    let (chain, key) = world.pair(host, -1, 60);
    let foreign = tls_secret("foreign", "{}", &chain, &key);
    world.delete(&foreign).await?;
    world.apply(&foreign).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["secret-foreign"]);
    world.mend(report.check("secret-foreign")["fix"].as_str().unwrap()).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    world.delete(&foreign).await?;
    world.apply(&foreign.replace("kubernetes.io/tls", "Opaque")).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["secret-type"]);
    world.mend(report.check("secret-type")["fix"].as_str().unwrap()).await?;
    world.doctor(host, &[]).await?.expect(&["secret-missing"]);

    // The Certificate writes one, the gateway reads another.
    well(world, "apart", "www.apart.test").await?;
    let other = crate::manifest::certificate("istio-system", "apart", "www.apart.test")
        .replace("secretName: apart", "secretName: apart-other");
    world.apply(&other).await?;
    let report = world.doctor("www.apart.test", &[]).await?;
    assert!(
        report.check("secret-not-read")["message"].as_str().unwrap().contains("Gateway istio-system/apart"),
        "{report:#?}"
    );
    report.check("secret-missing");
    // What the fix says brings both together.
    world.mend(report.check("secret-not-read")["fix"].as_str().unwrap()).await?;
    let report = world.doctor("www.apart.test", &[]).await?;
    assert!(report.checks.iter().all(|check| check["kind"] != "secret-not-read"), "{report:#?}");
    report.check("secret-ok");
    Ok(())
}
