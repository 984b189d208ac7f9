//! Writes the manifests of a cluster's certificates, to be kept in Git: `cargo run -p gatecert-render --example gitops -- FOLDER`
#![allow(clippy::print_stdout)]

use gatecert_api::{
    AcmeIssuer, Certificate, CertificateSpec, ClusterIssuer, ClusterIssuerSpec, IssuerKind, IssuerReference,
};
use gatecert_render::gateway_api::ReferenceGrant;
use gatecert_render::{InstallOptions, ObjectName, install, secret_grant};
use serde::Serialize;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What differs from one site to the next.
struct Site {
    namespace: &'static str,
    name: &'static str,
    hosts: &'static [&'static str],
}

const SITES: [Site; 3] = [
    Site { namespace: "shop", name: "www", hosts: &["www.example.com", "example.com"] },
    Site { namespace: "shop", name: "pay", hosts: &["pay.example.com"] },
    Site { namespace: "blog", name: "blog", hosts: &["blog.example.com"] },
];

/// The namespace of the gateway that serves them all, which reads its Secrets from there.
const GATEWAYS: &str = "istio-system";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: gitops FOLDER")?);
    fs::create_dir_all(&folder)?;
    write(&folder, "install.yaml", &install(&InstallOptions::default()))?;
    write(&folder, "issuer.yaml", &[issuer()])?;
    write(&folder, "certificates.yaml", &SITES.each_ref().map(certificate))?;
    write(&folder, "grants.yaml", &grants())?;
    Ok(())
}

fn issuer() -> ClusterIssuer {
    let acme = AcmeIssuer {
        server: "letsencrypt".into(),
        email: Some("ops@example.com".into()),
        ..AcmeIssuer::default()
    };
    ClusterIssuer::new("letsencrypt", ClusterIssuerSpec { acme })
}

/// Its Secret is where the gateway reads it.
fn certificate(site: &Site) -> Certificate {
    let mut certificate = Certificate::new(
        site.name,
        CertificateSpec {
            secret_name: site.name.into(),
            secret_namespace: Some(GATEWAYS.into()),
            dns_names: Some(site.hosts.iter().map(|host| (*host).to_owned()).collect()),
            issuer_ref: IssuerReference {
                kind: Some(IssuerKind::ClusterIssuer),
                name: "letsencrypt".into(),
                ..IssuerReference::default()
            },
            ..CertificateSpec::default()
        },
    );
    certificate.metadata.namespace = Some(site.namespace.into());
    certificate
}

/// The consent of the gateway's namespace to that, for its owners to review: one for each Secret.
fn grants() -> Vec<ReferenceGrant> {
    let grant = |site: &Site| secret_grant(site.namespace, &ObjectName::new(GATEWAYS, site.name));
    SITES.iter().map(grant).collect()
}

fn write(folder: &Path, name: &str, objects: &[impl Serialize]) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    for object in objects {
        text += &format!("---\n{}\n", serde_saphyr::to_string(object)?.trim_end());
    }
    fs::write(folder.join(name), text)?;
    println!("wrote {name}");
    Ok(())
}
