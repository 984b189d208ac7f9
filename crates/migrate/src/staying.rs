//! What stays with cert-manager, and what it needs for that.

use crate::cert_manager::{CertificateSpec, Object};
use crate::error::word;
use crate::inputs::Input;
use crate::note::{Note, Origin, adopt_command};
use std::collections::BTreeSet;

/// The Certificates that have no counterpart.
#[derive(Default)]
pub(crate) struct Staying(Vec<Certificate>);

/// One of them.
struct Certificate {
    origin: Origin,
    secret: String,
    /// The hosts that may be proved by HTTP-01, in small letters. How an issuer proves a name is not looked at: what is
    /// not deleted does no harm.
    hosts: BTreeSet<String>,
    /// The Ingresses of its namespace that cert-manager of 2018 adds paths to.
    ingresses: BTreeSet<String>,
}

impl Staying {
    pub(crate) fn add(&mut self, input: &Input<Object<CertificateSpec>>) {
        let spec = &input.object.spec;
        let configs = spec.acme.iter().flat_map(|acme| acme.config.iter().flatten());
        let by_dns: BTreeSet<_> = spec.names_by_dns().map(str::to_ascii_lowercase).collect();
        let names = spec.dns_names.iter().flatten().chain(&spec.common_name);
        let names = names.map(|name| name.to_ascii_lowercase());
        self.0.push(Certificate {
            origin: input.origin.clone(),
            secret: spec.secret_name.clone(),
            hosts: names.filter(|name| !name.starts_with('*') && !by_dns.contains(name)).collect(),
            ingresses: configs.filter_map(|config| config.http01.as_ref()?.ingress.clone()).collect(),
        });
    }

    /// The one that a host is proved for, or any host where it is none.
    pub(crate) fn with_host(&self, host: Option<&str>) -> Option<&Origin> {
        let host = host.map(str::to_ascii_lowercase);
        self.origin(|one| host.as_ref().map_or(!one.hosts.is_empty(), |host| one.hosts.contains(host)))
    }

    /// The one that an Ingress is changed for.
    pub(crate) fn with_ingress(&self, ingress: &Origin) -> Option<&Origin> {
        self.origin(|one| one.ingresses.contains(&ingress.name) && one.origin.namespace == ingress.namespace)
    }

    /// The note where a Secret is that of a Certificate that stays: handed over, it would have two writers.
    pub(crate) fn note_on_secret(
        &self,
        origin: &Origin,
        namespace: Option<&str>,
        secret: &str,
    ) -> Option<Note> {
        let other =
            self.origin(|one| one.secret == secret && one.origin.namespace.as_deref() == namespace)?;
        let text = format!(
            "its Secret {} is not handed over: {other} stays with cert-manager and writes it too, and two would take turns; \
             give one of them another Secret, or when nobody else writes this one, hand it over:",
            word(secret)
        );
        Some(origin.not_migrated(text).command(adopt_command(namespace, secret)))
    }

    fn origin(&self, is_it: impl Fn(&Certificate) -> bool) -> Option<&Origin> {
        self.0.iter().find(|one| is_it(one)).map(|one| &one.origin)
    }
}
