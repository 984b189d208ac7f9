//! The journal of an issuance, in a Secret beside its Certificate.

use crate::controller::Controller;
use crate::secrets::Content;
use async_trait::async_trait;
use gatecert_api::annotation;
use gatecert_issue::{Entry, Journal, JournalError};
use gatecert_render::{Owner, pending_key_name, pending_key_secret};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};

/// Keeps the order and the key of one Certificate's issuance.
pub(crate) struct SecretJournal<'a> {
    controller: &'a Controller,
    owner: &'a Owner,
}

impl<'a> SecretJournal<'a> {
    pub(crate) fn new(controller: &'a Controller, owner: &'a Owner) -> Self {
        Self { controller, owner }
    }

    /// The entry as it is known without a request.
    pub(crate) fn entry(&self) -> Option<Entry> {
        match &self.controller.secrets.get(&pending_key_name(self.owner))?.content {
            Content::Pending(entry) => Some((**entry).clone()),
            _ => None,
        }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.controller.client.clone(), &self.owner.namespace)
    }
}

#[async_trait]
impl Journal for SecretJournal<'_> {
    async fn load(&self) -> Result<Option<Entry>, JournalError> {
        Ok(self.entry())
    }

    async fn save(&self, entry: &Entry) -> Result<(), JournalError> {
        let name = pending_key_name(self.owner);
        let step = || format!("writing Secret {name}");
        let journal = serde_json::to_vec(entry).map_err(|error| JournalError::new(step(), error))?;
        let secret = pending_key_secret(self.owner, &journal);
        let parameters = PatchParams::apply(annotation::MANAGER).force();
        let written = self.secrets().patch(&name.name, &parameters, &Patch::Apply(&secret)).await;
        let written = written.map_err(|error| JournalError::new(step(), error))?;
        self.controller.secrets.insert(&written);
        Ok(())
    }

    async fn clear(&self) -> Result<(), JournalError> {
        let name = pending_key_name(self.owner);
        if self.controller.secrets.get(&name).is_none() {
            return Ok(());
        }
        match self.secrets().delete(&name.name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(JournalError::new(format!("deleting Secret {name}"), error)),
        }
        self.controller.secrets.remove(&name);
        Ok(())
    }
}
