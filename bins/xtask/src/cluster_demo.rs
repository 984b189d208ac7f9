//! The demo with a cluster: a Gateway is annotated, and Envoy serves certificates.

use crate::rig::{GrpcLoad, Load, Rig, gateway};
use anyhow::{Context as _, Result};
use gatecert_testkit::cluster::{GRPC_PATH, Network, apply};
use serde_json::Value;
use std::path::Path;

/// The hosts of the Gateway, and one that comes later.
const HOSTS: [&str; 3] = ["www.example.test", "api.example.test", "new.example.test"];

pub(crate) async fn run(network: Network, program: &Path, once: bool) -> Result<()> {
    step("starting an API server, istiod, Envoy, Pebble and the controller");
    let rig = Rig::start(network, program).await?;
    println!("Envoy is the ingress gateway at {}, ports 80 and 443", rig.cluster.gateway_address());

    step("a Gateway with two hosts, annotated `gatecert.dev/cluster-issuer: pebble`, is applied");
    let applied = now();
    apply(&rig.cluster.client, &gateway("public", &HOSTS[..2])).await?;
    let first = rig.served(HOSTS[0], &[]).await?;
    rig.served(HOSTS[1], &[]).await?;
    print_time_line(&rig, applied, now())?;

    step("both hosts are asked by HTTPS, with the CA's root as the only one that is trusted");
    let browser = rig.browser(&HOSTS)?;
    for host in &HOSTS[..2] {
        let answer = browser.get(format!("https://{host}/")).send().await?;
        println!("https://{host}/ {}: {}", answer.status(), answer.text().await?);
    }

    let mut grpc = rig.grpc(HOSTS[0]).await?;
    grpc.check().await.context("the application's health by gRPC")?;
    println!("grpc://{}{GRPC_PATH}Check OK, by HTTP/2", HOSTS[0]);

    step("a third host is added, while requests for the first two go on, and gRPC on one connection");
    let urls = HOSTS[..2].iter().map(|host| format!("https://{host}/")).collect();
    let (load, calls) = (Load::start(browser.clone(), urls), GrpcLoad::start(grpc));
    apply(&rig.cluster.client, &gateway("public", &HOSTS)).await?;
    rig.served(HOSTS[2], &[]).await?;
    rig.served(HOSTS[0], &first).await?;
    let answer = browser.get(format!("https://{}/", HOSTS[2])).send().await?;
    println!("https://{}/ {}: {}", HOSTS[2], answer.status(), answer.text().await?);
    let (requests, calls) = (load.stop().await?, calls.stop().await?);
    println!("{requests} requests for the first two and {calls} gRPC calls in the meantime, none failed");

    if !once {
        step("all of this keeps running; Ctrl-C ends it");
        println!("from another terminal, in this network and as this user:");
        println!("  nsenter --target {} --net", std::process::id());
        println!(
            "  kubectl --kubeconfig {} get gatecert -A",
            rig.cluster.server.kubeconfig_file()?.display()
        );
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn step(what: &str) {
    println!("\n{}", console::style(format!("== {what}")).bold());
}

#[allow(clippy::disallowed_methods, reason = "a time line needs the time")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// What happened when, from the controller's log.
fn print_time_line(rig: &Rig, applied: jiff::Timestamp, served: jiff::Timestamp) -> Result<()> {
    print_after(applied, applied, "Gateway applied");
    let log = rig.log();
    for (mark, what) in [
        ("issuing: ", "a Certificate is there, and planned"),
        ("order", "the CA took the order"),
        ("ChallengePresented", "the route is written"),
        ("Validating", "the route is proved at the gateway; the CA is told"),
        ("Validated", "the CA has found the answer"),
        ("Issued", "the certificate is here and verified"),
        ("published", "the Secret is written"),
    ] {
        let at =
            first_of(&log, mark).with_context(|| format!("the controller did not log `{mark}`\n{log}"))?;
        print_after(applied, at, what);
    }
    print_after(applied, served, "Envoy serves both hosts");
    Ok(())
}

fn print_after(start: jiff::Timestamp, at: jiff::Timestamp, what: &str) {
    let after = format!("{:>8}", format!("{} ms", at.duration_since(start).as_millis()));
    println!("{}  {what}", console::style(after).green());
}

/// The time of the first line that speaks of a mark.
fn first_of(log: &str, mark: &str) -> Option<jiff::Timestamp> {
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
        let fields = &line["fields"];
        let is_it = |field: &str| fields[field].as_str().is_some_and(|text| text.starts_with(mark));
        (is_it("message") || is_it("event")).then(|| line["timestamp"].as_str()?.parse().ok()).flatten()
    })
}
