//! For whom an object is made, and what says so in it.

use crate::fingerprint;
use gatecert_api::annotation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;
use std::fmt;

/// How much of a Certificate's name stays in the names of its objects. DNS labels have 63 characters, and there has to
/// be room for the rest.
const MAX_NAME_PART: usize = 40;

/// An object by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    /// The object of this namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The Certificate that an object is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// The metadata of an object in its own namespace goes when the Certificate goes; one in another namespace can not
    /// have an owner, so its labels say whose it is.
    pub(crate) fn metadata(&self, object: &ObjectName, part: &str) -> ObjectMeta {
        let mut labels = BTreeMap::from([
            (annotation::MANAGED_BY.to_owned(), annotation::MANAGER.to_owned()),
            (annotation::PART.to_owned(), part.to_owned()),
            (annotation::CERTIFICATE_UID.to_owned(), self.uid.clone()),
        ]);
        let is_beside = object.namespace == self.namespace;
        if !is_beside {
            labels.insert(annotation::CERTIFICATE_NAMESPACE.to_owned(), self.namespace.clone());
        }
        ObjectMeta {
            namespace: Some(object.namespace.clone()),
            name: Some(object.name.clone()),
            labels: Some(labels),
            owner_references: is_beside.then(|| vec![self.reference()]),
            ..ObjectMeta::default()
        }
    }

    /// The reference that makes an object go with the Certificate.
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{}/{}", gatecert_api::GROUP, gatecert_api::VERSION),
            kind: "Certificate".to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            ..OwnerReference::default()
        }
    }
}

/// The name of a route for a Certificate. `group` tells routes of one Certificate apart.
pub fn challenge_name(owner: &Owner, group: &str) -> String {
    let text = format!("{}\n{}\n{}\n{group}", owner.namespace, owner.name, owner.uid);
    let hash = fingerprint(&text);
    let kept: String = owner.name.chars().take(MAX_NAME_PART).collect();
    format!("{}-acme-{hash}", kept.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_short_and_differ() {
        let owner = |name: &str| Owner { namespace: "shop".into(), name: name.into(), uid: "1".into() };
        let long = "a.".repeat(100);
        assert!(challenge_name(&owner(&long), "").len() <= 63);
        assert!(!challenge_name(&owner(&long), "").contains(".-"));
        assert_ne!(challenge_name(&owner("www"), "a"), challenge_name(&owner("www"), "b"));
        assert_eq!(challenge_name(&owner("www"), "a"), challenge_name(&owner("www"), "a"));
    }
}
