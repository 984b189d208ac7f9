//! Gateways and ListenerSets of the Gateway API, as far as their fields have to be known to tell a wrong one.

use crate::cert_manager::ParentReference;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A Gateway.
#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "most of it is there for the schema")]
pub(crate) struct GatewaySpec {
    gateway_class_name: String,
    pub(crate) listeners: Vec<Listener>,
    addresses: Option<Vec<Value>>,
    infrastructure: Option<Value>,
    allowed_listeners: Option<Value>,
    tls: Option<Value>,
    default_scope: Option<String>,
    backend_tls: Option<Value>,
}

/// More listeners of a Gateway.
#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "most of it is there for the schema")]
pub(crate) struct ListenerSetSpec {
    parent_ref: ParentReference,
    pub(crate) listeners: Vec<Listener>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "most of it is there for the schema")]
pub(crate) struct Listener {
    name: String,
    pub(crate) hostname: Option<String>,
    port: Option<u32>,
    protocol: String,
    pub(crate) tls: Option<ListenerTls>,
    allowed_routes: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "most of it is there for the schema")]
pub(crate) struct ListenerTls {
    mode: Option<String>,
    #[serde(default)]
    pub(crate) certificate_refs: Vec<ParentReference>,
    frontend_validation: Option<Value>,
    options: Option<Value>,
}
