//! Several replicas, of which one leads.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{Load, RESPONDER, World};
use crate::manifest::{SILENT, certificate, gateway, http, route};
use crate::relay::Relay;
use crate::replica::{Replica, ReplicaOptions, answer_of};
use gatecert_api::{Challenge, Issuance};
use gatecert_render::istio::VirtualService;
use gatecert_testkit::cluster::{ApiRequest, delete};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use std::collections::BTreeSet;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Where a second replica is.
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 22);

/// Longer than a Lease holds without a renewal.
const PATIENCE: Duration = Duration::from_secs(60);

async fn replica(
    world: &World,
    identity: &str,
    address: Ipv4Addr,
) -> Result<Replica, Box<dyn Error + Send + Sync>> {
    world.replica(&patient(identity, address)).await
}

/// A replica that waits long for a route to be there.
fn patient(identity: &str, address: Ipv4Addr) -> ReplicaOptions<'_> {
    ReplicaOptions { arguments: &["--route-timeout", "300"], ..ReplicaOptions::new(identity, address) }
}

/// Waits until a replica leads.
async fn led_by(world: &World, identity: &str) -> Outcome {
    let leases: Api<Lease> = Api::namespaced(world.cluster.client.clone(), "gatecert-system");
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let lease = leases.get_opt("gatecert-controller").await?;
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            if holder.as_deref() == Some(identity) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.map_err(|_| format!("{identity} does not lead"))?
}

/// Waits until a Certificate is in the midst of being issued. How far that is, and the Certificate's uid.
async fn begun(world: &World, name: &str) -> Result<(Issuance, String), Box<dyn Error + Send + Sync>> {
    let begun = world.begun("istio-system", name).await?;
    let issuance = begun.status.and_then(|status| status.issuance).ok_or("no issuance")?;
    Ok((issuance, begun.metadata.uid.ok_or("no uid")?))
}

/// A replica that is asked for a challenge over and over.
struct Asked {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    /// Gives what was wrong.
    task: JoinHandle<Vec<String>>,
}

impl Asked {
    /// Begins when the replica has the answer, which it hears of by a watch.
    async fn start(
        replica: &Replica,
        host: &'static str,
        path: String,
        expected: String,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = reqwest::Client::builder().no_proxy().build()?;
        let waited = tokio::time::timeout(PATIENCE, async {
            while replica.answer(host, &path).await.ok().as_ref() != Some(&expected) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.map_err(|_| format!("the other does not answer: {}", replica.log()))?;
        let (responder, stopped, counted) = (replica.address, Arc::clone(&is_over), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut wrong = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                match answer_of(&client, responder, host, &path).await {
                    Ok(answer) if answer == expected => {}
                    Ok(answer) => wrong.push(answer),
                    Err(error) => wrong.push(format!("{error:?}")),
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            wrong
        });
        Ok(Self { is_over, answers, task })
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// Waits for so many more answers.
    async fn more(&self, count: usize) -> Outcome {
        let wanted = self.answers() + count;
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.answers() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.map_err(|_| "the responder is not asked any more".into())
    }

    /// Ends it: all answers were right.
    async fn end(self, name: &str) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        let answers = Arc::clone(&self.answers);
        let wrong = self.task.await?;
        let answers = answers.load(Ordering::Relaxed);
        eprintln!("{name}: the challenge was answered {answers} times");
        assert!(answers > 0 && wrong.is_empty(), "{} of {answers} are wrong: {wrong:?}", wrong.len());
        Ok(())
    }
}

/// A Certificate that the first of two replicas is in the midst of issuing.
struct Begun {
    first: Replica,
    second: Replica,
    issuance: Issuance,
}

impl Begun {
    async fn new(
        world: &World,
        name: &str,
        host: &str,
        relay: Option<Ipv4Addr>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let identity = format!("{name}-a");
        let options = ReplicaOptions { relay, ..patient(&identity, RESPONDER) };
        let first = world.replica(&options).await?;
        led_by(world, &identity).await?;
        let second = replica(world, &format!("{name}-b"), SECOND).await?;
        world
            .apply(
                &[
                    SILENT.to_owned(),
                    gateway("istio-system", name, &[http(name, &[host], "")]),
                    certificate("istio-system", name, &[host]),
                ]
                .concat(),
            )
            .await?;
        let (issuance, _) = begun(world, name).await?;
        Ok(Self { first, second, issuance })
    }

    fn challenge(&self) -> Result<&Challenge, Box<dyn Error + Send + Sync>> {
        Ok(self.issuance.challenges.first().ok_or("no challenge")?)
    }

    fn path(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok(format!("/.well-known/acme-challenge/{}", self.challenge()?.token))
    }

    /// Begins to ask the second for the challenge.
    async fn ask_the_second(&self, host: &'static str) -> Result<Asked, Box<dyn Error + Send + Sync>> {
        let expected = self.challenge()?.key_authorization.clone();
        Asked::start(&self.second, host, self.path()?, expected).await
    }

    /// Waits until the second leads and goes on with the order, and asks until then and on.
    async fn answered_until_taken_over(&self, world: &World, name: &str, asked: Asked) -> Outcome {
        led_by(world, &format!("{name}-b")).await?;
        // No route is proved yet, so that the challenge stays.
        self.second.logs(&self.issuance.order).await?;
        asked.more(50).await?;
        asked.end(name).await
    }

    fn requests_of_the_first(&self, world: &World) -> Vec<ApiRequest> {
        let all = world.cluster.server.requests().into_iter();
        all.filter(|request| request.user.has_token(&self.first.token)).collect()
    }

    /// The first is back, and does nothing but ask for the Lease, which another has.
    async fn first_writes_nothing(&self, world: &World, before: usize, name: &str) -> Outcome {
        self.first.logs("another replica leads").await?;
        // Behind whatever it would still have done.
        let more = format!("after-{name}");
        world.apply(&certificate("istio-system", &more, &[&format!("www.{name}.test")])).await?;
        world.ready("istio-system", &more).await?;
        let asks = || self.requests_of_the_first(world).split_off(before);
        let waited = tokio::time::timeout(PATIENCE, async {
            while asks().is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        waited.await.map_err(|_| "the first is not back")?;
        let is_write = |request: &ApiRequest| {
            request.object_ref.resource != "leases" && !matches!(request.verb.as_str(), "get" | "list")
        };
        let writes: Vec<_> = asks().into_iter().filter(is_write).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        Ok(())
    }

    /// Ends the one that leads, so that nobody has to wait for the end of its Lease.
    async fn end(&mut self) -> Outcome {
        assert_eq!(self.second.terminate().await?, 0);
        Ok(())
    }

    /// Waits until the second leads and has issued, and says how many orders there were.
    async fn finished_by_the_second(
        &self,
        world: &World,
        name: &str,
    ) -> Result<usize, Box<dyn Error + Send + Sync>> {
        led_by(world, &format!("{name}-b")).await?;
        let mut orders = BTreeSet::from([self.issuance.order.clone()]);
        delete(&world.cluster.client, SILENT).await?;
        let certificates = world.certificates("istio-system");
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let status = certificates.get_status(name).await?.status.unwrap_or_default();
                orders.extend(status.issuance.map(|issuance| issuance.order));
                if status.revision == Some(1) {
                    return Ok::<_, kube::Error>(());
                }
            }
        });
        waited.await.map_err(|_| format!("{name} is not issued: {}", self.second.process.log()))??;
        world.ready("istio-system", name).await?;
        Ok(orders.len())
    }
}

pub(crate) async fn a_killed_leader_leaves_nothing_undone(world: &World) -> Outcome {
    let (name, host) = ("killed", "www.killed.test");
    let mut begun = Begun::new(world, name, host, None).await?;
    let expected = begun.challenge()?.key_authorization.clone();
    assert_eq!(begun.first.answer(host, &begun.path()?).await?, expected);
    begun.first.process.signal("KILL")?;
    // Answered by the other before that leads.
    assert_eq!(begun.second.answer(host, &begun.path()?).await?, expected);
    assert_eq!(begun.finished_by_the_second(world, name).await?, 1);
    let certificate = world.ready("istio-system", name).await?;
    world.nothing_left_of(certificate.metadata.uid.as_deref().unwrap_or_default()).await?;
    begun.end().await
}

pub(crate) async fn a_frozen_leader_writes_nothing_when_it_wakes(world: &World) -> Outcome {
    let (name, host) = ("frozen", "www.frozen.test");
    let mut begun = Begun::new(world, name, host, None).await?;
    let asked = begun.ask_the_second(host).await?;
    begun.first.process.signal("STOP")?;
    begun.answered_until_taken_over(world, name, asked).await?;
    assert_eq!(begun.finished_by_the_second(world, name).await?, 1);
    let before = begun.requests_of_the_first(world).len();
    assert!(before > 0, "the requests of the first are not found");
    begun.first.process.signal("CONT")?;
    begun.first_writes_nothing(world, before, name).await?;
    begun.end().await
}

pub(crate) async fn a_leader_that_is_cut_off_writes_nothing_when_it_is_back(world: &World) -> Outcome {
    let relay = Relay::start(&world.cluster.network, Ipv4Addr::new(10, 99, 0, 31)).await?;
    let (name, host) = ("cut", "www.cut.test");
    let mut begun = Begun::new(world, name, host, Some(relay.address)).await?;
    let asked = begun.ask_the_second(host).await?;
    relay.cut();
    begun.answered_until_taken_over(world, name, asked).await?;
    assert_eq!(begun.finished_by_the_second(world, name).await?, 1);
    let before = begun.requests_of_the_first(world).len();
    relay.mend();
    begun.first_writes_nothing(world, before, name).await?;
    begun.end().await
}

pub(crate) async fn a_leader_that_ends_hands_over(world: &World) -> Outcome {
    let (name, host) = ("ended", "www.ended.test");
    let mut begun = Begun::new(world, name, host, None).await?;
    assert_eq!(begun.first.terminate().await?, 0);
    let leases: Api<Lease> = Api::namespaced(world.cluster.client.clone(), "gatecert-system");
    let holder = leases.get("gatecert-controller").await?.spec.and_then(|spec| spec.holder_identity);
    assert!(holder.as_deref() != Some("ended-a"), "the Lease is still its own");
    assert_eq!(begun.finished_by_the_second(world, name).await?, 1);
    begun.end().await
}

/// Nobody waits for a CA that takes connections and says nothing: neither a new leader, nor an issuer that comes while it is
/// being asked.
pub(crate) async fn a_ca_that_does_not_answer_keeps_no_other(world: &World) -> Outcome {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}/dir", silent.local_addr()?);
    let issuer = world.issuer("silent").replace(world.cluster.pebble.directory_url().as_str(), &url);
    world.apply(&issuer).await?;
    let (name, host) = ("heard", "www.heard.test");
    let mut leader = replica(world, name, RESPONDER).await?;
    led_by(world, name).await?;
    // It is asked, and as long as it is there the answer is waited for.
    let _asked = tokio::time::timeout(PATIENCE, silent.accept()).await??;
    let gateway = gateway("istio-system", name, &[http(name, &[host], "")]);
    let later = certificate("istio-system", "heard-later", &[host]).replace("name: pebble", "name: later");
    let certificates =
        [certificate("istio-system", name, &[host]), world.issuer("later"), later].join("---\n");
    world.apply(&gateway).await?;
    world.apply(&certificates).await?;
    world.ready("istio-system", name).await?;
    world.ready("istio-system", "heard-later").await?;
    delete(&world.cluster.client, &world.issuer("later")).await?;
    delete(&world.cluster.client, &issuer).await?;
    assert_eq!(leader.terminate().await?, 0);
    Ok(())
}

/// The name is served by a wildcard's route, on which the challenge stands, when its own route comes: Envoy then takes
/// that, and the challenge follows it.
pub(crate) async fn a_route_of_the_user_in_the_midst_of_a_challenge(world: &World) -> Outcome {
    let (name, host, wildcard) = ("midst", "www.midst.test", "*.midst.test");
    let mut leader = replica(world, name, RESPONDER).await?;
    led_by(world, name).await?;
    world
        .apply(
            &[
                SILENT.to_owned(),
                gateway("istio-system", name, &[http(name, &[wildcard], "")]),
                route("app", name, "istio-system/midst", &[wildcard]),
            ]
            .concat(),
        )
        .await?;
    world.answers(host, "/", 200).await?;
    let load = Load::start(world, &[("http", host, "/", 200), ("http", host, "/other", 200)]);
    world.apply(&certificate("istio-system", name, &[host])).await?;
    let uid = begun(world, name).await?.1;
    assert_eq!(challenge_hosts(world, &uid).await?, [wildcard]);
    world.apply(&route("app", "midst-own", "istio-system/midst", &[host])).await?;
    let waited = tokio::time::timeout(PATIENCE, async {
        while challenge_hosts(world, &uid).await? != [host] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    waited.await.map_err(|_| "the challenge does not follow the route")??;
    delete(&world.cluster.client, SILENT).await?;
    let certificate = world.ready("istio-system", name).await?;
    let status = certificate.status.unwrap_or_default();
    assert_eq!((status.revision, status.failed_issuance_attempts), (Some(1), None));
    world.nothing_left_of(&uid).await?;
    load.end().await?;
    assert_eq!(leader.terminate().await?, 0);
    Ok(())
}

/// The hosts of a Certificate's challenge routes.
async fn challenge_hosts(world: &World, uid: &str) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
    let routes: Api<VirtualService> = Api::all(world.cluster.client.clone());
    let ours = ListParams::default().labels(&format!("gatecert.dev/certificate-uid={uid}"));
    let routes = routes.list(&ours).await?.items;
    Ok(routes.into_iter().flat_map(|route| route.spec.hosts).collect())
}

/// With the rights for one namespace and no more: nothing is refused to it, and nothing done elsewhere.
pub(crate) async fn one_namespace_alone(world: &World) -> Outcome {
    let shop = Alone("shop");
    shop.install(world).await?;
    world.namespaces(&["elsewhere"]).await?;
    let replica = world.replica(&shop.replica(SECOND, &["--only-namespace", "shop"])).await?;
    world
        .apply(
            &[
                gateway("shop", "shop", &[http("shop", &["www.shop.test"], "")]),
                route("shop", "web", "shop/shop", &["www.shop.test"]),
                Alone::certificate("shop", "shop", "www.shop.test"),
                Alone::certificate("elsewhere", "shop", "www.elsewhere.test"),
            ]
            .concat(),
        )
        .await?;
    world.ready("shop", "shop").await.map_err(|error| format!("{error}: {}", replica.process.log()))?;
    let untouched = world.certificates("elsewhere").get("shop").await?;
    assert!(untouched.status.is_none(), "{:?}", untouched.status);
    let secrets: Api<Secret> = Api::all(world.cluster.client.clone());
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=gatecert");
    assert!(
        secrets
            .list(&ours)
            .await?
            .items
            .iter()
            .any(|secret| secret.metadata.namespace.as_deref() == Some("shop"))
    );
    let refused: Vec<_> = world
        .cluster
        .server
        .requests()
        .into_iter()
        .filter(|request| request.user.has_token(&replica.token) && request.response_status.code == 403)
        .map(|request| format!("{} {}", request.verb, request.object_ref.resource))
        .collect();
    assert!(refused.is_empty(), "{refused:?}: {}", replica.process.log());
    Ok(())
}
