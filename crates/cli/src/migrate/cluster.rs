//! Objects from a cluster.

use crate::args::ClusterArguments;
use crate::cluster::connect;
use crate::error::Failure;
use crate::output::Output;
use gatecert_migrate::Document;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::discovery::{self, Scope};
use kube::error::DiscoveryError;
use kube::{Client, Error};

/// The groups that are looked into, and the kinds of each; the present group of cert-manager's goes before the one of 2018. What is not served is not there to be migrated.
const KINDS: [(&str, &[&str]); 4] = [
    ("cert-manager.io", &["ClusterIssuer", "Issuer", "Certificate"]),
    ("certmanager.k8s.io", &["ClusterIssuer", "Issuer", "Certificate"]),
    ("networking.k8s.io", &["Ingress"]),
    ("gateway.networking.k8s.io", &["Gateway", "ListenerSet"]),
];

/// How many objects are asked for at a time.
const PAGE: u32 = 500;

/// The most objects of a kind: at 4 KiB each, which is much, they are 200 MiB.
const MAX_OBJECTS: usize = 50_000;

/// What objects from there are said to be from.
const SOURCE: &str = "the cluster";

/// Reads all objects that matter, of one namespace or of all.
pub(super) async fn read(
    arguments: &ClusterArguments,
    is_all: bool,
    output: &Output,
) -> Result<Vec<Document>, Failure> {
    let client = connect(arguments).await?;
    let mut documents = Vec::new();
    for (group, kinds) in KINDS {
        let resources = match discovery::group(&client, group).await {
            Ok(group) => group.recommended_resources(),
            Err(Error::Discovery(DiscoveryError::MissingApiGroup(_))) => continue,
            Err(error) => return Err(failed(group, &error)),
        };
        for kind in kinds {
            let served = resources.iter().find(|(resource, _)| resource.kind == *kind);
            if let Some((resource, capabilities)) = served {
                let is_everywhere = is_all || capabilities.scope == Scope::Cluster;
                list(&client, resource, is_everywhere, &mut documents, output).await?;
            }
        }
    }
    // Services tell the numbers of ports that Ingresses name, and some were made for challenges.
    list(&client, &ApiResource::erase::<Service>(&()), is_all, &mut documents, output).await?;
    Ok(documents)
}

async fn list(
    client: &Client,
    resource: &ApiResource,
    is_everywhere: bool,
    documents: &mut Vec<Document>,
    output: &Output,
) -> Result<(), Failure> {
    let api: Api<DynamicObject> = match is_everywhere {
        true => Api::all_with(client.clone(), resource),
        false => Api::default_namespaced_with(client.clone(), resource),
    };
    let mut parameters = ListParams::default().limit(PAGE);
    let mut count = 0;
    loop {
        let page = api.list(&parameters).await.map_err(|error| failed(&resource.plural, &error))?;
        count += page.items.len();
        if count > MAX_OBJECTS {
            return Err(Failure::usage(format!("there are more than {MAX_OBJECTS} {}", resource.plural))
                .hint("read one namespace at a time, with -n"));
        }
        for mut object in page.items {
            // The items of a list do not say what they are.
            object.types =
                Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
            let value = serde_json::to_value(object).map_err(|error| Failure::local("cluster", &error))?;
            documents.push(Document::from_value(SOURCE, value));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => break,
        }
    }
    output.note(&format!("read {count} {}", resource.plural));
    Ok(())
}

fn failed(what: &str, error: &Error) -> Failure {
    let failure = Failure::local("cluster", error);
    let message = format!("{what} can not be read: {}", failure.message);
    Failure { message, ..failure }.hint("`kubectl auth can-i list` tells what this user may read")
}
