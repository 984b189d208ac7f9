//! Ingresses.

use super::workload::Gateways;
use super::{Asked, Source, SourceWarning};
use gatecert_render::ObjectName;
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use std::collections::BTreeMap;

/// The class before there were Ingress classes; it still wins over the field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

impl Source for Ingress {
    fn ask(&self, namespace: &str, gateways: &Gateways<'_>, asked: &mut Asked) {
        let tls: Vec<_> = self.spec.iter().flat_map(|spec| spec.tls.iter().flatten()).collect();
        if tls.is_empty() {
            return;
        }
        let is_istio = class(self).is_some_and(|class| gateways.is_istio_class(class));
        let namespace = if is_istio {
            // Istio reads the Secret where its ingress gateway runs, not beside the Ingress. This label is the one that
            // its mesh configuration selects by when it says nothing else.
            let selector = BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]);
            gateways.namespace(&selector, namespace, &mut asked.warnings)
        } else {
            namespace.to_owned()
        };
        for tls in tls {
            let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
            let secret = ObjectName::new(&namespace, name);
            if is_istio && name.ends_with("-cacert") {
                asked.warnings.push(SourceWarning::CaCertificate { secret });
                continue;
            }
            asked.add(secret, tls.hosts.iter().flatten().map(String::as_str));
        }
    }
}

fn class(ingress: &Ingress) -> Option<&str> {
    let annotated = ingress.annotations().get(CLASS_ANNOTATION).map(String::as_str);
    annotated.or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_deref())
}
