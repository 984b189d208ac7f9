//! The programs that tests, demo and benchmarks run: where they come from, and the cache that keeps them.
//!
//! A program is looked for in its environment variable (`PEBBLE`, `PEBBLE_CHALLTESTSRV`, `ENVOY`, `ISTIOD`, `HELM`, `CHROMIUM`;
//! `KUBEBUILDER_ASSETS` names the folder of etcd, kube-apiserver and kubectl), then in the cache
//! (`${XDG_CACHE_HOME:-$HOME/.cache}/gatecert/tools/<name>-<version>/`), and is fetched or built when it is in neither.

mod build;
mod command;

use command::run;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fmt, io};

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tool {
    /// The Go compiler, where the machine has none that is new enough.
    Go,
    /// The test CA.
    Pebble,
    /// The DNS server that the test CA asks.
    PebbleChalltestsrv,
    /// Envoy.
    Envoy,
    /// The API server's store.
    Etcd,
    /// The Kubernetes API server.
    KubeApiserver,
    /// The Kubernetes command line.
    Kubectl,
    /// Istio's control plane (pilot-discovery), with the definitions of its resources.
    Istiod,
    /// The definitions of the Gateway API's resources.
    GatewayApiCrds,
    /// Judges the chart.
    Helm,
    /// Judges the alerts.
    Promtool,
    /// The browser that looks at the status page.
    Chromium,
    /// A peer that benchmarks run beside gatecert.
    Certbot,
    /// Another.
    Lego,
    /// What benchmarks run beside the responder.
    Nginx,
    /// The load generator of benchmarks.
    Wrk,
    /// Checks licences and bans of dependencies.
    CargoDeny,
    /// Runs fuzz targets.
    CargoFuzz,
}

/// Why a program can not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// A variable names a program that is not there.
    #[error("{variable} names `{}`, which is not there", path.display())]
    Override {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// There is neither `XDG_CACHE_HOME` nor `HOME`.
    #[error("there is no place for the cache: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// The cache can not be written.
    #[error("`{}` can not be written: {source}", path.display())]
    Cache {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that fetches or builds is missing on this machine.
    #[error("`{program}` is needed to get {tool}, and is missing: {hint}")]
    Missing {
        /// The program.
        program: String,
        /// What it is needed for.
        tool: Tool,
        /// How to get it.
        hint: &'static str,
    },
    /// A step failed.
    #[error("{tool} can not be got: `{command}` {what}\n{output}")]
    Step {
        /// What was to be got.
        tool: Tool,
        /// The command.
        command: String,
        /// How it ended.
        what: String,
        /// The end of what it wrote.
        output: String,
    },
    /// What was fetched or built is not what it should be.
    #[error("{tool} came in another version than {}: {found}", tool.version())]
    Version {
        /// The tool.
        tool: Tool,
        /// What was found.
        found: String,
    },
}

impl Tool {
    /// All of them, in the order in which they need each other.
    pub const ALL: [Self; 18] = [
        Self::Go,
        Self::Pebble,
        Self::PebbleChalltestsrv,
        Self::Envoy,
        Self::Etcd,
        Self::KubeApiserver,
        Self::Kubectl,
        Self::Istiod,
        Self::GatewayApiCrds,
        Self::Helm,
        Self::Promtool,
        Self::Chromium,
        Self::Certbot,
        Self::Lego,
        Self::Nginx,
        Self::Wrk,
        Self::CargoDeny,
        Self::CargoFuzz,
    ];

    /// The name, which is also that of its file in the cache.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Pebble => "pebble",
            Self::PebbleChalltestsrv => "pebble-challtestsrv",
            Self::Envoy => "envoy",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
            Self::Istiod => "istiod",
            Self::GatewayApiCrds => "gateway-api-crds",
            Self::Helm => "helm",
            Self::Promtool => "promtool",
            Self::Chromium => "chromium",
            Self::Certbot => "certbot",
            Self::Lego => "lego",
            Self::Nginx => "nginx",
            Self::Wrk => "wrk",
            Self::CargoDeny => "cargo-deny",
            Self::CargoFuzz => "cargo-fuzz",
        }
    }

    /// The version that is used.
    pub fn version(self) -> &'static str {
        match self {
            Self::Go => "1.27.3",
            Self::Pebble | Self::PebbleChalltestsrv => "2.10.1",
            Self::Envoy => "1.40.0",
            Self::Etcd => "3.7.1",
            Self::KubeApiserver | Self::Kubectl => "1.36.3",
            Self::Istiod => "0.0.0-20260827124520-eed52ebb66ad",
            Self::GatewayApiCrds => "1.7.0",
            Self::Helm => "4.3.1",
            Self::Certbot => "5.8.0",
            Self::Lego | Self::Nginx | Self::Wrk | Self::Promtool | Self::Chromium => "debian",
            Self::CargoDeny => "0.20.2",
            Self::CargoFuzz => "0.13.1",
        }
    }

    /// How long it takes to get on two cores.
    pub fn takes(self) -> &'static str {
        match self {
            Self::Pebble | Self::PebbleChalltestsrv | Self::Etcd | Self::Kubectl => "under a minute",
            Self::CargoFuzz | Self::Chromium => "a minute or two",
            Self::Helm => "three or four minutes",
            Self::KubeApiserver | Self::Istiod | Self::CargoDeny => "six or seven minutes",
            _ => "seconds",
        }
    }

    /// The variable that names another program to use, or the folder of it.
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Pebble => Some("PEBBLE"),
            Self::PebbleChalltestsrv => Some("PEBBLE_CHALLTESTSRV"),
            Self::Envoy => Some("ENVOY"),
            Self::Istiod => Some("ISTIOD"),
            Self::Helm => Some("HELM"),
            Self::Chromium => Some("CHROMIUM"),
            Self::Etcd | Self::KubeApiserver | Self::Kubectl => Some("KUBEBUILDER_ASSETS"),
            _ => None,
        }
    }

    /// What the program is called on `PATH`, where any version is as good.
    fn names_of_the_machine(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
            Self::CargoDeny => &["cargo-deny"],
            Self::CargoFuzz => &["cargo-fuzz"],
            Self::Lego => &["lego"],
            Self::Nginx => &["nginx"],
            Self::Promtool => &["promtool"],
            Self::Wrk => &["wrk"],
            _ => &[],
        }
    }

    /// Where the program is within its folder of the cache.
    fn file(self) -> &'static str {
        match self {
            Self::Go => "go/bin/go",
            Self::Envoy => "envoy/_bin/envoy",
            Self::Lego => "usr/bin/lego",
            Self::Nginx => "usr/sbin/nginx",
            Self::Promtool => "usr/bin/promtool",
            Self::GatewayApiCrds => "standard",
            Self::CargoDeny => "bin/cargo-deny",
            Self::CargoFuzz => "bin/cargo-fuzz",
            other => other.name(),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The folder that keeps all of them.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> Result<PathBuf, ToolError> {
    let base = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    Ok(base.ok_or(ToolError::NoCache)?.join("gatecert").join("tools"))
}

/// Where the program is, if it is there already.
///
/// # Errors
/// A variable that names a file which does not exist.
pub fn path(tool: Tool) -> Result<Option<PathBuf>, ToolError> {
    if let Some(variable) = tool.variable()
        && let Some(value) = env::var_os(variable).filter(|value| !value.is_empty())
    {
        let path =
            if variable == "KUBEBUILDER_ASSETS" { Path::new(&value).join(tool.name()) } else { value.into() };
        return if path.exists() { Ok(Some(path)) } else { Err(ToolError::Override { variable, path }) };
    }
    let cached = folder(tool)?.join(tool.file());
    if cached.exists() {
        return Ok(Some(cached));
    }
    Ok(of_the_machine(tool))
}

/// The program of this machine, where its version does not matter.
fn of_the_machine(tool: Tool) -> Option<PathBuf> {
    tool.names_of_the_machine().iter().find_map(|name| on_path(name))
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn folder(tool: Tool) -> Result<PathBuf, ToolError> {
    Ok(cache()?.join(format!("{tool}-{}", tool.version())))
}

/// Where the program is; fetches or builds it where it is not there yet, and says so on standard error.
///
/// # Errors
/// What is missing on the machine, and how to get it; a step that failed.
pub fn ensure(tool: Tool) -> Result<PathBuf, ToolError> {
    if let Some(path) = path(tool)? {
        return Ok(path);
    }
    let folder = folder(tool)?;
    let cache = cache()?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolError::Cache { path, source }
    };
    fs::create_dir_all(&cache).map_err(failed(&cache))?;
    // Tests of several processes may want it at once: one gets it, the others wait.
    let lock = cache.join(format!("{tool}.lock"));
    let lock_file = File::create(&lock).map_err(failed(&lock))?;
    lock_file.lock().map_err(failed(&lock))?;
    if let Some(path) = path(tool)? {
        return Ok(path);
    }
    get(tool, &cache, &folder)?;
    path(tool)?.ok_or_else(|| ToolError::Version { tool, found: "nothing at the expected place".into() })
}

/// As [`ensure`], without blocking the runtime.
pub async fn ensure_async(tool: Tool) -> Result<PathBuf, ToolError> {
    let joined = tokio::task::spawn_blocking(move || ensure(tool)).await;
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

#[allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tells a developer what takes long, and how long"
)]
fn get(tool: Tool, cache: &Path, folder: &Path) -> Result<(), ToolError> {
    eprintln!("getting {tool} {} (takes {})", tool.version(), tool.takes());
    let start = Instant::now();
    let failed = |source| ToolError::Cache { path: folder.to_owned(), source };
    // The lock is held, so whatever is there was left by a run that was killed.
    let unfinished = cache.join(format!("{tool}.unfinished"));
    for left_over in [folder, &unfinished] {
        if left_over.exists() {
            fs::remove_dir_all(left_over).map_err(failed)?;
        }
    }
    fs::create_dir(&unfinished).map_err(failed)?;
    build::build(tool, &unfinished)?;
    build::verify(tool, &unfinished.join(tool.file()))?;
    // A folder in the cache is always whole: it appears by one rename.
    fs::rename(&unfinished, folder).map_err(failed)?;
    eprintln!("got {tool} in {:.0?}", start.elapsed());
    Ok(())
}
