//! The answers that this replica's responder gives: every challenge that a Certificate's status shows. A watch feeds
//! it, so that any replica answers, not only the one that issues. The overview of all Certificates is fed along.

use crate::follow::follow;
use crate::overview::Overview;
use gatecert_api::Certificate;
use gatecert_http01::TokenStore;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Keeps the answers and the overview in step with the Certificates, for ever.
pub(crate) async fn feed(
    certificates: Api<Certificate>,
    tokens: TokenStore,
    overview: Arc<Overview>,
    synced: watch::Sender<bool>,
) {
    let mut answers = Answers { tokens, of: HashMap::new(), listed: None };
    let observe = |event: &Event<Certificate>| {
        answers.observe(event);
        overview.observe(event);
    };
    follow(certificates, watcher::Config::default(), None, |_| (), observe, synced).await;
}

struct Answers {
    tokens: TokenStore,
    /// What each Certificate has in the store, by its uid.
    of: HashMap<String, HashSet<(String, String)>>,
    listed: Option<HashSet<String>>,
}

impl Answers {
    fn observe(&mut self, event: &Event<Certificate>) {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::Apply(certificate) | Event::InitApply(certificate) => self.set(certificate),
            Event::Delete(certificate) => self.remove(&certificate.uid().unwrap_or_default()),
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<_> = self.of.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.remove(uid));
            }
        }
    }

    fn set(&mut self, certificate: &Certificate) {
        let uid = certificate.uid().unwrap_or_default();
        if let Some(listed) = &mut self.listed {
            listed.insert(uid.clone());
        }
        let issuance = certificate.status.as_ref().and_then(|status| status.issuance.as_ref());
        let challenges = issuance.map(|issuance| issuance.challenges.as_slice()).unwrap_or_default();
        if challenges.is_empty() && !self.of.contains_key(&uid) {
            return;
        }
        let mut now = HashSet::new();
        for challenge in challenges {
            match self.tokens.insert(&challenge.name, &challenge.token, &challenge.key_authorization) {
                Ok(()) => {
                    now.insert((challenge.name.clone(), challenge.token.clone()));
                }
                Err(error) => tracing::warn!(%error, "a challenge in a status can not be answered"),
            }
        }
        let before = if now.is_empty() { self.of.remove(&uid) } else { self.of.insert(uid, now.clone()) };
        for (host, token) in before.unwrap_or_default().difference(&now) {
            self.tokens.remove(host, token);
        }
    }

    fn remove(&mut self, uid: &str) {
        for (host, token) in self.of.remove(uid).unwrap_or_default() {
            self.tokens.remove(&host, &token);
        }
    }
}
