//! Signing a request, beside what ring takes for the signature of the same input.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use criterion::Criterion;
use gatecert_acme::{AccountKey, measured};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, RsaKeyPair};
use serde_json::Value;
use std::hint::black_box;

const KID: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/123456789";
const URL: &str = "https://acme-v02.api.letsencrypt.org/acme/new-order";
const NONCE: &str = "oFvnlFP1wIhRlYS2jTaXbAoFvnlFP1wIhRlYS2jTaXbA";
const PAYLOAD: &[u8] = br#"{"identifiers":[{"type":"dns","value":"www.example.com"}]}"#;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jws");
    let keys = "../fixtures/jws/keys";
    for (algorithm, file) in [("ES256", "p256.pem"), ("ES384", "p384.pem"), ("RS256", "rsa-2048.pem")] {
        let text = std::fs::read_to_string(format!("{}/{keys}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let key = AccountKey::from_pem(&text).unwrap();
        let raw = raw(algorithm, pem::parse(text).unwrap().contents());
        let input = signing_input(&key);
        group.bench_function(format!("{algorithm}/request"), |bencher| {
            bencher.iter(|| measured::jws(&key, KID, NONCE, URL, black_box(PAYLOAD)).unwrap());
        });
        group.bench_function(format!("{algorithm}/ring alone"), |bencher| {
            bencher.iter(|| raw(black_box(&input)));
        });
    }
    group.finish();
}

/// What is signed: the protected header and the payload, in base64url.
fn signing_input(key: &AccountKey) -> Vec<u8> {
    let jws: Value = serde_json::from_str(&measured::jws(key, KID, NONCE, URL, PAYLOAD).unwrap()).unwrap();
    let part = |name: &str| jws[name].as_str().unwrap().to_owned();
    let input = format!("{}.{}", part("protected"), part("payload"));
    assert_eq!(part("payload"), BASE64_URL_SAFE_NO_PAD.encode(PAYLOAD));
    input.into_bytes()
}

/// Makes the signature of an input.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// ring's signing with this key (PKCS#8).
fn raw(algorithm: &str, pkcs8: &[u8]) -> Sign {
    let random = SystemRandom::new();
    if algorithm == "RS256" {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
        return Box::new(move |input| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&signature::RSA_PKCS1_SHA256, &random, input, &mut signature).unwrap();
            signature
        });
    }
    let algorithm = match algorithm {
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &random).unwrap();
    Box::new(move |input| pair.sign(&random, input).unwrap().as_ref().to_vec())
}
