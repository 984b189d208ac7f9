//! The arguments of `gatecert render`.

use super::name::{image, namespace, object};
use clap::{ArgGroup, Args, Subcommand};
use gatecert_acme::{Contact, Identifier};
use gatecert_render::InstallOptions;
use std::net::IpAddr;

#[derive(Debug, Subcommand)]
pub(crate) enum Render {
    /// Prints what installs the controller in a cluster.
    Install(Install),
    /// Prints what an installation consists of, to be deleted, and how the rest is.
    Uninstall(Uninstall),
    /// Prints the definitions of the resources alone.
    Crds(Definitions),
    /// Prints an Issuer or a ClusterIssuer.
    Issuer(Issuer),
    /// Prints a Certificate.
    Certificate(Box<Certificate>),
}

/// How the controller is installed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert render install | kubectl apply --server-side -f -
  gatecert render install --only-namespace shop --namespace shop > gatecert.yaml")]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert render uninstall | kubectl delete --ignore-not-found -f -

The definitions stay, which hold all Issuers and Certificates, and the namespace, which holds the \
keys of accounts. What the controller has made bears the label \
app.kubernetes.io/managed-by=gatecert and stays too, so that gateways go on serving; the last \
lines tell how it is deleted.")]
pub(crate) struct Uninstall {
    #[command(flatten)]
    pub(crate) installation: Installation,
    /// The definitions too, and with them all Issuers and Certificates.
    #[arg(long)]
    pub(crate) crds: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert render crds | kubectl apply --server-side -f -")]
pub(crate) struct Definitions {}

/// An installation.
#[derive(Debug, Args)]
pub(crate) struct Installation {
    /// The controller's namespace.
    #[arg(long, value_name = "NAME", default_value = "gatecert-system", value_parser = namespace)]
    pub(crate) namespace: String,
    /// The controller's image.
    #[arg(long, value_name = "IMAGE", value_parser = image, default_value_t = InstallOptions::default().image)]
    pub(crate) image: String,
    /// How many replicas run: one leads, all answer challenges.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) replicas: u32,
    /// Serves one namespace alone, with rights in that one alone.
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    pub(crate) only_namespace: Option<String>,
    /// Leaves out what is for Istio.
    #[arg(long)]
    pub(crate) without_istio: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert render issuer --name letsencrypt --email ops@example.com --cluster | kubectl apply -f -
  gatecert render issuer --name staging --server letsencrypt-staging --namespace shop

By using a CA you agree to its terms of service.")]
pub(crate) struct Issuer {
    /// Its name.
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) name: String,
    /// Its namespace; without one, that which it is applied in.
    #[arg(long, value_name = "NAME", conflicts_with = "cluster", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
    /// For the Certificates of all namespaces.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// The CA: `letsencrypt`, `letsencrypt-staging`, or the URL of an ACME directory.
    #[arg(long, value_name = "URL", default_value = "letsencrypt", value_parser = server)]
    pub(crate) server: String,
    /// An address that the CA may write to.
    #[arg(long, value_name = "ADDRESS", value_parser = Contact::email)]
    pub(crate) email: Option<Contact>,
    /// The kind of certificate, of those that the CA offers.
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert render certificate --secret www -d www.example.com --cluster-issuer letsencrypt
  gatecert render certificate --namespace shop --secret www --secret-namespace istio-system ...

A gateway reads Secrets of its own namespace. With --secret-namespace, the consent of that \
namespace is printed before the Certificate; it is for whoever administers it to apply.")]
#[command(group(ArgGroup::new("names").args(["domains", "addresses"]).required(true).multiple(true)))]
#[command(group(ArgGroup::new("by").args(["issuer", "cluster_issuer"]).required(true)))]
pub(crate) struct Certificate {
    /// Its name; without one, that of the Secret.
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) name: Option<String>,
    /// Its namespace; without one, that which it is applied in.
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
    /// The Secret that it is published in.
    #[arg(long, value_name = "NAME", value_parser = secret)]
    pub(crate) secret: String,
    /// The namespace of the Secret, where it is another one.
    #[arg(long, value_name = "NAME", requires = "namespace", value_parser = namespace)]
    pub(crate) secret_namespace: Option<String>,
    /// A DNS name, or several with commas.
    #[arg(short, long = "domain", value_name = "NAME", value_delimiter = ',', value_parser = host)]
    pub(crate) domains: Vec<Identifier>,
    /// An IP address.
    #[arg(long = "ip", value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) addresses: Vec<IpAddr>,
    /// The Issuer, of the Certificate's namespace.
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) issuer: Option<String>,
    /// The ClusterIssuer.
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) cluster_issuer: Option<String>,
    /// The kind of certificate, of those that the CA offers.
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

/// The CA as an issuer names it: the words stay words.
fn server(text: &str) -> Result<String, String> {
    let url = super::server(text)?;
    match text {
        "letsencrypt" | "letsencrypt-staging" => Ok(text.to_owned()),
        _ if url.scheme() == "https" => Ok(url.into()),
        _ => Err("a controller speaks to a CA by https alone".to_owned()),
    }
}

fn host(text: &str) -> Result<Identifier, String> {
    match Identifier::dns(text) {
        Ok(name) if name.is_wildcard() => {
            Err("a wildcard can not be proved by HTTP-01: name each host".to_owned())
        }
        Ok(name) => Ok(name),
        Err(error) => Err(error.to_string()),
    }
}

fn secret(text: &str) -> Result<String, String> {
    match text.ends_with("-cacert") {
        true => Err("Istio reserves Secret names that end in -cacert for CA certificates".to_owned()),
        false => object(text),
    }
}
