//! The words for verdicts. Programs and `docs/doctor.md` go by them, so that they stay as they are.

use serde::Serialize;

macro_rules! kinds {
    ($($variant:ident = $word:literal),* $(,)?) => {
        /// What a verdict says. The part of the word before the first hyphen is the check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub(crate) enum Kind {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl Kind {
            /// All of them, in the order of the report.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The check that it comes from.
            pub(crate) fn check(self) -> &'static str {
                self.as_str().split('-').next().unwrap_or_default()
            }
        }
    };
}

kinds! {
    DnsOk = "dns-ok",
    DnsMissing = "dns-missing",
    DnsFailed = "dns-failed",
    DnsPrivate = "dns-private",
    DnsElsewhere = "dns-elsewhere",
    DnsSkipped = "dns-skipped",
    CaaOk = "caa-ok",
    CaaForbids = "caa-forbids",
    CaaMethod = "caa-method",
    CaaAccount = "caa-account",
    CaaFailed = "caa-failed",
    CaaSkipped = "caa-skipped",
    HttpOk = "http-ok",
    HttpUnreachable = "http-unreachable",
    HttpTimeout = "http-timeout",
    HttpBroken = "http-broken",
    HttpIpv6 = "http-ipv6",
    HttpDenied = "http-denied",
    HttpError = "http-error",
    HttpAnswered = "http-answered",
    HttpUnexpected = "http-unexpected",
    HttpRedirects = "http-redirects",
    HttpRedirectTarget = "http-redirect-target",
    HttpRedirectElsewhere = "http-redirect-elsewhere",
    HttpSkipped = "http-skipped",
    ClusterSkipped = "cluster-skipped",
    ClusterForbidden = "cluster-forbidden",
    ClusterNotInstalled = "cluster-not-installed",
    ControllerOk = "controller-ok",
    ControllerMissing = "controller-missing",
    ControllerStale = "controller-stale",
    GatewayOk = "gateway-ok",
    GatewayMissing = "gateway-missing",
    GatewayNotReady = "gateway-not-ready",
    GatewayNotAllowed = "gateway-not-allowed",
    GatewayRedirect = "gateway-redirect",
    GatewayPathTaken = "gateway-path-taken",
    GatewayShadowed = "gateway-shadowed",
    PolicyOk = "policy-ok",
    PolicyDenies = "policy-denies",
    PolicyMayDeny = "policy-may-deny",
    ResponderOk = "responder-ok",
    ResponderDown = "responder-down",
    ResponderTls = "responder-tls",
    SecretOk = "secret-ok",
    SecretMissing = "secret-missing",
    SecretNotRead = "secret-not-read",
    SecretType = "secret-type",
    SecretForeign = "secret-foreign",
    SecretPlaceholder = "secret-placeholder",
    SecretUnreadable = "secret-unreadable",
    SecretKey = "secret-key",
    SecretNames = "secret-names",
    SecretExpired = "secret-expired",
    SecretNotYetValid = "secret-not-yet-valid",
    SecretChain = "secret-chain",
    CertificateOk = "certificate-ok",
    CertificateMissing = "certificate-missing",
    CertificateIssuing = "certificate-issuing",
    CertificateNotReady = "certificate-not-ready",
    IssuerOk = "issuer-ok",
    IssuerMissing = "issuer-missing",
    IssuerNotReady = "issuer-not-ready",
    RenewalOk = "renewal-ok",
    RenewalOverdue = "renewal-overdue",
    RenewalUnknown = "renewal-unknown",
    LimitOk = "limit-ok",
    LimitUsedUp = "limit-used-up",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The table of the document, whose rows begin with the word in backticks.
    #[test]
    fn the_document_has_every_kind_once_and_no_other() {
        let document = include_str!("doctor.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let written: Vec<_> = rows.map(|(word, _)| word).collect();
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(written, known);
        assert_eq!(known.iter().collect::<BTreeSet<_>>().len(), known.len());
    }
}
