//! Where the Pods of a gateway are: Istio reads a Secret in the namespace of the Pods, not of the Gateway.

use super::SourceWarning;
use crate::cluster::{Cluster, Service};
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The controller of Istio's Ingress classes.
const ISTIO_INGRESS_CONTROLLER: &str = "istio.io/ingress-controller";

/// What of a cluster decides where Secrets go.
pub(super) struct Gateways<'a> {
    /// The Services by each label that they select by, so that a Gateway does not look at all of them.
    services: HashMap<(&'a str, &'a str), Vec<&'a Service>>,
    istio_classes: HashSet<String>,
}

impl<'a> Gateways<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let mut services = HashMap::<_, Vec<_>>::new();
        for service in &cluster.services {
            for (key, value) in &service.spec.selector {
                services.entry((key.as_str(), value.as_str())).or_default().push(service.as_ref());
            }
        }
        let classes = cluster.ingress_classes.iter();
        let istio = classes.filter(|class| class.spec.controller == ISTIO_INGRESS_CONTROLLER);
        // The class of the annotation has no object.
        let istio_classes = istio.map(|class| class.name_any()).chain(["istio".to_owned()]).collect();
        Self { services, istio_classes }
    }

    pub(super) fn is_istio_class(&self, class: &str) -> bool {
        self.istio_classes.contains(class)
    }

    /// The namespace of the Pods with the labels `selector`: that of the Services that select them, or `namespace`
    /// where there is none, or where there are several. A Service may ask for more labels than the Gateway, or for
    /// fewer.
    pub(super) fn namespace(
        &self,
        selector: &BTreeMap<String, String>,
        namespace: &str,
        warnings: &mut Vec<SourceWarning>,
    ) -> String {
        let services =
            selector.iter().filter_map(|(key, value)| self.services.get(&(key.as_str(), value.as_str())));
        let namespaces: BTreeSet<_> = services
            .flatten()
            .filter(|service| {
                is_part(&service.spec.selector, selector) || is_part(selector, &service.spec.selector)
            })
            .filter_map(|service| service.namespace())
            .collect();
        match namespaces.first() {
            Some(only) if namespaces.len() == 1 => return only.clone(),
            Some(_) if !namespaces.contains(namespace) => {
                warnings.push(SourceWarning::SeveralWorkloads { namespaces });
            }
            _ => {}
        }
        namespace.to_owned()
    }
}

fn is_part(part: &BTreeMap<String, String>, whole: &BTreeMap<String, String>) -> bool {
    part.iter().all(|(key, value)| whole.get(key) == Some(value))
}
