//! Counts the requests to CAs.

use crate::metrics::Metrics;
use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{Directory, Transport, TransportError};
use std::sync::{Arc, OnceLock};
use url::Url;

/// A transport that counts what goes through it.
#[derive(Debug)]
pub(crate) struct CountedTransport<T> {
    inner: T,
    directory: Url,
    resources: Resources,
    metrics: Arc<Metrics>,
}

/// The URLs that are known once the directory was read.
pub(crate) type Resources = Arc<OnceLock<Vec<(String, &'static str)>>>;

/// The resources of a directory, as RFC 8555 section 7.1.1 and RFC 9773 name them.
pub(crate) fn resources(directory: &Directory) -> Vec<(String, &'static str)> {
    let all = [
        (Some(&directory.new_nonce), "newNonce"),
        (Some(&directory.new_account), "newAccount"),
        (Some(&directory.new_order), "newOrder"),
        (directory.revoke_cert.as_ref(), "revokeCert"),
        (directory.key_change.as_ref(), "keyChange"),
        (directory.renewal_info.as_ref(), "renewalInfo"),
    ];
    all.into_iter().filter_map(|(url, name)| Some((url?.to_string(), name))).collect()
}

impl<T: Transport> CountedTransport<T> {
    pub(crate) fn new(inner: T, directory: Url, resources: Resources, metrics: Arc<Metrics>) -> Self {
        Self { inner, directory, resources, metrics }
    }

    /// What is asked for: a word of a fixed few, whatever a CA's URLs look like.
    fn resource(&self, url: &str) -> &'static str {
        if url == self.directory.as_str() {
            return "directory";
        }
        let mut known = self.resources.get().into_iter().flatten();
        let of_it = |(resource, name): &&(String, &'static str)| match *name {
            "renewalInfo" => url.starts_with(resource.as_str()),
            _ => url == resource,
        };
        // Accounts, orders and what belongs to these have URLs that only the CA knows beforehand.
        known.find(of_it).map_or("other", |(_, name)| name)
    }
}

#[async_trait]
impl<T: Transport> Transport for CountedTransport<T> {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let resource = self.resource(&request.uri().to_string());
        let answer = self.inner.send(request).await;
        let code =
            answer.as_ref().map_or_else(|_| "none".to_owned(), |answer| answer.status().as_str().to_owned());
        self.metrics.asked(self.directory.host_str().unwrap_or_default(), resource, &code);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_acme::TransportErrorKind;

    /// Answers what its path says.
    #[derive(Debug)]
    struct Scripted;

    #[async_trait]
    impl Transport for Scripted {
        async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
            match request.uri().path() {
                "/gone" => Err(TransportErrorKind::Broken.into()),
                "/new-order" => {
                    Ok(http::Response::builder().status(429).body(Bytes::new()).unwrap_or_default())
                }
                _ => Ok(http::Response::default()),
            }
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_what_they_ask_for() {
        let metrics = Metrics::new(Arc::default());
        let resources = Resources::default();
        let directory = "https://ca.test/directory".parse().unwrap();
        let transport =
            CountedTransport::new(Scripted, directory, Arc::clone(&resources), Arc::clone(&metrics));
        let ask = async |path: &str| {
            let request = http::Request::builder().uri(format!("https://ca.test{path}"));
            let _ = transport.send(request.body(Bytes::new()).unwrap()).await;
        };
        ask("/directory").await;
        let order = |name: &str| (format!("https://ca.test/{name}"), "newOrder");
        resources.set(vec![order("new-order"), ("https://ca.test/ari".to_owned(), "renewalInfo")]).unwrap();
        for path in ["/new-order", "/ari/abc.def", "/order/1", "/gone"] {
            ask(path).await;
        }
        let text = metrics.text();
        for counted in [
            r#"gatecert_acme_requests_total{ca="ca.test",resource="directory",code="200"} 1"#,
            r#"gatecert_acme_requests_total{ca="ca.test",resource="newOrder",code="429"} 1"#,
            r#"gatecert_acme_requests_total{ca="ca.test",resource="renewalInfo",code="200"} 1"#,
            r#"gatecert_acme_requests_total{ca="ca.test",resource="other",code="200"} 1"#,
            r#"gatecert_acme_requests_total{ca="ca.test",resource="other",code="none"} 1"#,
        ] {
            assert!(text.contains(counted), "{counted}: {text}");
        }
    }
}
