//! gRPC and HTTP/2 behind the gateway, which the application of 2018 had too.

use crate::Outcome;
use crate::harness::World;
use crate::manifest::{certificate, gateway, http, https};
use gatecert_testkit::cluster::{GRPC_PATH, GRPC_PORT, GrpcClient};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;

/// Calls on one connection, on new ones, and one without end: none of them fails while a name is added and the
/// certificate is renewed.
pub(crate) async fn calls_go_on(world: &World) -> Outcome {
    let (name, hosts) = ("grpc", ["www.grpc.test", "api.grpc.test"]);
    let route = format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: app}}
spec:
  hosts: ['{}', '{}']
  gateways: [istio-system/{name}]
  http:
  - match: [{{uri: {{prefix: {GRPC_PATH}}}}}]
    route: [{{destination: {{host: web.app.svc.cluster.local, port: {{number: {GRPC_PORT}}}}}}}]
",
        hosts[0], hosts[1]
    );
    let gateway = gateway("istio-system", name, &[http(name, &hosts, ""), https(name, &hosts, name)]);
    world.apply(&[gateway, route, certificate("istio-system", name, &hosts[..1])].concat()).await?;
    world.ready("istio-system", name).await?;
    let first = world.served(hosts[0]).await?;
    let (stop, stopped) = watch::channel(false);
    let address = SocketAddr::from((world.cluster.gateway_address(), 443));
    let calls = tokio::spawn(calls(address, hosts[0], world.roots.clone(), stopped));

    world.apply(&certificate("istio-system", name, &hosts)).await?;
    world.served_anew(hosts[0], &first).await?;
    let second = world.served(hosts[0]).await?;
    let renew = "metadata: {annotations: {gatecert.dev/renew: now}, name:";
    let renewed = certificate("istio-system", name, &hosts).replacen("metadata: {name:", renew, 1);
    world.apply(&renewed).await?;
    world.served_anew(hosts[0], &second).await?;
    stop.send_replace(true);
    let calls = calls.await??;
    assert!(calls >= 10, "{calls} calls are too few to tell");
    Ok(())
}

async fn calls(
    address: SocketAddr,
    host: &str,
    roots: String,
    stopped: watch::Receiver<bool>,
) -> Result<usize, Box<dyn Error + Send + Sync>> {
    // The route is on its way when the certificate is served.
    let mut client = GrpcClient::connect(address, host, &roots).await?;
    while client.check().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut stream = client.watch().await?;
    stream.message().await?.ok_or("the call without end has ended")?;
    let mut calls = 0;
    let calling = async {
        while !*stopped.borrow() {
            client.check().await?;
            GrpcClient::connect(address, host, &roots).await?.check().await?;
            calls += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    tokio::select! {
        called = calling => called?,
        message = stream.message() => return Err(format!("the call without end has ended: {message:?}").into()),
    }
    Ok(calls)
}
