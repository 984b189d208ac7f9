//! The page for programs.

use crate::metrics::AccountLimits;
use gatecert_api::{CertificateSummary, SummaryAt};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    replica: &'a str,
    leads: bool,
    time: Timestamp,
    certificates: Vec<SummaryAt<'a>>,
    /// How many there are beside these.
    left_out: usize,
    /// Absent where another replica leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<Vec<AccountLimits>>,
}

pub(super) fn text(
    replica: &str,
    leads: bool,
    now: Timestamp,
    rows: &[CertificateSummary],
    left_out: usize,
    rate_limits: Option<Vec<AccountLimits>>,
) -> String {
    let certificates = rows.iter().map(|row| row.at(now)).collect();
    let page = Page { replica, leads, time: now, certificates, left_out, rate_limits };
    // A page of texts, numbers and times is always written.
    serde_json::to_string(&page).unwrap_or_default()
}
