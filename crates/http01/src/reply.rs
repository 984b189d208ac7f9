//! Short plain-text responses.

use crate::answer::Answer;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// A CDN that keeps a 404 would answer the CA with it after the token has come.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A status and a body with its length.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Bytes,
    length: HeaderValue,
}

impl Reply {
    pub(crate) fn ok(answer: Answer) -> Self {
        Self { status: StatusCode::OK, body: answer.body, length: answer.length }
    }

    pub(crate) const fn not_found() -> Self {
        Self::fixed(StatusCode::NOT_FOUND, "not found\n", "10")
    }

    /// `length` is that of `body` in decimal digits: written out, so that nothing is allocated.
    pub(crate) const fn fixed(status: StatusCode, body: &'static str, length: &'static str) -> Self {
        let body = Bytes::from_static(body.as_bytes());
        Self { status, body, length: HeaderValue::from_static(length) }
    }

    /// Sends the reply in the header map of the request, whose memory is there already.
    pub(crate) fn answering<B>(self, request: Request<B>) -> Response<Full<Bytes>> {
        let (mut parts, _) = request.into_parts();
        let body = if parts.method == Method::HEAD { Bytes::new() } else { self.body };
        parts.headers.clear();
        parts.headers.insert(CONTENT_TYPE, PLAIN_TEXT);
        parts.headers.insert(CONTENT_LENGTH, self.length);
        parts.headers.insert(CACHE_CONTROL, NO_STORE);

        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = parts.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_body() {
        let reply = Reply::not_found();
        assert_eq!(reply.length.to_str().unwrap(), reply.body.len().to_string());
    }
}
