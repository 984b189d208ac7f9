//! Which policies may deny a challenge at a gateway: they are asked before any route.

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, ResourceExt as _};
use std::collections::BTreeSet;

/// The most policies that a message names.
const MOST: usize = 5;

/// The policies of these namespaces, as messages name them. Only asked for when a gateway has denied a request; one
/// that can not be read is not named.
pub(crate) async fn of_namespaces(client: &Client, namespaces: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["AuthorizationPolicy", "RequestAuthentication"] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("security.istio.io", "v1", kind));
        for namespace in namespaces {
            let policies: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            let list = policies.list(&ListParams::default().limit(MOST as u32)).await;
            let items = list.map(|list| list.items).unwrap_or_default();
            found.extend(items.iter().map(|policy| format!("{kind} {namespace}/{}", policy.name_any())));
        }
    }
    found.truncate(MOST);
    found
}
