//! The status page of a controller with Certificates in all states, in a browser; and that what the dashboard and the alerts
//! of the chart ask for is counted. `GATECERT_SCREENSHOTS=docs/images` draws the page anew:
//! `GATECERT_SCREENSHOTS=$PWD/docs/images cargo test -p gatecert-controller --test cluster status_page`.

use crate::Outcome;
use crate::alone::Alone;
use crate::browser;
use crate::harness::World;
use crate::manifest::{gateway, http};
use gatecert_testkit::tools::{Tool, ensure_async};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 41);

/// Where no gateway is, so that an issuance waits there.
const NOBODY: &str = "10.99.0.42";

const STORE: Alone = Alone("store");

/// What the page says of these Certificates, each on a line of its own.
const STATES: [(&str, &str); 4] =
    [("www", "ready"), ("orders", "not ready"), ("blocked", "not ready"), ("lonely", "not ready")];

pub(crate) async fn in_a_browser(world: &World) -> Outcome {
    STORE.install(world).await?;
    let arguments = &["--only-namespace", "store", "--route-timeout", "600"];
    let replica = world.replica(&STORE.replica(ADDRESS, arguments)).await?;
    fill(world).await.map_err(|error| format!("{error}: {}", replica.process.log()))?;

    let base = format!("http://{ADDRESS}:8081");
    let page: Value = until_all_are_seen(&base).await?;
    let state = |name: &str| {
        let all = page["certificates"].as_array().into_iter().flatten();
        all.clone().find(|one| one["name"] == name).map(|one| one["health"].clone()).unwrap_or_default()
    };
    for (name, health) in STATES {
        let expected = if health == "ready" { "Ready" } else { "NotReady" };
        assert_eq!(state(name), expected, "{name}: {page:#}");
    }
    assert_eq!(page["leads"], true);
    assert!(page["rateLimits"].as_array().is_some_and(|limits| !limits.is_empty()), "{page:#}");

    let shown = browser::read(&format!("{base}/")).await?;
    assert!(shown.console.is_empty(), "the browser complains: {:?}", shown.console);
    for (name, health) in STATES {
        let row = row(&shown.dom, name).ok_or_else(|| format!("{name} is not shown: {}", shown.dom))?;
        assert!(row.contains(&format!(">{health}<")), "{row}");
    }
    for said in [
        "Proving, begun ",
        "OrderRefused",
        "NoGateway",
        "store, which leads",
        "<rect",
        "2 attempts failed",
        "To do:",
        "no limits are known",
        "it ended 2 d ago",
    ] {
        assert!(shown.dom.contains(said), "{said}: {}", shown.dom);
    }
    assert!(!shown.dom.contains("<script"), "{}", shown.dom);
    let refused = reqwest::Client::builder().no_proxy().build()?.post(&base).send().await?;
    assert_eq!(refused.status().as_u16(), 404);

    let metrics = replica.metrics().await?;
    what_is_asked_for_is_counted(&metrics);
    names_follow_the_conventions(&metrics).await?;
    draw(&base).await
}

/// Certificates in all states: issued, under way, refused by the CA and by gateways; and what was written long ago.
async fn fill(world: &World) -> Outcome {
    let hosts =
        ["www.store.test", "api.store.test", "static.store.test", "orders.store.test", "www.blocked.test"];
    let slow = world
        .issuer("slow")
        .replace("ClusterIssuer", "Issuer")
        .replace("name: slow", "name: slow, namespace: store")
        .replace("email:", "rateLimits: {newOrders: {count: 300, period: 3h}}, email:")
        .replace(
            "email:",
            &format!("solvers: [{{http01: {{istio: {{addresses: [{NOBODY}], exportTo: [istio-system]}}}}}}], email:"),
        );
    let of = |name: &str, host: &str| Alone::certificate("store", name, host);
    let by = |issuer: &str, name: &str, host: &str| {
        of(name, host).replace("name: local,", &format!("name: {issuer},"))
    };
    let several = of("www", "www.store.test").replace("'www.store.test'", "www.store.test, api.store.test");
    let manifests = [
        slow,
        gateway("store", "store", &[http("store", &hosts, "")]),
        several,
        of("static", "static.store.test"),
        by("slow", "orders", "orders.store.test"),
        of("blocked", "www.blocked.test"),
        of("lonely", "lonely.store.test"),
        // An issuer that is not there leaves them alone.
        by("absent", "partners", "partners.store.test"),
        by("absent", "legacy", "legacy.store.test"),
        by("absent", "old", "old.store.test"),
    ];
    world.apply(&manifests.concat()).await?;
    world.ready("store", "www").await?;
    world.ready("store", "static").await?;
    for (name, reason) in [
        ("orders", "Proving"),
        ("blocked", "OrderRefused"),
        ("lonely", "NoGateway"),
        ("partners", "IssuerNotFound"),
        ("legacy", "IssuerNotFound"),
        ("old", "IssuerNotFound"),
    ] {
        world.refused("store", name, reason).await?;
    }
    let error = json!({
        "kind": "RouteNotReady",
        "message": "legacy.store.test: gateway store/legacy answers 403, as if by an AuthorizationPolicy",
        "hint": "let /.well-known/acme-challenge/ pass, whoever asks",
        "names": ["legacy.store.test"],
    });
    long_ago(world, "partners", 40, 12, json!({})).await?;
    long_ago(world, "legacy", 9, -21, json!({"lastError": error, "failedIssuanceAttempts": 2})).await?;
    long_ago(world, "old", -3, -33, json!({})).await
}

/// What a controller would have written: a certificate that ends, and is renewed, in so many days.
async fn long_ago(world: &World, name: &str, end: i64, renewal: i64, more: Value) -> Outcome {
    let certificates = world.certificates("store");
    let generation = certificates.get(name).await?.metadata.generation;
    let now: Timestamp = gatecert_acme::Clock::now(&gatecert_acme::SystemClock);
    let day = |days: i64| (now + SignedDuration::from_hours(24 * days + 1)).to_string();
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "",
            "observedGeneration": generation, "lastTransitionTime": day(end - 90),
        })
    };
    let reason = more["lastError"]["kind"].as_str().unwrap_or("Idle");
    let mut status = json!({
        "conditions": [condition("Ready", "True", "Issued"), condition("Issuing", "False", reason)],
        "notBefore": day(end - 90), "notAfter": day(end), "renewalTime": day(renewal),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        status[key] = value.clone();
    }
    let patch = Patch::Merge(json!({"status": status}));
    certificates.patch_status(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// The page for programs, once the watch has brought what was written last.
async fn until_all_are_seen(base: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut page = Value::Null;
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let text = client.get(format!("{base}/status.json")).send().await?.text().await?;
            page = serde_json::from_str(&text).unwrap_or_default();
            let all = page["certificates"].as_array().into_iter().flatten();
            if all.clone().any(|one| one["name"] == "old" && one["notAfter"].is_string()) {
                return Ok::<_, reqwest::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    match waited.await {
        Ok(read) => read?,
        Err(_) => return Err(format!("not all are seen: {page:#}").into()),
    }
    Ok(page)
}

/// The row of the table that a Certificate has.
fn row<'a>(dom: &'a str, name: &str) -> Option<&'a str> {
    let table = dom.split_once("<tbody>")?.1;
    table.split("</tr>").find(|row| row.contains(&format!("store/<b>{name}</b>")))
}

/// Every metric that the chart's dashboard and alerts name is one that this controller has.
fn what_is_asked_for_is_counted(metrics: &str) {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/gatecert/files");
    for file in ["dashboard.json", "alerts.yaml"] {
        let text = std::fs::read_to_string(chart.join(file)).unwrap();
        let asked: BTreeSet<_> = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("gatecert_"))
            .collect();
        assert!(asked.len() >= 5, "{file} asks for {asked:?}");
        for name in asked {
            let is_sample =
                |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            assert!(metrics.lines().any(is_sample), "{file} asks for {name}: {metrics}");
        }
    }
}

/// Prometheus has conventions for the names of metrics, and a program that knows them. It reads the older of the two formats,
/// in which counters are typed by the names of their samples.
async fn names_follow_the_conventions(metrics: &str) -> Outcome {
    let counters: BTreeSet<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    assert!(counters.len() >= 5, "{counters:?}");
    let older = metrics.lines().map(|line| {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "EOF"] | ["#", "UNIT", ..] => String::new(),
            ["#", what, name, rest] if counters.contains(name) => format!("# {what} {name}_total {rest}\n"),
            _ => format!("{line}\n"),
        }
    });
    let mut promtool = Command::new(ensure_async(Tool::Promtool).await?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().ok_or("no input")?.write_all(older.collect::<String>().as_bytes()).await?;
    let output = promtool.wait_with_output().await?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said.concat().is_empty(), "{said:?}");
    Ok(())
}

/// Draws the page: where somebody wants to see it, or else where nobody does.
async fn draw(base: &str) -> Outcome {
    let nowhere = tempfile::TempDir::with_prefix("gatecert-screenshots-")?;
    let folder = std::env::var_os("GATECERT_SCREENSHOTS").map(PathBuf::from);
    let folder = folder.as_deref().unwrap_or_else(|| nowhere.path());
    std::fs::create_dir_all(folder)?;
    let page = folder.join("status-page.png");
    browser::draw(base, (1100, 1720), &[], &page).await?;
    assert!(std::fs::read(&page)?.starts_with(b"\x89PNG"), "nothing is drawn");
    if std::env::var_os("GATECERT_SCREENSHOTS_ALL").is_some() {
        let dark = ["--blink-settings=preferredColorScheme=0"];
        browser::draw(base, (1100, 1560), &dark, &folder.join("status-page-dark.png")).await?;
        browser::draw(base, (500, 2600), &[], &folder.join("status-page-phone.png")).await?;
    }
    Ok(())
}
