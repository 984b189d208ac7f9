//! Following all objects of a kind.

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::Lookup;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use std::fmt::Debug;
use std::hash::Hash;
use std::pin::pin;
use tokio::sync::watch;

/// How many objects a page of a list has.
const PAGE: u32 = 500;

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
    let mut events = pin!(watcher(api, config.page_size(PAGE)).default_backoff());
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
            }
            Err(error) => {
                let kind = <K as kube::Resource>::kind(&Default::default()).into_owned();
                tracing::warn!(kind, %error, "a watch broke; it is begun again");
            }
        }
    }
}

/// Whether the cluster has no such kind, or does not let it be read: a controller of one namespace may not see
/// what belongs to the whole cluster.
fn is_absent(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => matches!(status.code, 403 | 404),
        _ => false,
    }
}
