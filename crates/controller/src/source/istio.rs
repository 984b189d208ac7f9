//! Istio's Gateways.

use super::workload::Gateways;
use super::{Asked, Source, SourceWarning};
use gatecert_api::Algorithm;
use gatecert_render::ObjectName;
use gatecert_render::istio::{Gateway, Server, ServerTls};

impl Source for Gateway {
    fn ask(&self, namespace: &str, gateways: &Gateways<'_>, asked: &mut Asked) {
        let terminating: Vec<_> =
            self.spec.servers.iter().filter_map(|server| Some((server, ends_tls(server)?))).collect();
        if terminating.is_empty() {
            return;
        }
        let workload = gateways.namespace(&self.spec.selector, namespace, &mut asked.warnings);
        for (server, tls) in terminating {
            for credential in tls.credentials() {
                match secret(credential, &workload) {
                    Ok(secret) => {
                        let wanted =
                            asked.add(secret, server.hosts.iter().map(|host| without_namespace(host)));
                        wanted.algorithm = wanted.algorithm.or_else(|| algorithm(tls, credential));
                    }
                    Err(warning) => asked.warnings.push(warning),
                }
            }
        }
    }
}

/// How a server ends TLS, where it does.
fn ends_tls(server: &Server) -> Option<&ServerTls> {
    let is_tls = ["HTTPS", "TLS"].iter().any(|protocol| server.port.protocol.eq_ignore_ascii_case(protocol));
    server.tls.as_ref().filter(|tls| is_tls && tls.is_terminating())
}

/// A host may have the namespaces of its VirtualServices before it.
fn without_namespace(host: &str) -> &str {
    host.rsplit_once('/').map_or(host, |(_, host)| host)
}

/// The Secret of a credential: `name`, `kubernetes://name` or `kubernetes://namespace/name`.
fn secret(credential: &str, workload: &str) -> Result<ObjectName, SourceWarning> {
    let path = credential.strip_prefix("kubernetes://").unwrap_or(credential);
    if path.contains("://") {
        return Err(SourceWarning::NotASecret { name: credential.to_owned() });
    }
    let secret = match path.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new(workload, path),
    };
    if secret.name.ends_with("-cacert") { Err(SourceWarning::CaCertificate { secret }) } else { Ok(secret) }
}

/// Of two credentials the first is ECDSA and the second RSA: Envoy has one certificate for each kind of key.
fn algorithm(tls: &ServerTls, credential: &str) -> Option<Algorithm> {
    match tls.credential_names.as_slice() {
        [first, second] if first != second && credential == first => Some(Algorithm::Ecdsa),
        [first, second] if first != second && credential == second => Some(Algorithm::Rsa),
        _ => None,
    }
}
