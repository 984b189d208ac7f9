//! The way to a cluster, as kubectl finds it.

use crate::args::ClusterArguments;
use crate::error::Failure;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::time::Duration;

/// How long a connection to the API server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer of the API server may take. Its own limit is a minute.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

const HINT: &str = "name a file with --kubeconfig or KUBECONFIG, and a context with --context";

/// A client for the cluster that the arguments name; its default namespace is theirs, or that of the context.
pub(crate) async fn connect(arguments: &ClusterArguments) -> Result<Client, Failure> {
    let mut config = config(arguments).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    if let Some(namespace) = &arguments.namespace {
        config.default_namespace.clone_from(namespace);
    }
    Client::try_from(config).map_err(|error| Failure::local("cluster", &error).hint(HINT))
}

async fn config(arguments: &ClusterArguments) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    let unusable = |error: kube::config::KubeconfigError| Failure::local("cluster", &error).hint(HINT);
    if let Some(file) = &arguments.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(file).map_err(unusable)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable);
    }
    if arguments.context.is_some() {
        return Config::from_kubeconfig(&options).await.map_err(unusable);
    }
    // A Pod without a kubeconfig has what it needs mounted.
    Config::infer().await.map_err(|error| Failure::local("cluster", &error).hint(HINT))
}
