//! `gatecert render`

mod certificate;
mod installation;
mod issuer;

use crate::Exit;
use crate::args::Render;
use crate::error::Failure;
use crate::output::Output;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn run(command: &Render, output: &Output) -> Result<Exit, Failure> {
    let (objects, notes) = match command {
        Render::Install(arguments) => (installation::install(arguments), String::new()),
        Render::Uninstall(arguments) => (installation::uninstall(arguments), installation::left(arguments)),
        Render::Crds(_) => (gatecert_render::definitions(), String::new()),
        Render::Issuer(arguments) => (vec![issuer::issuer(arguments)?], String::new()),
        Render::Certificate(arguments) => (certificate::certificate(arguments)?, String::new()),
    };
    let yaml = yaml(&objects)? + &notes;
    output.result(&json!({"apiVersion": "v1", "kind": "List", "items": objects}), || yaml)?;
    Ok(Exit::Done)
}

/// An object as plain data.
fn value(object: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(object).map_err(|error| Failure::local("render", &error))
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
