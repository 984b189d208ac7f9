//! The objects of an installation, and when each is needed: found by comparing installations with each other.

use super::{blank, kept};
use anyhow::{Context as _, Result, ensure};
use gatecert_render::{InstallOptions, definitions, install};
use serde_json::Value;

/// Where a Deployment has the resources of its container.
pub(super) const RESOURCES: &str = "/spec/template/spec/containers/0/resources";

/// Where it has the arguments.
const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";

/// One object with blanks.
#[derive(Clone, Debug)]
pub(super) struct Document {
    object: Value,
    when: When,
}

/// When an object is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// Where the namespace is to be made.
    NewNamespace,
    /// With Istio.
    Istio,
    /// Where the whole cluster is served.
    WholeCluster,
    /// Where one namespace is served.
    OneNamespace,
    /// Where that is not the controller's own.
    OtherNamespace,
}

impl When {
    fn condition(self) -> Option<String> {
        let is_other = format!("ne .Values.onlyNamespace ({})", blank::NAMESPACE_VALUE);
        match self {
            Self::Always => None,
            Self::NewNamespace => Some(format!("and .Values.createNamespace ({is_other})")),
            Self::Istio => Some(".Values.istio".to_owned()),
            Self::WholeCluster => Some("not .Values.onlyNamespace".to_owned()),
            Self::OneNamespace => Some(".Values.onlyNamespace".to_owned()),
            Self::OtherNamespace => Some(format!("and .Values.onlyNamespace ({is_other})")),
        }
    }
}

/// All objects but the definitions, in the order in which they are applied.
pub(super) fn documents() -> Vec<Document> {
    let blanks = InstallOptions {
        namespace: blank::NAMESPACE.to_owned(),
        image: blank::IMAGE.to_owned(),
        only_namespace: None,
        istio: true,
        ..InstallOptions::default()
    };
    let only =
        |namespace: &str| InstallOptions { only_namespace: Some(namespace.to_owned()), ..blanks.clone() };
    let whole = objects(&blanks);
    let one = objects(&only(blank::ONLY_NAMESPACE));
    let own = objects(&only(blank::NAMESPACE));
    let plain = objects(&InstallOptions { istio: false, ..blanks.clone() });
    let when = |object: &Value| match object {
        namespace if namespace["kind"] == "Namespace" => When::NewNamespace,
        object if !has(&one, object) => When::WholeCluster,
        object if !has(&own, object) => When::OtherNamespace,
        object if !has(&whole, object) => When::OneNamespace,
        object if !has(&plain, object) => When::Istio,
        _ => When::Always,
    };
    // The Deployment for one namespace has an argument more, which a template can leave out.
    let mut all = one.clone();
    let begin = all.iter().position(|object| !has(&whole, object)).unwrap_or(all.len());
    all.splice(begin..begin, whole.iter().filter(|object| !has(&one, object)).cloned());
    all.into_iter().map(|object| Document { when: when(&object), object: blanked(object) }).collect()
}

fn objects(options: &InstallOptions) -> Vec<Value> {
    install(options).split_off(definitions().len())
}

fn has(objects: &[Value], wanted: &Value) -> bool {
    let name = |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
    objects.iter().any(|object| name(object) == name(wanted))
}

/// With blanks for what is no text, which no option could bring in.
fn blanked(mut object: Value) -> Value {
    if object["kind"] == "Namespace" {
        // The keys of accounts are in it, as `gatecert render uninstall` knows too.
        return kept(object);
    }
    if object["kind"] == "Deployment" {
        object["spec"]["replicas"] = blank::REPLICAS.into();
        if let Some(resources) = object.pointer_mut(RESOURCES) {
            *resources = blank::RESOURCES.into();
        }
        if let Some(Value::Array(arguments)) = object.pointer_mut(ARGUMENTS) {
            arguments.push(blank::ARGUMENTS.into());
        }
    }
    object
}

impl Document {
    pub(super) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// Its part of a template.
    pub(super) fn template(&self) -> Result<String> {
        let yaml = serde_saphyr::to_string(&self.object).context("an object can not be written as YAML")?;
        ensure!(!yaml.contains("{{"), "an object has braces in it, which a chart has to quote");
        let lines: Vec<_> = yaml.lines().map(blank::template).collect();
        let text = format!("---\n{}\n", lines.join("\n"));
        Ok(match self.when.condition() {
            Some(condition) => format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"),
            None => text,
        })
    }
}
