//! A successful response, and what ACME reads from it.

use crate::request::RequestError;
use crate::retry::retry_after;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, LINK, LOCATION};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// The most links of one response that are read.
const MAX_LINKS: usize = 16;

/// A response with a 2xx status, and the URL that gave it: relative references are resolved against that.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) received: Timestamp,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        crate::json::read(&self.body).map_err(|error| RequestError::Body {
            url: self.url.clone(),
            content_type: content_type(&self.headers),
            // The error's own text quotes what the server sent.
            line: error.line(),
            column: error.column(),
        })
    }

    /// The `Location` header as an absolute URL.
    pub(crate) fn location(&self) -> Option<Url> {
        self.url.join(self.headers.get(LOCATION)?.to_str().ok()?).ok()
    }

    /// How long to wait before asking again, as the server wants it.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers, self.received)
    }

    /// The targets of the links with this relation (RFC 8288), absolute, at most 16.
    pub(crate) fn links(&self, relation: &str) -> Vec<Url> {
        let headers = self.headers.get_all(LINK).into_iter().filter_map(|value| value.to_str().ok());
        headers
            .flat_map(links_of)
            .filter(|(_, parameters)| has_relation(parameters, relation))
            .filter_map(|(target, _)| self.url.join(target).ok())
            .take(MAX_LINKS)
            .collect()
    }
}

/// The `Content-Type` without parameters, lower case.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|media_type| media_type.trim().to_ascii_lowercase())
}

/// The links of one header: target and the text of the parameters. A target may hold commas, so brackets lead.
fn links_of(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn has_relation(parameters: &str, relation: &str) -> bool {
    let relations = parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('='));
    relations
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))
        .flat_map(|(_, value)| value.trim().trim_matches('"').split_ascii_whitespace())
        .any(|value| value.eq_ignore_ascii_case(relation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn reply(headers: &[(http::HeaderName, &str)]) -> Reply {
        Reply {
            url: "https://ca.test/acme/cert/1".parse().unwrap(),
            headers: headers.iter().map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap())).collect(),
            body: Bytes::new(),
            received: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn links_absolute_relative_and_many() {
        let reply = reply(&[
            (LINK, r#"<https://ca.test/dir>;rel="index", </acme/cert/1/1>; rel=alternate"#),
            (LINK, r#"<2,3>;title="x";rel="up alternate""#),
            (LINK, r#"<https://ca.test/no>;rel="alternates""#),
        ]);
        let links: Vec<_> = reply.links("alternate").into_iter().map(String::from).collect();
        assert_eq!(links, ["https://ca.test/acme/cert/1/1", "https://ca.test/acme/cert/2,3"]);
        assert!(reply.links("terms-of-service").is_empty());
    }

    #[test]
    fn broken_links_are_skipped() {
        let reply =
            reply(&[(LINK, "rel=alternate, <unclosed;rel=alternate"), (LINK, "<https://[>;rel=alternate")]);
        assert!(reply.links("alternate").is_empty());
    }

    #[test]
    fn relative_location() {
        assert_eq!(
            reply(&[(LOCATION, "/acme/order/7")]).location().unwrap().as_str(),
            "https://ca.test/acme/order/7"
        );
        assert!(reply(&[]).location().is_none());
    }
}
