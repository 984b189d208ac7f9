//! The way to a cluster, as kubectl finds it.

use crate::args::ClusterArguments;
use crate::error::{Failure, chain};
use kube::api::GetParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::Request;
use kube::{Client, Config};
use std::io::ErrorKind;
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
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| Failure::local("cluster", &error).hint(HINT))?;
    answers(&client, server.trim_end_matches('/')).await?;
    Ok(client)
}

/// Whether there is an API server: later errors are of what is asked, and name no server.
async fn answers(client: &Client, server: &str) -> Result<(), Failure> {
    let request = Request::new("").get("version", &GetParams::default());
    let request = request.map_err(|error| Failure::local("cluster", &error))?;
    let why = match client.request_text(request).await {
        Ok(text) if text.trim_start().starts_with('{') => return Ok(()),
        Ok(_) => "is no API server".to_owned(),
        // Who may not ask for that may ask for something else.
        Err(kube::Error::Api(_)) => return Ok(()),
        Err(error) => format!("can not be asked: {}", chain(&error)),
    };
    let failure = Failure::usage(format!("{server}, the kubeconfig's API server, {why}")).hint(HINT);
    Err(Failure { exit: crate::Exit::Failed, kind: "cluster", ..failure })
}

async fn config(arguments: &ClusterArguments) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    if let Some(file) = &arguments.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(file).map_err(unusable)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable);
    }
    match Config::from_kubeconfig(&options).await {
        // A Pod without a kubeconfig has what it needs mounted.
        Err(error) if arguments.context.is_none() => Config::incluster().map_err(|_| unusable(error)),
        config => config.map_err(unusable),
    }
}

fn unusable(error: KubeconfigError) -> Failure {
    let failure = Failure::local("cluster", &error).hint(HINT);
    let message = match &error {
        KubeconfigError::ReadConfig(source, path) if source.kind() == ErrorKind::NotFound => {
            format!("there is no kubeconfig: `{}` does not exist", path.display())
        }
        KubeconfigError::ReadConfig(source, path) => {
            format!("the kubeconfig `{}` can not be read: {source}", path.display())
        }
        _ => return failure,
    };
    Failure { message, ..failure }
}
