//! The crates as others get them: packed as for a registry, unpacked, and built from that alone.

use crate::cargo::{cargo, target, workspace};
use crate::guides;
use crate::manifest::{Package, packages};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::{Table, Value};

/// Where a manifest says with which features its documentation is built elsewhere. A library for Kubernetes chooses no
/// version of its API, so that something has to.
const FEATURES: &str = "/docs/rs/features";

/// What a registry takes of each list.
const MOST_WORDS: usize = 5;

pub(crate) fn check() -> Result<()> {
    let packages: Vec<_> = packages()?;
    let (published, others): (Vec<_>, Vec<_>) = packages.iter().partition(|package| package.is_published());
    for package in &published {
        complete(package).with_context(|| package.name.clone())?;
    }
    pack(&others)?;
    let folder = target()?.join("packaged");
    unpack(&published, &folder)?;
    let readers = guides::ALL.map(|guide| reader(guide, &folder));
    let readers = readers.into_iter().collect::<Result<Vec<_>>>()?;
    write(&folder.join("Cargo.toml"), &workspace_of(&published)?)?;
    // The versions of the dependencies that everything else is built with.
    fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    build(&published, &readers, &folder)
}

/// What a registry or its readers ask for. Cargo itself only warns of it.
fn complete(package: &Package) -> Result<()> {
    for (field, value) in [
        ("description", &package.description),
        ("license", &package.license),
        ("repository", &package.repository),
        ("readme", &package.readme),
    ] {
        ensure!(value.as_ref().is_some_and(|value| !value.is_empty()), "the manifest has no {field}");
    }
    for (field, words) in [("keywords", &package.keywords), ("categories", &package.categories)] {
        ensure!((1..=MOST_WORDS).contains(&words.len()), "{} {field}, not 1 to {MOST_WORDS}", words.len());
    }
    feature_table(package)
}

/// The README has a row for each feature, which begins with its name and says whether it is a default.
fn feature_table(package: &Package) -> Result<()> {
    let readme = fs::read_to_string(package.folder().join("README.md"))?;
    let defaults = package.features.get("default").map_or(&[][..], Vec::as_slice);
    let declared = package.features.keys().filter(|feature| *feature != "default");
    let declared: BTreeSet<_> =
        declared.map(|feature| (feature.as_str(), defaults.contains(feature))).collect();
    let table = readme.lines().skip_while(|line| !line.starts_with("| feature | default |")).skip(2);
    let told: BTreeSet<_> = table
        .map_while(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(feature, rest)| (feature, rest.starts_with("yes |")))
        .collect();
    ensure!(told == declared, "its README tells of the features {told:?}, its manifest has {declared:?}");
    Ok(())
}

/// Packs all that are published, in one go, so that each finds the others. Offline: the registry would be asked anew for each of
/// them, though all versions are those of Cargo.lock.
fn pack(others: &[&Package]) -> Result<()> {
    let excluded = others.iter().flat_map(|package| ["--exclude", package.name.as_str()]);
    let package = ["package", "--quiet", "--workspace", "--no-verify", "--allow-dirty", "--offline"];
    cargo(&package.into_iter().chain(excluded).collect::<Vec<_>>(), &[])
}

/// Unpacks them. What has not changed is left as it is, by which cargo sees what to build anew.
fn unpack(published: &[&Package], folder: &Path) -> Result<()> {
    let new = tempfile::TempDir::with_prefix("gatecert-packages-")?;
    for package in published {
        let name = name(package);
        let archive = target()?.join("package").join(format!("{name}.crate"));
        let mut tar = Command::new("tar");
        let status = tar.arg("-xzf").arg(&archive).arg("-C").arg(new.path()).status().context("tar")?;
        ensure!(status.success(), "{} can not be unpacked", archive.display());
        let (from, to) = (new.path().join(&name), folder.join(&name));
        let files = files_below(&from)?;
        for gone in files_below(&to)?.difference(&files) {
            fs::remove_file(to.join(gone))?;
        }
        for file in &files {
            write(&to.join(file), &fs::read(from.join(file))?)?;
        }
    }
    Ok(())
}

/// A program that consists of what a guide tells: its dependencies and its code. Gives the name of its package.
fn reader(guide: &str, folder: &Path) -> Result<String> {
    let name = Path::new(guide).file_stem().and_then(|name| name.to_str()).context("a guide's name")?;
    let name = format!("reader-{name}");
    let [dependencies] = &guides::blocks(guide, "toml")?[..] else {
        bail!("{guide} has not one block of TOML");
    };
    let package = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n");
    let program = folder.join(&name);
    write(&program.join("Cargo.toml"), package + dependencies)?;
    write(&program.join("src/main.rs"), guides::blocks(guide, "rust")?.join("\n"))?;
    Ok(name)
}

/// The manifest of a workspace of what was unpacked, with the profiles of this one, so that what others wrote is built once
/// for both.
fn workspace_of(published: &[&Package]) -> Result<String> {
    let ours: Table = fs::read_to_string(workspace().join("Cargo.toml"))?.parse()?;
    let unpacked = published.iter().map(|package| {
        let path = Table::from_iter([("path".to_owned(), Value::from(name(package)))]);
        (package.name.clone(), path.into())
    });
    let patch = Table::from_iter([("crates-io".to_owned(), Value::Table(unpacked.collect()))]);
    let members = published.iter().map(|package| name(package)).chain(["reader-*".to_owned()]);
    let resolver = ours["workspace"]["resolver"].clone();
    let workspace = [("resolver", resolver), ("members", members.collect::<Vec<_>>().into())];
    let workspace = workspace.map(|(key, value)| (key.to_owned(), value));
    let manifest = [
        ("workspace", Value::Table(workspace.into_iter().collect())),
        ("profile", ours["profile"].clone()),
        ("patch", patch.into()),
    ];
    let manifest: Table = manifest.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(toml::to_string(&manifest)?)
}

/// All of it together, with tests and examples; and each by itself, which then has no feature that only another one asks for.
fn build(published: &[&Package], readers: &[String], folder: &Path) -> Result<()> {
    let (manifest, target) = (folder.join("Cargo.toml"), target()?);
    let check = |selection: &[&str]| {
        let fixed = ["check", "--quiet", "-j2"].map(Path::new).into_iter();
        let fixed =
            fixed.chain([Path::new("--manifest-path"), &manifest, Path::new("--target-dir"), &target]);
        let fixed: Option<Vec<&str>> = fixed.map(Path::to_str).collect();
        cargo(&[&fixed.context("the path of the target folder is no text")?, selection].concat(), &[])
    };
    check(&["--workspace", "--all-targets", "--all-features"])?;
    for package in published {
        check(&["--package", &package.name, "--features", &package.words(FEATURES).join(",")])?;
        if !package.features.is_empty() {
            check(&["--package", &package.name, "--no-default-features"])?;
        }
    }
    readers.iter().try_for_each(|reader| check(&["--package", reader]))
}

/// The name of a package with its version, by which its archive and the folder in it go.
fn name(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

/// The files below a folder, which need not be there.
fn files_below(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { _ = files.insert(path) }
        }
    }
    Ok(files)
}

/// Writes a file that is not there or has another content.
fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content.as_ref()) {
        return Ok(());
    }
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, content).with_context(|| path.display().to_string())
}
