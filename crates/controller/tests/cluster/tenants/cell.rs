//! One cell of the matrix, and what has to hold in it.

use super::record::Record;
use crate::Outcome;
use crate::harness::World;
use crate::manifest::certificate;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

/// Who asks for what is another's.
pub(super) const ATTACKER: &str = "tenant-attacker";

/// Who is entitled in most cells.
pub(super) const VICTIM: &str = "tenant-victim";

/// A cell. The Certificates of both sides have its name.
pub(super) struct Cell {
    pub(super) name: &'static str,
    /// The name that is asked for.
    pub(super) host: String,
    /// Gateways, routes and issuers, as they are before anybody asks.
    pub(super) setting: String,
    /// What the attacker writes: a Certificate, or a source that one is made of.
    pub(super) attack: String,
    /// The reason of the refusal.
    pub(super) reason: &'static str,
    /// What its message names: the object or the rule.
    pub(super) names: Vec<String>,
    /// Who is entitled.
    pub(super) entitled: &'static str,
    /// What they write.
    pub(super) claim: String,
}

impl Cell {
    /// A cell in which both write the same Certificate, and the victim is entitled.
    pub(super) fn new(name: &'static str, setting: impl Into<String>, named: &str) -> Self {
        let host = host(name);
        Self {
            name,
            setting: setting.into(),
            attack: certificate(ATTACKER, name, &[&host]),
            reason: "NotAllowed",
            names: vec![host.clone(), named.to_owned()],
            entitled: VICTIM,
            claim: certificate(VICTIM, name, &[&host]),
            host,
        }
    }

    /// The entitled one is in another namespace.
    pub(super) fn entitled(self, entitled: &'static str) -> Self {
        let claim = certificate(entitled, self.name, &[&self.host]);
        Self { entitled, claim, ..self }
    }

    /// The attacker writes something else.
    pub(super) fn attack(self, attack: impl Into<String>) -> Self {
        Self { attack: attack.into(), ..self }
    }

    /// The refusal is another one, and names something else.
    pub(super) fn refused(self, reason: &'static str, names: &[&str]) -> Self {
        Self { reason, names: names.iter().map(|&name| name.to_owned()).collect(), ..self }
    }

    /// Both ask another issuer, `name: x, kind: y`.
    pub(super) fn by(self, issuer: &str) -> Self {
        let change = |text: &str| text.replace("name: pebble, kind: ClusterIssuer", issuer);
        Self { attack: change(&self.attack), claim: change(&self.claim), ..self }
    }

    pub(super) async fn set_up(&self, world: &World) -> Outcome {
        world.apply(&self.setting).await.map_err(|error| format!("{}: {error}", self.name).into())
    }

    /// The attacker asks, and reads why not.
    pub(super) async fn is_refused(&self, world: &World) -> Outcome {
        world.apply(&self.attack).await?;
        let message = world.refused(ATTACKER, self.name, self.reason).await;
        let message = message.map_err(|error| format!("{}: {error}", self.name))?;
        match self.names.iter().find(|word| !message.contains(*word)) {
            Some(word) => Err(format!("{}: {word:?} is not named: {message}", self.name).into()),
            None => Ok(()),
        }
    }

    /// The entitled one asks, and gets it.
    pub(super) async fn is_granted(&self, world: &World) -> Outcome {
        world.apply(&self.claim).await?;
        let ready = world.ready(self.entitled, self.name).await;
        ready.map(drop).map_err(|error| format!("{}: {error}", self.name).into())
    }

    /// Of the attack nothing came: no route was there for a moment, nothing was ordered, and no Secret is there.
    pub(super) async fn left_nothing(&self, world: &World, record: &Record) -> Outcome {
        let certificate = world.certificates(ATTACKER).get(self.name).await?;
        let (cell, uid) = (self.name, certificate.uid().unwrap_or_default());
        assert_eq!(record.of(&uid), Vec::<String>::new(), "{cell}: routes were made");
        let status = certificate.status.unwrap_or_default();
        assert_eq!((status.issuance, status.failed_issuance_attempts), (None, None), "{cell}");
        assert_eq!((status.revision, status.not_after), (None, None), "{cell}");
        let log = world.log().await;
        let orders = |namespace: &str| orders(&log, namespace, cell);
        assert_eq!(orders(ATTACKER), 0, "{cell}: something was ordered");
        assert!(orders(self.entitled) > 0, "{cell}: orders are not seen");
        let of_it = format!("gatecert.dev/certificate-uid={uid}");
        let secrets: Api<Secret> = Api::all(world.cluster.client.clone());
        let secrets = secrets.list(&ListParams::default().labels(&of_it)).await?;
        assert_eq!(secrets.items.len(), 0, "{cell}: a Secret was written");
        Ok(())
    }
}

/// The name that is asked for in a cell.
pub(super) fn host(cell: &str) -> String {
    format!("www.{cell}.test")
}

/// How many orders the controller has made for a Certificate, or gone on with: each has a line in its log.
pub(super) fn orders(log: &str, namespace: &str, name: &str) -> usize {
    let (namespace, name) = (format!("namespace=\"{namespace}\""), format!("name=\"{name}\""));
    let of_it = |line: &&str| line.contains(&namespace) && line.contains(&name);
    log.lines().filter(|line| line.contains(": order ")).filter(of_it).count()
}
