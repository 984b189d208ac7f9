//! The choice among several chains.

use crate::environment::{Environment, names};
use gatecert_acme::{CertificateChain, ChainPreference};
use gatecert_issue::{Event, Request};
use gatecert_testkit::Pebble;

async fn environment() -> Environment {
    Environment::with(Pebble::builder().alternate_roots(2).chain_length(2)).await
}

/// The common name that the n-th root has.
async fn root_name(environment: &Environment, n: u8) -> String {
    let root = CertificateChain::from_pem(environment.pebble.root_pem(n).await.unwrap().as_bytes()).unwrap();
    let (_, root) = x509_parser::parse_x509_certificate(root.leaf_der()).unwrap();
    root.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn by_the_name_of_the_root() {
    let environment = environment().await;
    for n in 0..3 {
        let preference = ChainPreference::IssuerName(root_name(&environment, n).await);
        let request = Request::new(names(&["www.example.test"])).preferred_chain(Some(preference.clone()));
        let bundle = environment.obtain(&request).await.unwrap();
        let chain = CertificateChain::from_pem(bundle.chain_pem.as_bytes()).unwrap();
        assert!(preference.matches(&chain), "root {n}");
        assert_eq!(chain.certificates_der().len(), 3);
    }
}

#[tokio::test]
async fn by_the_fingerprint_of_a_certificate() {
    let environment = environment().await;
    let default = environment.obtain(&Request::new(names(&["www.example.test"]))).await.unwrap();
    let intermediate = environment.pebble.intermediate_pem(1).await.unwrap();
    let fingerprint = gatecert_issue::CertificateFacts::fingerprint_of(&intermediate).unwrap();
    let preference: ChainPreference = fingerprint.parse().unwrap();
    assert!(matches!(preference, ChainPreference::Fingerprint(_)));
    let request = Request::new(names(&["www.example.test"])).preferred_chain(Some(preference.clone()));
    let bundle = environment.obtain(&request).await.unwrap();
    let matches = |pem: &str| preference.matches(&CertificateChain::from_pem(pem.as_bytes()).unwrap());
    assert!(matches(&bundle.chain_pem) && !matches(&default.chain_pem));
}

#[tokio::test]
async fn one_that_the_ca_has_not_gives_the_default() {
    let environment = environment().await;
    let preference = ChainPreference::IssuerName("Another Root".into());
    environment
        .obtain(&Request::new(names(&["www.example.test"])).preferred_chain(Some(preference)))
        .await
        .unwrap();
    let warning = environment.events().into_iter().find(|event| matches!(event, Event::Warning { .. }));
    assert!(format!("{warning:?}").contains("no chain `Another Root`"), "{warning:?}");
}
