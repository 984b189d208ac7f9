//! A cluster with Istio, as its administrator has it before gatecert comes: a Gateway `public` for two hosts, an application
//! behind it, and an address that is on the Internet. The controller runs as soon as its Deployment is there.

use super::page::{Block, Page, Scene};
use super::place::Place;
use super::shell::Shell;
use crate::controller::{self, RESPONDER, RESPONDER_PORT};
use anyhow::{Context as _, Result, bail, ensure};
use gatecert_api::ClusterIssuer;
use gatecert_testkit::cluster::{
    APPLICATION_PORT, Application, Cluster, GatewayOptions, Network, apply, base64, check, namespace,
};
use gatecert_testkit::{Pebble, Process, served_chain};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The address of the gateway: one that the doctor takes for a public one, in this network alone.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 3, 1);

/// Where the application is.
const APPLICATION: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 4);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// The first page, behind which certificates of the CA are served.
const FIRST: &str = "README.md";

/// Let's Encrypt's directory, as a published Secret names it.
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

pub(crate) async fn run(network: Network, programs: [PathBuf; 2], pages: &[Page]) -> Result<()> {
    let mut world = World::start(network, programs).await?;
    for page in pages {
        world.save_files(page)?;
        world.page(page, Scene::Cluster).await?;
        if page.name == FIRST {
            world.all_is_served().await.context("what README.md promises")?;
        }
    }
    // The last page uninstalls.
    ensure!(world.controller.is_none(), "the controller is there still");
    world.all_is_served().await.context("what docs/upgrade.md promises of gateways")?;
    for page in pages {
        world.page(page, Scene::Fresh).await?;
    }
    ensure!(world.controller.is_some(), "nothing has installed it anew");
    Ok(())
}

struct World {
    cluster: Cluster,
    shell: Shell,
    program: PathBuf,
    controller: Option<Process>,
    _place: Place,
    _application: Application,
}

impl World {
    async fn start(network: Network, [gatecert, program]: [PathBuf; 2]) -> Result<Self> {
        let options = GatewayOptions { address: GATEWAY, ..GatewayOptions::default() };
        let cluster = Cluster::start_with(network, &options, Pebble::builder().dns_port(53)).await?;
        network.add_address(RESPONDER)?;
        let place = Place::start(&network, &cluster.pebble).await?;
        let mut shell = place.shell(&gatecert).await?;
        let kubeconfig = shell.folder().with_file_name("kubeconfig");
        fs::write(&kubeconfig, contexts(&cluster.server.kubeconfig()))?;
        shell.set("KUBECONFIG", kubeconfig);
        for name in ["shop", "argocd"] {
            apply(&cluster.client, &namespace(name)).await?;
        }
        let application = Application::start(&network, &cluster.client, "shop", "web", APPLICATION).await?;
        apply(&cluster.client, &presumed()).await?;
        apply(&cluster.client, &trust(&place.ca_pem())).await?;
        Ok(Self { cluster, shell, program, controller: None, _place: place, _application: application })
    }

    /// What the reader is told to save.
    fn save_files(&self, page: &Page) -> Result<()> {
        for block in page.blocks_of(Scene::Cluster) {
            let Some(file) = &block.file else { continue };
            let path = self.shell.folder().join(file);
            fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            fs::write(path, &block.text)?;
        }
        Ok(())
    }

    async fn page(&mut self, page: &Page, scene: Scene) -> Result<()> {
        for block in page.blocks_of(scene) {
            let tried = self.block(block).await;
            tried.with_context(|| format!("{}\n{}", self.log(), page.place(block.line)))?;
        }
        Ok(())
    }

    async fn block(&mut self, block: &Block) -> Result<()> {
        match block.language.as_str() {
            "console" => {
                for command in block.commands()? {
                    self.shell.run(&command).await.with_context(|| format!("line {}", command.line))?;
                    self.play_the_kubelet().await?;
                }
            }
            // A command applies it, or reads it.
            "yaml" if block.file.is_some() => {}
            "yaml" => ensure!(check(&self.cluster.client, &block.text).await? > 0, "no object"),
            other => bail!("nothing here takes `{other}`"),
        }
        Ok(())
    }

    /// No kubelet runs: the controller is a process while its Deployment is there, with the rights of its ServiceAccount.
    async fn play_the_kubelet(&mut self) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.cluster.client.clone(), "gatecert-system");
        let Some(deployment) = deployments.get_opt("gatecert").await? else {
            self.controller = None;
            return Ok(());
        };
        if self.controller.is_none() {
            self.issuers_trust_the_ca().await?;
            apply(&self.cluster.client, &endpoint()).await?;
            let filter = "info,gatecert_controller=debug";
            self.controller = Some(controller::start(&self.cluster.server, &self.program, filter).await?);
        }
        let replicas = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let status = json!({"status": {
            "observedGeneration": deployment.metadata.generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        }});
        deployments.patch_status("gatecert", &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// A policy of admission is heeded a moment after it was applied.
    async fn issuers_trust_the_ca(&self) -> Result<()> {
        let issuers: Api<ClusterIssuer> = Api::all(self.cluster.client.clone());
        let spec = serde_json::from_value(json!({"acme": {"server": "letsencrypt"}}))?;
        let issuer = ClusterIssuer::new("anyone", spec);
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let heeded = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Ok(made) = issuers.create(&dry_run, &issuer).await
                    && made.spec.acme.ca_bundle.is_some()
                {
                    return;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        heeded.await.context("the API server does not heed the policy")
    }

    /// Envoy serves both hosts with what Let's Encrypt, as it stands here, has issued; not its staging directory.
    async fn all_is_served(&self) -> Result<()> {
        let roots = self.cluster.pebble.root_pem(0).await?;
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), "istio-system");
        let address = SocketAddr::from((GATEWAY, 443));
        let served = tokio::time::timeout(PATIENCE, async {
            loop {
                let secret = secrets.get_opt("public-tls").await.ok().flatten().unwrap_or_default();
                let annotations = secret.metadata.annotations.unwrap_or_default();
                let mut is_served = annotations.values().any(|value| value == PRODUCTION);
                for host in ["www.example.com", "example.com"] {
                    is_served &= served_chain(address, host, &roots).await.is_ok();
                }
                if is_served {
                    return;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        served.await.with_context(|| format!("Envoy does not serve both hosts\n{}", self.log()))
    }

    /// What the controller logged, for errors.
    fn log(&self) -> String {
        self.controller.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// The kubeconfig of the administrator, with a second context, `prod`, for the same cluster.
fn contexts(kubeconfig: &str) -> String {
    let one = "{name: test, context: {cluster: test, user: user}}";
    kubeconfig.replace(one, &format!("{one}, {{name: prod, context: {{cluster: test, user: user}}}}"))
}

/// What is there before gatecert, and a Secret that cert-manager wrote.
fn presumed() -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: public, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 80, name: http, protocol: HTTP}}
    hosts: [www.example.com, example.com]
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: [www.example.com, example.com]
    tls: {{mode: SIMPLE, credentialName: public-tls}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: public, namespace: shop}}
spec:
  hosts: [www.example.com, example.com]
  gateways: [istio-system/public]
  http:
  - route: [{{destination: {{host: web.shop.svc.cluster.local, port: {{number: {APPLICATION_PORT}}}}}}}]
---
apiVersion: v1
kind: Secret
metadata:
  name: www-tls
  namespace: shop
  ownerReferences: [{{apiVersion: cert-manager.io/v1, kind: Certificate, name: www, uid: 0e4b}}]
"
    )
}

/// Every issuer trusts this root, as by its own `caBundle`: the documents' are those of Let's Encrypt, which the public roots
/// are for.
fn trust(root: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: issuers-trust-the-ca}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - apiGroups: [gatecert.dev]
      apiVersions: [v1]
      operations: [CREATE, UPDATE]
      resources: [issuers, clusterissuers]
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: '[JSONPatch{{op: \"add\", path: \"/spec/acme/caBundle\", value: \"{}\"}}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: issuers-trust-the-ca}}
spec: {{policyName: issuers-trust-the-ca}}
",
        base64(root)
    )
}

/// No controller of endpoints runs either.
fn endpoint() -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: gatecert-responder-1
  namespace: gatecert-system
  labels: {{kubernetes.io/service-name: gatecert-responder}}
addressType: IPv4
ports: [{{name: http, port: {RESPONDER_PORT}, protocol: TCP}}]
endpoints: [{{addresses: [\"{RESPONDER}\"], conditions: {{ready: true}}}}]
"
    )
}
