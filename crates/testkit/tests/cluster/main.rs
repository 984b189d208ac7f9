//! The cluster that other crates are tested in: what it is expected to do, without gatecert.

use gatecert_testkit::cluster::{Application, Cluster, Network, apply, namespace};
use gatecert_testkit::https_client;
use libtest_mimic::{Arguments, Failed, Trial};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long a change may take to reach Envoy.
const PATIENCE: Duration = Duration::from_secs(20);

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*.example.test']
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct, namespace: istio-system}
spec:
  hosts: [www.example.test]
  gateways: [public]
  http:
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 200, body: {string: from envoy}}
  - route: [{destination: {host: web.app.svc.cluster.local, port: {number: 8000}}}]
";

fn main() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
    let arguments = Arguments::from_args();
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, Vec::new()).exit_code());
    }
    let network = Network::enter()?;
    let runtime = Arc::new(Runtime::new()?);
    let cluster = Arc::new(runtime.block_on(Cluster::start(network))?);
    let trial = {
        let (runtime, cluster) = (Arc::clone(&runtime), Arc::clone(&cluster));
        Trial::test("envoy_serves_what_istiod_is_told", move || {
            runtime.block_on(serves(&cluster)).map_err(|error| Failed::from(error.to_string()))
        })
    };
    Ok(libtest_mimic::run(&arguments, vec![trial]).exit_code())
}

async fn serves(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    apply(&cluster.client, &namespace("app")).await?;
    let _web =
        Application::start(&cluster.network, &cluster.client, "app", "web", Ipv4Addr::new(10, 99, 0, 4))
            .await?;
    apply(&cluster.client, GATEWAY).await?;
    let client = https_client("", &[])?;
    for (path, body) in [("/direct", "from envoy"), ("/", "web")] {
        let asked = async {
            loop {
                let url = format!("http://{}{path}", cluster.gateway_address());
                let answer = client.get(url).header("host", "www.example.test").send().await;
                if let Ok(answer) = answer
                    && answer.text().await.is_ok_and(|text| text == body)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await?;
    }
    Ok(())
}
