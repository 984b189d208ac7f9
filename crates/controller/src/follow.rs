//! Following all objects of a kind.

use backon::ExponentialBuilder;
use futures::StreamExt as _;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::Lookup;
use kube::runtime::reflector::store::Writer;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event, ExponentialBackoff, watcher};
use std::fmt::Debug;
use std::hash::Hash;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;

/// How many objects a page of a list has.
const PAGE: u32 = 500;

/// The waits before a watch that broke is begun again. What is not seen is not done, so that the longest is short beside
/// what kube takes by default, 30 seconds after six watches in a row whose history was gone.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// After so long without a break the next wait is the first again.
const UNBROKEN: Duration = Duration::from_secs(30);

/// How often a kind is looked for that the cluster does not have.
const ABSENT: Duration = Duration::from_secs(30);

/// Keeps a store in step with the API server, for ever: a watch that expires or breaks is begun again.
///
/// `trim` drops what nobody reads before an object is kept; `seen` is told of each event after the store knows of it;
/// `synced` becomes true with the first complete list, or when there is no such kind in the cluster, which may change
/// later.
pub(crate) async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    mut writer: Option<Writer<K>>,
    trim: impl Fn(&mut K),
    mut seen: impl FnMut(&Event<K>),
    synced: watch::Sender<bool>,
) where
    K: kube::Resource + Lookup + Clone + Debug + Send + serde::de::DeserializeOwned + 'static,
    <K as kube::Resource>::DynamicType: Default + Eq + Hash + Clone,
    K: Lookup<DynamicType = <K as kube::Resource>::DynamicType>,
{
    let mut events = pin!(watcher(api, config.page_size(PAGE)).backoff(backoff()));
    while let Some(event) = events.next().await {
        match event {
            Ok(mut event) => {
                if let Event::Apply(object) | Event::InitApply(object) = &mut event {
                    object.meta_mut().managed_fields = None;
                    trim(object);
                }
                if let Some(writer) = &mut writer {
                    writer.apply_watcher_event(&event);
                }
                seen(&event);
                if matches!(event, Event::InitDone) {
                    synced.send_replace(true);
                }
            }
            Err(error) if is_absent(&error) => {
                synced.send_replace(true);
                tokio::time::sleep(ABSENT).await;
            }
            Err(error) => {
                let kind = <K as kube::Resource>::kind(&Default::default()).into_owned();
                tracing::warn!(kind, %error, "a watch broke; it is begun again");
            }
        }
    }
}

fn backoff() -> impl Backoff {
    let waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .with_jitter();
    ResetTimerBackoff::new(ExponentialBackoff::from(waits), UNBROKEN)
}

/// Whether the cluster has no such kind, or does not let it be read: a controller of one namespace may not see
/// what belongs to the whole cluster.
fn is_absent(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => matches!(status.code, 403 | 404),
        _ => false,
    }
}
