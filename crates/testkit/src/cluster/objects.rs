//! Objects from YAML, applied as the field manager `test`.

use crate::StartError;
use crate::tools::{self, Tool};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope};
use kube::{Client, Discovery, ResourceExt as _};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long definitions may take to be served.
const PATIENCE: Duration = Duration::from_secs(60);

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
    StartError::set_up("objects", source)
}

/// The documents of a YAML text.
pub(super) fn documents(yaml: &str) -> Result<Vec<DynamicObject>, StartError> {
    let documents: Vec<Option<DynamicObject>> = serde_saphyr::from_multiple(yaml).map_err(failed)?;
    Ok(documents.into_iter().flatten().collect())
}

/// Applies all documents of a YAML text, in their order.
///
/// # Errors
/// The first that the API server refuses.
pub async fn apply(client: &Client, yaml: &str) -> Result<Vec<DynamicObject>, StartError> {
    let mut applied = Vec::new();
    for object in documents(yaml)? {
        applied.push(apply_one(client, &object).await?);
    }
    Ok(applied)
}

/// Applies one object.
///
/// # Errors
/// The API server refuses it, or does not know its kind.
pub async fn apply_one(client: &Client, object: &DynamicObject) -> Result<DynamicObject, StartError> {
    apply_with(client, object, &parameters()).await
}

fn parameters() -> PatchParams {
    // A field that the schema does not have is an error.
    let field_validation = Some(ValidationDirective::Strict);
    PatchParams { field_validation, ..PatchParams::apply("test").force() }
}

async fn apply_with(
    client: &Client,
    object: &DynamicObject,
    parameters: &PatchParams,
) -> Result<DynamicObject, StartError> {
    let api = api_of(client, object).await?;
    api.patch(&object.name_any(), parameters, &Patch::Apply(object))
        .await
        .map_err(|error| failed(format!("{}: {error}", object.name_any())))
}

/// Asks whether all documents of a YAML text would be applied, to which the same holds as for [`apply`]; nothing is. How
/// many there are.
///
/// # Errors
/// The first that the API server would refuse.
pub async fn check(client: &Client, yaml: &str) -> Result<usize, StartError> {
    let objects = documents(yaml)?;
    for object in &objects {
        apply_with(client, object, &PatchParams { dry_run: true, ..parameters() }).await?;
    }
    Ok(objects.len())
}

/// Deletes all documents of a YAML text; what is not there is passed over.
///
/// # Errors
/// The first that the API server does not let go.
pub async fn delete(client: &Client, yaml: &str) -> Result<(), StartError> {
    for object in documents(yaml)? {
        match api_of(client, &object).await?.delete(&object.name_any(), &Default::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

async fn api_of(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>, StartError> {
    let types = object.types.as_ref().ok_or_else(|| failed("an object without kind"))?;
    let kind = GroupVersionKind::try_from(types).map_err(failed)?;
    let (resource, scope) = resource_of(client, &kind).await?;
    Ok(match (scope, object.namespace()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, namespace) => {
            Api::namespaced_with(client.clone(), namespace.as_deref().unwrap_or("default"), &resource)
        }
    })
}

async fn resource_of(client: &Client, kind: &GroupVersionKind) -> Result<(ApiResource, Scope), StartError> {
    // A kind that was defined a moment ago is served a moment later.
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            match kube::discovery::pinned_kind(client, kind).await {
                Ok((resource, capabilities)) => return (resource, capabilities.scope),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    found.await.map_err(|_| failed(format!("the API server does not serve {}", kind.kind)))
}

/// Installs Istio's and the Gateway API's definitions, and waits until they are served.
///
/// # Errors
/// They can not be had, or the API server does not take or serve them.
pub async fn install_definitions(client: &Client) -> Result<(), StartError> {
    let istiod = tools::ensure_async(Tool::Istiod).await?;
    let gateway_api = tools::ensure_async(Tool::GatewayApiCrds).await?;
    let istio = istiod.parent().unwrap_or_else(|| Path::new(".")).join("crd-all.gen.yaml");
    let mut texts = vec![fs::read_to_string(istio).map_err(failed)?];
    for entry in fs::read_dir(gateway_api).map_err(failed)? {
        texts.push(fs::read_to_string(entry.map_err(failed)?.path()).map_err(failed)?);
    }
    let mut objects = Vec::new();
    for text in &texts {
        objects.extend(documents(text)?);
    }
    objects
        .retain(|object| object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition"));
    futures::future::try_join_all(objects.iter().map(|object| apply_one(client, object))).await?;
    wait_established(client, objects.len()).await
}

async fn wait_established(client: &Client, count: usize) -> Result<(), StartError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = async {
        loop {
            let list = definitions.list(&Default::default()).await.map_err(failed)?;
            let ready = list.items.iter().filter(|definition| is_established(definition)).count();
            if ready >= count {
                return Ok::<(), StartError>(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, established).await.map_err(failed)??;
    // Served a moment later.
    let _ = Discovery::new(client.clone()).run().await.map_err(failed)?;
    Ok(())
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
}
