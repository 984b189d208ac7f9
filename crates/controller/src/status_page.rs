//! The read-only status page: `/`, `/status.css` and `/status.json` on the port of the health. Any replica shows what it sees;
//! what is left of the CAs' limits is known to the one that leads. There is no script in it, and nothing is loaded from
//! elsewhere.

mod html;
mod json;
mod time_line;

use crate::metrics::Metrics;
use crate::overview::Overview;
use bytes::Bytes;
use gatecert_acme::Clock;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use std::sync::Arc;

/// How many Certificates `/status.json` has: some 600 bytes each, 4 KiB with the longest error, so 4 MB at the very most.
const MOST_IN_JSON: usize = 1000;

/// Headers of every answer. A page of another origin may neither frame, load nor read it.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The page of one replica.
#[derive(Clone)]
pub(crate) struct StatusPage {
    overview: Arc<Overview>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    identity: Arc<str>,
}

impl StatusPage {
    pub(crate) fn new(
        overview: Arc<Overview>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        identity: &str,
    ) -> Self {
        Self { overview, metrics, clock, identity: identity.into() }
    }

    /// The answer to a request, if it is for the page.
    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let (kind, text) = match request.uri().path() {
            "/" => ("text/html; charset=utf-8", self.html()),
            "/status.css" => ("text/css; charset=utf-8", include_str!("status_page/status.css").to_owned()),
            "/status.json" => ("application/json", self.json()),
            _ => return None,
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        Some(response)
    }

    fn html(&self) -> String {
        let now = self.clock.now();
        let (rows, left_out) = self.overview.worst(html::MOST, now);
        html::page(&html::Seen {
            identity: &self.identity,
            leads: self.metrics.leads(),
            now,
            tally: self.overview.tally(now),
            rows: &rows,
            left_out,
            limits: self.metrics.limits(),
        })
    }

    fn json(&self) -> String {
        let now = self.clock.now();
        let (rows, left_out) = self.overview.worst(MOST_IN_JSON, now);
        json::text(&self.identity, self.metrics.leads(), now, &rows, left_out, self.metrics.limits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::tests::{certificate, issued, now};
    use gatecert_acme::SystemClock;
    use http_body_util::BodyExt as _;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    fn page(statuses: &[(&str, Value)]) -> StatusPage {
        let overview = Arc::new(Overview::default());
        for (name, status) in statuses {
            overview.observe(&Event::Apply(certificate(name, status.clone())));
        }
        let metrics = Metrics::new(Arc::clone(&overview));
        StatusPage::new(overview, metrics, Arc::new(SystemClock), "first")
    }

    async fn get(page: &StatusPage, path: &str) -> (Response<Full<Bytes>>, String) {
        let request = Request::builder().uri(path).body(()).unwrap();
        let response = page.answer(&request).unwrap();
        let body = response.body().clone().collect().await.unwrap().to_bytes();
        (response, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_answer_is_closed_to_other_pages() {
        let page = page(&[]);
        for path in ["/", "/status.css", "/status.json"] {
            let (response, _) = get(&page, path).await;
            for (name, value) in HEADERS {
                assert_eq!(response.headers()[&name], value, "{path}");
            }
        }
        for (method, path) in [(Method::POST, "/"), (Method::GET, "/other"), (Method::GET, "/index.html")] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            assert!(page.answer(&request).is_none(), "{path}");
        }
    }

    #[tokio::test]
    async fn what_others_wrote_is_text_and_never_markup() {
        let script = "<script>alert(1)</script><img src=x onerror=y>\"'&";
        let error = json!({"kind": script, "message": script, "hint": script, "names": [script]});
        let page = page(&[("www", json!({"lastError": error}))]);
        let (_, html) = get(&page, "/").await;
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        for markup in ["<script", "<img", "javascript:", "http://", "https://"] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        let inline = [" style=", " onload=", "<style"].iter().find(|inline| html.contains(**inline));
        assert_eq!(inline, None, "the policy would refuse it");
    }

    #[tokio::test]
    async fn a_challenge_is_not_shown() {
        let issuance = json!({
            "order": "https://ca.test/order/secret-1", "names": ["www.test"], "step": "Proving",
            "challenges": [{"name": "www.test", "token": "tok-2", "keyAuthorization": "tok-2.thumb-3"}],
            "since": now().to_string(),
        });
        let page = page(&[("www", json!({"issuance": issuance}))]);
        for path in ["/", "/status.json"] {
            let (_, text) = get(&page, path).await;
            assert!(text.contains("Proving"), "{text}");
            for hidden in ["secret-1", "tok-2", "thumb-3"] {
                assert!(!text.contains(hidden), "{path} shows {hidden}");
            }
        }
    }

    #[tokio::test]
    async fn a_crowd_is_cut_with_a_word() {
        let crowd: Vec<_> = (0..html::MOST + 5).map(|i| format!("c{i}")).collect();
        let crowd: Vec<_> =
            crowd.iter().map(|name| (name.as_str(), issued("2099-01-01T00:00:00Z"))).collect();
        let page = page(&crowd);
        let (_, html) = get(&page, "/").await;
        assert_eq!(html.matches("<tr").count(), html::MOST + 1, "with the header");
        assert!(html.contains("5 more are not shown"), "{html}");
        let (_, json) = get(&page, "/status.json").await;
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["certificates"].as_array().unwrap().len(), html::MOST + 5);
        assert_eq!(
            (&json["leftOut"], &json["replica"], &json["leads"]),
            (&json!(0), &json!("first"), &json!(false))
        );
    }
}
