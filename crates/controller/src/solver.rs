//! Puts the challenges of a Certificate on the gateways that serve its names, and takes them away.

use crate::controller::Controller;
use crate::policy;
use crate::probe::Miss;
use crate::route::Placement;
use async_trait::async_trait;
use futures::future::{join, join_all, try_join_all};
use gatecert_issue::{Presentation, Solver, SolverError};
use gatecert_render::{Challenge, Owner, placeholder_secret};
use kube::api::Api;
use routes::{Route, Routes};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

mod routes;

pub(crate) use routes::{delete, delete_as_seen};

/// Istio's root namespace, unless a mesh has another.
const ROOT_NAMESPACE: &str = "istio-system";

/// How long changes of gateways are none of a proof's business: most are through by then.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How long changes of gateways are gathered before a proof looks at them.
const GATHER: Duration = Duration::from_millis(100);

/// Proves the names of one Certificate by routes on gateways.
pub(crate) struct RouteSolver<'a> {
    controller: &'a Controller,
    owner: &'a Owner,
    /// Where the routes are now.
    placement: Mutex<Arc<Placement>>,
    /// Where they belong, as gateways are now; `None` where they can not be.
    find: &'a (dyn Fn() -> Option<Placement> + Send + Sync),
    /// Shows the challenges in the Certificate's status, which every replica's responder reads.
    show: &'a (dyn Shows + 'a),
}

/// Shows what is being proved.
#[async_trait]
pub(crate) trait Shows: Send + Sync {
    async fn show(&self, challenges: &[Challenge]);
}

#[async_trait]
impl Solver for RouteSolver<'_> {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        self.write_placeholders().await?;
        let routes = self.routes(&self.placement(), &challenges);
        let (applied, ()) = join(self.apply(&routes), self.show.show(&challenges)).await;
        applied
    }

    async fn ready(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        let mut changed = self.controller.caches.changed();
        let mut deadline = pin!(tokio::time::sleep(self.controller.options.route_timeout()));
        loop {
            let placement = self.placement();
            let probed =
                self.controller.prober.until_ready(&placement.probes, &challenges, deadline.as_mut());
            tokio::select! {
                ready = probed => match ready {
                    Ok(()) => return Ok(()),
                    Err(misses) => return Err(self.unreachable(presentations, &misses).await),
                },
                moved = self.moved(&mut changed, &placement) => {
                    self.move_to(&placement, moved, &challenges).await?;
                }
            }
        }
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        self.delete(&self.routes(&self.placement(), &challenges)).await
    }
}

fn challenge(presentation: &Presentation) -> Challenge {
    Challenge {
        host: presentation.identifier.value(),
        token: presentation.token.clone(),
        key_authorization: presentation.key_authorization.clone(),
    }
}

impl<'a> RouteSolver<'a> {
    /// A solver that begins with a placement, and follows what `find` says of it.
    pub(crate) fn new(
        controller: &'a Controller,
        owner: &'a Owner,
        placement: Placement,
        find: &'a (dyn Fn() -> Option<Placement> + Send + Sync),
        show: &'a (dyn Shows + 'a),
    ) -> Self {
        Self { controller, owner, placement: Mutex::new(Arc::new(placement)), find, show }
    }

    fn placement(&self) -> Arc<Placement> {
        Arc::clone(&self.placement.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn routes(&self, placement: &Placement, challenges: &[Challenge]) -> Vec<Route> {
        Routes { controller: self.controller, owner: self.owner, placement }.all(challenges)
    }

    async fn apply(&self, routes: &[Route]) -> Result<(), SolverError> {
        let applied = try_join_all(routes.iter().map(|route| route.apply(self.controller))).await;
        applied
            .map(|_| ())
            .map_err(|error| SolverError::general("a challenge route can not be written").with_source(error))
    }

    async fn delete(&self, routes: &[Route]) -> Result<(), SolverError> {
        // One that can not be deleted keeps no other.
        let deleted = join_all(routes.iter().map(|route| route.delete(self.controller))).await;
        deleted.into_iter().collect::<Result<(), _>>().map_err(|error| {
            self.controller.left_behind.notify_one();
            SolverError::general("a challenge route can not be deleted").with_source(error)
        })
    }

    /// Completes when the routes belong elsewhere than they are: a gateway or a route of its user came, or went, while
    /// the names are being proved.
    async fn moved(&self, changed: &mut watch::Receiver<u64>, present: &Placement) -> Placement {
        tokio::time::sleep(FIRST_LOOK).await;
        while changed.changed().await.is_ok() {
            tokio::time::sleep(GATHER).await;
            changed.mark_unchanged();
            if let Some(placement) = (self.find)()
                && placement != *present
            {
                return placement;
            }
        }
        std::future::pending().await
    }

    /// Puts the routes where they belong now, and only then takes away those that do not belong there any more.
    async fn move_to(
        &self,
        before: &Placement,
        after: Placement,
        challenges: &[Challenge],
    ) -> Result<(), SolverError> {
        tracing::info!(
            namespace = self.owner.namespace,
            name = self.owner.name,
            "gateways or routes have changed: the challenge's routes follow"
        );
        let (old, new) = (self.routes(before, challenges), self.routes(&after, challenges));
        *self.placement.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(after);
        self.write_placeholders().await?;
        self.apply(&new).await?;
        let kept: BTreeSet<_> = new.iter().map(Route::key).collect();
        let gone: Vec<_> = old.into_iter().filter(|route| !kept.contains(&route.key())).collect();
        self.delete(&gone).await
    }

    async fn unreachable(&self, presentations: &[Presentation], misses: &[Miss]) -> SolverError {
        let policies = match misses.iter().any(Miss::is_denied) {
            true => policy::of_namespaces(&self.controller.client, &self.gateway_namespaces()).await,
            false => Vec::new(),
        };
        let failures = presentations.iter().filter_map(|presentation| {
            let host = presentation.identifier.value();
            let first = misses.iter().find(|miss| miss.host == host)?;
            Some((presentation.identifier.clone(), first.message(&policies)))
        });
        SolverError::all(failures)
    }

    /// The namespaces whose policies gateways obey: their own, and the mesh's root namespace.
    fn gateway_namespaces(&self) -> BTreeSet<String> {
        let placement = self.placement();
        let of_gateways = placement.virtual_services.iter().flat_map(|place| &place.gateways);
        let mut namespaces: BTreeSet<_> = of_gateways.map(|gateway| gateway.namespace.clone()).collect();
        namespaces.extend(placement.bypasses.iter().map(|place| place.namespace.clone()));
        namespaces.extend(placement.http_routes.iter().map(|place| place.namespace.clone()));
        namespaces.insert(ROOT_NAMESPACE.to_owned());
        namespaces
    }

    /// A gateway's TLS server exists only when its Secret does, so that a challenge which is answered there needs one.
    async fn write_placeholders(&self) -> Result<(), SolverError> {
        for secret in &self.placement().placeholders {
            if self.controller.secrets.get(secret).is_some() {
                continue;
            }
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                SolverError::general(format!("the placeholder Secret {secret} can not be written"))
                    .with_source(error)
            };
            let pair = rcgen::generate_simple_self_signed(vec!["placeholder.invalid".to_owned()]);
            let pair = pair.map_err(|error| failed(error.into()))?;
            let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
            let placeholder = placeholder_secret(self.owner, secret, &certificate, &key);
            let api = Api::namespaced(self.controller.client.clone(), &secret.namespace);
            match api.create(&Default::default(), &placeholder).await {
                Ok(written) => {
                    self.controller.secrets.insert(&written);
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }
}
