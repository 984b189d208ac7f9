//! Whether and when to try again, and the `Retry-After` header.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use std::time::Duration;

/// The longest `Retry-After` that is believed: whatever a server asks for, one look a day is not too much.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request may be sent again at once.
    Now,
    /// The same request may succeed after this time, at most a day.
    After(Duration),
    /// The request has to change, or somebody has to act, before it can succeed.
    No,
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds or an HTTP-date. A date in the past is zero; more than
/// [`MAX_RETRY_AFTER`] is cut to it; what can not be read is `None`.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than u64 holds is still "long", not "unreadable".
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now.into()).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn parse(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        retry_after(&headers, "2026-11-23T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn seconds_and_dates() {
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 "), Some(Duration::ZERO));
        assert_eq!(parse("Mon, 23 Nov 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
    }

    #[test]
    fn the_past_is_zero_and_the_absurd_is_cut() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("99999999999999999999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(parse("Fri, 31 Dec 9999 23:59:59 GMT"), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn nonsense_is_ignored() {
        for value in ["", "-1", "1.5", "soon", "Mon, 99 Foo 2026"] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
