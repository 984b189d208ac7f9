//! The arguments of `gatecert migrate`.

use super::ClusterArguments;
use super::name::namespace;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["files", "cluster"]))]
#[command(after_help = "Examples:
  gatecert migrate -f cert-manager.yaml > gatecert.yaml
  gatecert migrate -f manifests/ --to gateway-api
  kubectl get ingresses,services,issuers,clusterissuers,certificates -A -o yaml |
    gatecert migrate -f -
  gatecert migrate --cluster --all-namespaces

Reads Issuers, ClusterIssuers and Certificates of cert-manager in all their versions since 2018, \
what bears its annotations, and the pairs of Ingresses of Istio in 2018. Nothing is changed: the \
manifests go to standard output, and comments in them tell what has to be done, in which order. Exit \
code 3 says that some of it has no counterpart, which a list at the top names. Where gatecert is \
there already, kubectl takes its kinds for issuers and certificates: write issuers.cert-manager.io.")]
pub(crate) struct Migrate {
    /// A file, a directory whose .yaml, .yml and .json files are read, or - for standard input.
    #[arg(short, long = "filename", value_name = "FILE")]
    #[arg(conflicts_with_all = ["kubeconfig", "context", "namespace"])]
    pub(crate) files: Vec<PathBuf>,
    /// Reads what is in the cluster, and writes nothing there.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// All namespaces of the cluster.
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "files"])]
    pub(crate) all_namespaces: bool,
    /// What Ingresses of class `istio` become: a Gateway of that API, with its routes.
    #[arg(long, value_name = "KIND", default_value = "istio")]
    pub(crate) to: MigrationTarget,
    /// The namespace of Istio's ingress gateway.
    #[arg(long, value_name = "NAME", default_value = "istio-system", value_parser = namespace)]
    pub(crate) gateway_namespace: String,
    /// The namespace of gatecert's controller.
    #[arg(long, value_name = "NAME", default_value = "gatecert-system", value_parser = namespace)]
    pub(crate) controller_namespace: String,
    /// The namespace of cert-manager.
    #[arg(long, value_name = "NAME", default_value = "cert-manager", value_parser = namespace)]
    pub(crate) cert_manager_namespace: String,
    #[command(flatten)]
    pub(crate) connection: ClusterArguments,
}

/// The objects that take the place of Ingresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigrationTarget {
    Istio,
    GatewayApi,
}
