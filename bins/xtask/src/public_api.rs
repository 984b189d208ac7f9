//! What a crate's public API has of other crates: their types and traits are part of its promise, and a change of version
//! there is one here. So each crate lists them, and an entry without its use is as wrong as a use without its entry.

use crate::cargo::{cargo, target};
use crate::manifest::{Package, packages};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Where a manifest has the list; the name is that of cargo-check-external-types, which needs a nightly toolchain.
const ALLOWED: &str = "/cargo_check_external_types/allowed_external_types";

/// The crates of the language itself.
const LANGUAGE: [&str; 3] = ["alloc", "core", "std"];

/// Crates that others show under their own name.
const FACADES: [(&str, &str); 5] = [
    ("clap_builder", "clap"),
    ("kube_client", "kube"),
    ("kube_core", "kube"),
    ("serde_core", "serde"),
    ("tower_service", "tower"),
];

/// How the sentence of a README begins that names the crates.
const SENTENCE: &str = "Of other crates the API has ";

/// The version of rustdoc's JSON that is read here.
const FORMAT: u64 = 57;

pub(crate) fn check() -> Result<()> {
    document()?;
    let mut wrong = Vec::new();
    for package in packages()?.iter().filter(|package| package.is_published() && package.is_library()) {
        let file = target()?.join("doc").join(package.name.replace('-', "_") + ".json");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let foreign = foreign(&serde_json::from_str(&text)?).with_context(|| package.name.clone())?;
        wrong.extend(compare(package, &foreign));
        wrong.extend(untold(package)?);
    }
    if wrong.is_empty() {
        println!("public APIs have of other crates what their manifests allow");
        return Ok(());
    }
    bail!("public APIs:\n{}", wrong.join("\n"))
}

/// Has rustdoc write its JSON, which the stable one does where it is told to be another one: rustdoc alone, since what is
/// built by the compiler would be built anew.
fn document() -> Result<()> {
    let rustdoc = target()?.join("rustdoc-json");
    fs::write(&rustdoc, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755))?;
    let rustdoc = rustdoc.to_str().context("the path of the target folder")?;
    let flags = "-Z unstable-options --output-format json --cap-lints allow";
    // With the features of all, as the other tasks: nothing but the documentation is built for it.
    cargo(
        &["doc", "--quiet", "-j2", "--workspace", "--no-deps", "--all-features", "--lib"],
        &[("RUSTDOC", rustdoc), ("RUSTDOCFLAGS", flags)],
    )
}

/// The paths of others that public items name, each with a place where one does.
fn foreign(doc: &Value) -> Result<BTreeMap<String, String>> {
    ensure!(doc["format_version"] == FORMAT, "rustdoc's JSON is of version {}", doc["format_version"]);
    let index = doc["index"].as_object().context("rustdoc's JSON has no index")?;
    let methods = methods_of_traits(index);
    let mut foreign = BTreeMap::new();
    for (id, item) in
        index.iter().filter(|(id, item)| item["crate_id"] == 0 && !methods.contains(id.as_str()))
    {
        // What the compiler adds by itself, or another crate for all types.
        let implementation = &item["inner"]["impl"];
        if implementation["is_synthetic"] == true || !implementation["blanket_impl"].is_null() {
            continue;
        }
        let place = || {
            let span = &item["span"];
            let line = span["begin"][0].as_u64().unwrap_or_default();
            format!("{}:{line}", span["filename"].as_str().unwrap_or(id))
        };
        named(&item["inner"], &mut |id| {
            if let Some(path) = path(doc, id) {
                foreign.entry(path).or_insert_with(place);
            }
        });
    }
    Ok(foreign)
}

/// What a trait asks for is that trait's matter: its functions name what is its own.
fn methods_of_traits(index: &Map<String, Value>) -> BTreeSet<String> {
    let implementations = index.values().map(|item| &item["inner"]["impl"]);
    let of_traits = implementations.filter(|implementation| !implementation["trait"].is_null());
    let items = of_traits.filter_map(|implementation| implementation["items"].as_array()).flatten();
    let is_type = |id: &String| index.get(id).is_some_and(|item| item["inner"].get("assoc_type").is_some());
    items.map(Value::to_string).filter(|id| !is_type(id)).collect()
}

/// Calls with the id of every path in a part of an item: types, traits, what is exported again.
fn named(part: &Value, found: &mut impl FnMut(&Value)) {
    match part {
        Value::Object(members) => {
            let is_path = members.contains_key("path") || members.contains_key("source");
            if let Some(id) = members.get("id").filter(|_| is_path) {
                found(id);
            }
            members.values().for_each(|member| named(member, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| named(part, found)),
        _ => {}
    }
}

/// Where an item of another crate is defined, unless that is a crate of the language.
fn path(doc: &Value, id: &Value) -> Option<String> {
    let item = &doc["paths"][id.to_string()];
    let of = item["crate_id"].as_u64().filter(|of| *of != 0)?;
    let name = doc["external_crates"][of.to_string()]["name"].as_str()?;
    let segments: Vec<_> = item["path"].as_array()?.iter().filter_map(Value::as_str).collect();
    (!LANGUAGE.contains(&name)).then(|| segments.join("::"))
}

fn compare(package: &Package, foreign: &BTreeMap<String, String>) -> Vec<String> {
    let allowed = package.words(ALLOWED);
    let is_allowed = |pattern: &str, path: &str| match pattern.strip_suffix('*') {
        Some(begin) => path.starts_with(begin),
        None => path == pattern,
    };
    let leaks = foreign.iter().filter(|(path, _)| !allowed.iter().any(|pattern| is_allowed(pattern, path)));
    let leaks = leaks.map(|(path, place)| format!("{}: `{path}` is not allowed, {place}", package.name));
    let unused = allowed.iter().filter(|pattern| !foreign.keys().any(|path| is_allowed(pattern, path)));
    let unused = unused.map(|pattern| format!("{}: `{pattern}` is allowed and not used", package.name));
    leaks.chain(unused).collect()
}

/// The crates that its list has and the README does not name.
fn untold(package: &Package) -> Result<Vec<String>> {
    let readme = fs::read_to_string(package.folder().join("README.md"))?;
    let sentence =
        readme.split(SENTENCE).nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let crates = package.words(ALLOWED).into_iter().filter_map(|path| path.split("::").next());
    let crates =
        crates.map(|name| FACADES.iter().find(|(inner, _)| *inner == name).map_or(name, |(_, name)| name));
    let is_told =
        |name: &str| [format!("`{name}`"), format!("`{name}::")].iter().any(|told| sentence.contains(told));
    let untold = crates.filter(|name| !is_told(name)).collect::<BTreeSet<_>>().into_iter();
    Ok(untold
        .map(|name| format!("{}: `{name}` is not in its README's `{SENTENCE}…`", package.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    const OTHER: &str = "pub struct Field; pub struct Private; pub struct Bound<T>(T); pub struct Error; pub struct Made;
        pub struct Asked; pub trait Trait { type Item; fn ask(_: Asked) -> Self::Item; } pub trait All {} impl<T> All for T {}
        pub mod deep { pub struct Again; }";

    const OURS: &str = "extern crate other;
        pub struct Ours { pub field: Vec<other::Field>, private: other::Private }
        impl Ours { pub fn bound(&self, _: impl Fn(&dyn Iterator<Item = other::Bound<u8>>)) {} }
        impl From<other::Error> for Ours { fn from(_: other::Error) -> Self { todo!() } }
        impl other::Trait for Ours { type Item = other::Made; fn ask(_: other::Asked) -> other::Made { todo!() } }
        mod inside { pub struct Hidden(pub other::Private); }
        pub use other::deep::Again as Anew;";

    /// What rustdoc says of a crate that uses another one.
    fn documented() -> Value {
        let folder = tempfile::TempDir::new().unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(["--edition", "2024", "--cap-lints", "allow"]).args(arguments);
            let output = command.current_dir(folder.path()).env("RUSTC_BOOTSTRAP", "1").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("other.rs", OTHER);
        write("ours.rs", OURS);
        run("rustc", &["--crate-type", "lib", "--emit", "metadata", "other.rs"]);
        let json = ["-Z", "unstable-options", "--output-format", "json", "--out-dir", "."];
        run("rustdoc", &[&["--extern", "other=libother.rmeta", "ours.rs"], &json[..]].concat());
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        serde_json::from_str(&read(&folder.path().join("ours.json"))).unwrap()
    }

    #[test]
    fn what_is_public_names_others() {
        let foreign = foreign(&documented()).unwrap();
        let paths: Vec<_> = foreign.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "other::Bound",
                "other::Error",
                "other::Field",
                "other::Made",
                "other::Trait",
                "other::deep::Again"
            ]
        );
        assert_eq!(foreign["other::Field"], "ours.rs:2");
    }

    #[test]
    fn another_format_is_no_empty_answer() {
        let mut doc = documented();
        doc["format_version"] = (FORMAT + 1).into();
        foreign(&doc).unwrap_err();
    }
}
