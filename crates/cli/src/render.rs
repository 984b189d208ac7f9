//! `gatecert render`

use crate::Exit;
use crate::args::{Install, Render};
use crate::error::Failure;
use crate::output::Output;
use gatecert_render::InstallOptions;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn run(command: &Render, output: &Output) -> Result<Exit, Failure> {
    let objects = match command {
        Render::Install(arguments) => gatecert_render::install(&options(arguments)),
        Render::Uninstall(arguments) => gatecert_render::uninstall(&options(arguments)),
    };
    let yaml = yaml(&objects)?;
    output.result(&json!({"apiVersion": "v1", "kind": "List", "items": objects}), || yaml);
    Ok(Exit::Done)
}

fn options(arguments: &Install) -> InstallOptions {
    InstallOptions {
        namespace: arguments.namespace.clone(),
        image: arguments.image.clone(),
        replicas: arguments.replicas,
        only_namespace: arguments.only_namespace.clone(),
        istio: !arguments.without_istio,
    }
}

/// The objects as documents of one YAML text.
fn yaml(objects: &[Value]) -> Result<String, Failure> {
    let mut text = String::new();
    for object in objects {
        let document = serde_saphyr::to_string(object).map_err(|error| Failure::local("render", &error))?;
        // Writing to a String does not fail.
        let _ = write!(text, "---\n{}\n", document.trim_end());
    }
    Ok(text)
}
