//! From cert-manager's objects to gatecert's, on a cluster.

use crate::harness::World;
use crate::manifest::{certificate_with, gateway, http};
use crate::proxy::PortProxy;
use crate::{Outcome, account as issuer_account};
use gatecert_acme::AccountKey;
use gatecert_migrate::{Document, Migration, NoteKind, Options, Target, migrate};
use gatecert_testkit::cluster::{check, service};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt as _};
use std::fs;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// A namespace, a Certificate and the Secret of it, which cert-manager wrote.
const NAME: &str = "migrated";

fn secrets(world: &World, namespace: &str) -> Api<Secret> {
    Api::namespaced(world.cluster.client.clone(), namespace)
}

fn migrated(text: &str, to: Target) -> Result<Migration, Box<dyn std::error::Error + Send + Sync>> {
    let migration = migrate(&Document::read("input.yaml", text)?, &Options { to, ..Options::default() });
    assert!(migration.errors.is_empty() && migration.is_complete(), "{migration:?}");
    Ok(migration)
}

/// The definitions have every field of every golden, and nothing in one is refused.
pub(crate) async fn the_api_server_takes_every_golden(world: &World) -> Outcome {
    world.namespaces(&["shop", "blog", "git"]).await?;
    let mut objects = 0;
    for folder in fs::read_dir(format!("{FIXTURES}/migrate"))? {
        let folder = folder?.path();
        for name in ["expected.yaml", "expected-gateway-api.yaml"] {
            let path = folder.join(name);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let checked = check(&world.cluster.client, &text).await;
            objects +=
                checked.map_err(|error| format!("{}: {}", path.display(), crate::harness::chain(&error)))?;
        }
    }
    assert!(objects >= 50, "{objects} objects are too few to be all");
    eprintln!("{objects} migrated objects are taken by the API server");
    Ok(())
}

/// The account's key and the certificate stay what they were: the CA is asked for no order.
pub(crate) async fn nothing_is_issued_anew(world: &World) -> Outcome {
    let host = "www.migrated.test";
    let theirs = written_by_cert_manager(world, host).await?;
    let account = account_of_cert_manager(world).await?;
    let text = format!(
        "
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {{name: {NAME}}}
spec:
  acme:
    server: {}
    email: ops@example.com
    caBundle: {}
    privateKeySecretRef: {{name: {NAME}-account}}
    solvers: [{{http01: {{ingress: {{ingressClassName: istio}}}}}}]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: {NAME}, namespace: istio-system}}
spec:
  secretName: {NAME}
  commonName: {host}
  dnsNames: [{host}]
  issuerRef: {{name: {NAME}, kind: ClusterIssuer, group: cert-manager.io}}
",
        world.cluster.pebble.directory_url(),
        world.bundle(),
    );
    let migration = migrated(&text, Target::Istio)?;
    let adopt = format!("kubectl -n istio-system annotate secret {NAME} gatecert.dev/adopt=true");
    replicas_of_cert_manager(world, "cert-manager").await?;
    let run = run_all(world, &migration, NoteKind::Before).await?;
    assert!(run.contains(&adopt), "{run:?}");
    assert_eq!(run.len(), 3, "cert-manager stops, the account's key, and consent: {run:?}");
    world.apply(&migration.to_yaml()?).await?;

    let status = world.ready("istio-system", NAME).await?.status.unwrap_or_default();
    assert_eq!(status.revision, None, "it was issued anew");
    assert!(status.recent_orders.is_empty(), "{:?}", status.recent_orders);
    let ours = secrets(world, "istio-system").get(NAME).await?;
    assert_eq!(ours.data, theirs.data);
    let labels = ours.metadata.labels.unwrap_or_default();
    assert_eq!(labels.get("app.kubernetes.io/managed-by").map(String::as_str), Some("gatecert"));
    let registered = issuer_account::until(world, NAME, |_| true).await?;
    assert_eq!(registered.thumbprint, account.thumbprint(), "another account");
    Ok(())
}

/// Runs what is to be run before or after the migration, as it is printed; gatecert itself is installed already.
async fn run_all(
    world: &World,
    migration: &Migration,
    kind: NoteKind,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let commands = migration.notes.iter().filter(|note| note.kind == kind);
    let commands = commands.filter_map(|note| note.command.clone());
    let commands: Vec<_> =
        commands.filter(|command| !command.starts_with("gatecert render install")).collect();
    for command in &commands {
        world.cluster.server.as_printed(command).await?;
    }
    Ok(commands)
}

/// cert-manager in this namespace, as far as it is stopped and started; how many replicas it is to have.
async fn replicas_of_cert_manager(
    world: &World,
    namespace: &str,
) -> Result<Option<i32>, Box<dyn std::error::Error + Send + Sync>> {
    let deployments: Api<Deployment> = Api::namespaced(world.cluster.client.clone(), namespace);
    if deployments.get_opt("cert-manager").await?.is_none() {
        world.namespaces(&[namespace]).await?;
        let deployment = format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: cert-manager, namespace: {namespace}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: cert-manager}}}}
  template: {{metadata: {{labels: {{app: cert-manager}}}}, spec: {{containers: [{{name: a, image: none}}]}}}}
"
        );
        world.apply(&deployment).await?;
    }
    let deployment = deployments.get("cert-manager").await?;
    Ok(deployment.spec.and_then(|spec| spec.replicas))
}

/// The Secret of an annotated Ingress is given to the gateway as it is, and all that is printed works, one behind the other.
pub(crate) async fn what_is_printed_for_ingresses_works(world: &World) -> Outcome {
    let (namespace, name) = ("copied", "copied-tls");
    world.namespaces(&[namespace]).await?;
    let served = rcgen::generate_simple_self_signed(["www.copied.test".to_owned()])?;
    let data = [("tls.crt", served.cert.pem()), ("tls.key", served.signing_key.serialize_pem())];
    let theirs = Secret {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data.map(|(key, pem)| (key.to_owned(), ByteString(pem.into()))).into()),
        ..Secret::default()
    };
    secrets(world, namespace).create(&Default::default(), &theirs).await?;
    let ingress = |ingress: &str, class: &str, secret: &str| {
        format!(
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {ingress}
  namespace: {namespace}
  annotations: {{cert-manager.io/cluster-issuer: {NAME}, cert-manager.io/duration: 24h}}
spec:
  ingressClassName: {class}
  tls: [{{hosts: [{ingress}.copied.test], secretName: {secret}}}]
  rules:
  - host: {ingress}.copied.test
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
"
        )
    };
    let text = ingress("other", "none", "other-tls") + &ingress("www", "istio", name);
    world.apply(&text).await?;
    let other = Secret {
        metadata: ObjectMeta { name: Some("other-tls".into()), ..ObjectMeta::default() },
        ..theirs.clone()
    };
    secrets(world, namespace).create(&Default::default(), &other).await?;
    let cert_manager = "cert-manager-of-copied";
    replicas_of_cert_manager(world, cert_manager).await?;
    let documents = Document::read("input.yaml", &text)?;
    let options = Options { cert_manager_namespace: cert_manager.to_owned(), ..Options::default() };
    let migration = migrate(&documents, &options);
    run_all(world, &migration, NoteKind::Before).await?;
    assert_eq!(replicas_of_cert_manager(world, cert_manager).await?, Some(0));
    let copied = secrets(world, "istio-system").get(name).await?;
    assert_eq!(copied.data, theirs.data);
    assert_eq!(copied.type_, theirs.type_);
    assert_eq!(copied.annotations().get("gatecert.dev/adopt").map(String::as_str), Some("true"));
    run_all(world, &migration, NoteKind::After).await?;
    let ingresses: Api<Ingress> = Api::namespaced(world.cluster.client.clone(), namespace);
    assert!(ingresses.get_opt("www").await?.is_none(), "it is there still");
    let other = ingresses.get("other").await?;
    assert!(!other.annotations().keys().any(|key| key.starts_with("cert-manager.io/")), "{other:?}");
    ingresses.delete("other", &Default::default()).await?;
    Ok(())
}

/// A Secret with an RSA certificate, as cert-manager writes it when nobody says which key.
async fn written_by_cert_manager(
    world: &World,
    host: &str,
) -> Result<Secret, Box<dyn std::error::Error + Send + Sync>> {
    let before = "before-migration";
    let wanted = certificate_with("istio-system", before, &[host], ", privateKey: {algorithm: RSA}");
    world.apply(&[gateway("istio-system", NAME, &[http(NAME, &[host], "")]), wanted].concat()).await?;
    world.ready("istio-system", before).await?;
    let mut theirs = secrets(world, "istio-system").get(before).await?;
    let annotations = [
        ("cert-manager.io/certificate-name", NAME),
        ("cert-manager.io/alt-names", host),
        ("cert-manager.io/issuer-name", NAME),
        ("cert-manager.io/issuer-kind", "ClusterIssuer"),
    ];
    theirs.metadata = ObjectMeta {
        name: Some(NAME.into()),
        annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..ObjectMeta::default()
    };
    secrets(world, "istio-system").create(&Default::default(), &theirs).await?;
    Ok(theirs)
}

/// The Secret of cert-manager's account, beside cert-manager.
async fn account_of_cert_manager(
    world: &World,
) -> Result<AccountKey, Box<dyn std::error::Error + Send + Sync>> {
    let text = fs::read_to_string(format!("{FIXTURES}/import/cert-manager/secret.json"))?;
    let mut secret: Secret = serde_json::from_str(&text)?;
    secret.metadata = ObjectMeta { name: Some(format!("{NAME}-account")), ..ObjectMeta::default() };
    world.namespaces(&["cert-manager"]).await?;
    let created = secrets(world, "cert-manager").create(&Default::default(), &secret).await?;
    let pem = created.data.unwrap_or_default().remove("tls.key").ok_or("no key")?;
    Ok(AccountKey::from_pem(&String::from_utf8(pem.0)?)?)
}

/// The pairs of Ingresses of 2018 serve as before, by Istio's objects.
pub(crate) async fn pairs_become_istio_gateways(world: &World) -> Outcome {
    pairs(world, "pairs-istio", Target::Istio).await
}

/// The same by those of the Gateway API.
pub(crate) async fn pairs_become_gateways(world: &World) -> Outcome {
    pairs(world, "pairs-gateway-api", Target::GatewayApi).await
}

async fn pairs(world: &World, namespace: &str, to: Target) -> Outcome {
    let (www, pay) = (format!("www.{namespace}.test"), format!("pay.{namespace}.test"));
    world.namespaces(&[namespace]).await?;
    world.apply(&service(namespace, "old", crate::harness::APPLICATION, 8000)).await?;
    let text = [
        ingress(namespace, "www-https", &www, true, "\"false\""),
        ingress(namespace, "www-http", &www, false, "\"true\""),
        ingress(namespace, "pay", &pay, true, "\"false\""),
    ];
    // Pebble's redirects keep the port, unlike Let's Encrypt's.
    let proxy = match to {
        Target::Istio => Some(PortProxy::start(world, "10.99.0.71".parse()?).await?),
        Target::GatewayApi => None,
    };
    for host in [&www, &pay] {
        if let Some(proxy) = &proxy {
            world.cluster.pebble.challtestsrv().add_a(host, &[proxy.address().into()]).await?;
        }
    }
    let manifests = migrated(&text.concat(), to)?.to_yaml()?;
    world.apply(&manifests).await?;
    world.served(&www).await?;
    world.served(&pay).await?;
    world.answers(&www, "/x", 200).await?;
    world.answers(&pay, "/x", 301).await?;
    gatecert_testkit::cluster::delete(&world.cluster.client, &manifests).await?;
    Ok(())
}

/// An Ingress of 2018, which asks cert-manager for a certificate where it has one.
fn ingress(namespace: &str, name: &str, host: &str, is_tls: bool, allow_http: &str) -> String {
    let (issuer, tls) = match is_tls {
        true => (
            "\n    certmanager.k8s.io/cluster-issuer: pebble",
            format!("\n  tls: [{{hosts: [{host}], secretName: {namespace}-certs}}]"),
        ),
        false => ("", String::new()),
    };
    format!(
        "---
apiVersion: extensions/v1beta1
kind: Ingress
metadata:
  name: {name}
  namespace: {namespace}
  annotations:
    kubernetes.io/ingress.class: istio
    kubernetes.io/ingress.allow-http: {allow_http}{issuer}
spec:{tls}
  rules:
  - host: {host}
    http: {{paths: [{{path: /.*, backend: {{serviceName: old, servicePort: 8000}}}}]}}
"
    )
}
