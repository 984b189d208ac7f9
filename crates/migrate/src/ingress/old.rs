//! Ingresses before `networking.k8s.io/v1`, read as that.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OldIngressSpec {
    backend: Option<OldBackend>,
    ingress_class_name: Option<String>,
    rules: Option<Vec<OldRule>>,
    tls: Option<Vec<IngressTLS>>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
struct OldBackend {
    service_name: String,
    service_port: IntOrString,
    #[allow(dead_code, reason = "there for the schema")]
    resource: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
struct OldRule {
    host: Option<String>,
    http: Option<OldRuleValue>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
struct OldRuleValue {
    paths: Vec<OldPath>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
struct OldPath {
    path: Option<String>,
    path_type: Option<String>,
    backend: OldBackend,
}

impl From<OldIngressSpec> for IngressSpec {
    fn from(old: OldIngressSpec) -> Self {
        let rules = old.rules.map(|rules| rules.into_iter().map(IngressRule::from).collect());
        Self {
            default_backend: old.backend.map(IngressBackend::from),
            ingress_class_name: old.ingress_class_name,
            rules,
            tls: old.tls,
        }
    }
}

impl From<OldRule> for IngressRule {
    fn from(old: OldRule) -> Self {
        let paths = |http: OldRuleValue| HTTPIngressRuleValue {
            paths: http.paths.into_iter().map(HTTPIngressPath::from).collect(),
        };
        Self { host: old.host, http: old.http.map(paths) }
    }
}

impl From<OldPath> for HTTPIngressPath {
    fn from(old: OldPath) -> Self {
        Self {
            path: old.path,
            // What there was before there were types, and what the API server makes of none.
            path_type: old.path_type.unwrap_or_else(|| "ImplementationSpecific".to_owned()),
            backend: old.backend.into(),
        }
    }
}

impl From<OldBackend> for IngressBackend {
    fn from(old: OldBackend) -> Self {
        let port = match old.service_port {
            IntOrString::Int(number) => ServiceBackendPort { number: Some(number), name: None },
            IntOrString::String(name) => match name.parse() {
                Ok(number) => ServiceBackendPort { number: Some(number), name: None },
                Err(_) => ServiceBackendPort { number: None, name: Some(name) },
            },
        };
        let service = IngressServiceBackend { name: old.service_name, port: Some(port) };
        Self { service: Some(service), resource: None }
    }
}
