//! Directory URLs of public CAs, for stores that name only a host or a mangled URL.

use url::Url;

const KNOWN: [&str; 7] = [
    crate::LETS_ENCRYPT,
    crate::LETS_ENCRYPT_STAGING,
    "https://acme.zerossl.com/v2/DV90",
    "https://dv.acme-v02.api.pki.goog/directory",
    "https://dv.acme-v02.test-api.pki.goog/directory",
    "https://acme.ssl.com/sslcom-dv-rsa",
    "https://acme.ssl.com/sslcom-dv-ecc",
];

/// The directory of the CA at this host; none where a host has several.
pub(super) fn by_host(host: &str) -> Option<Url> {
    let mut found = all().filter(|url| url.host_str() == Some(host));
    found.next().filter(|_| found.next().is_none())
}

/// The directory of the CA that has this URL of an account.
pub(super) fn by_account_url(account_url: Option<&Url>) -> Option<Url> {
    account_url.filter(|url| url.port().is_none()).and_then(Url::host_str).and_then(by_host)
}

/// The known directories.
pub(super) fn all() -> impl Iterator<Item = Url> {
    KNOWN.iter().filter_map(|url| Url::parse(url).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(all().count(), KNOWN.len());
        assert_eq!(by_host("acme-v02.api.letsencrypt.org").unwrap().as_str(), crate::LETS_ENCRYPT);
        assert_eq!(by_host("acme.ssl.com"), None);
        assert_eq!(by_host("ca.example.test"), None);
        let account = Url::parse("https://acme.zerossl.com/v2/DV90/account/x").unwrap();
        assert_eq!(by_account_url(Some(&account)).unwrap().as_str(), "https://acme.zerossl.com/v2/DV90");
    }
}
