//! Keys and signatures, judged by josekit (which signs and verifies with OpenSSL).

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatecert_acme::{
    AccountKey, Client, ExternalAccount, HmacKey, Jwk, KeyAlgorithm, KeyError, NewAccount, RevocationReason,
    Transport, TransportError,
};
use http::{Method, Request, Response};
use josekit::jwk::Jwk as JoseJwk;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::alg::rsa::RsaKeyPair;
use josekit::jws::{ES256, ES384, HS256, JwsHeader, JwsVerifier, RS256, deserialize_json};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Keys and signatures are made until each of their numbers was once shorter than its field, which is one in 256 for
/// each. With fewer than this many something is wrong: the odds are one in 10^17.
const ENOUGH: usize = 10_000;

/// A CA that says yes to everything and keeps what it was sent.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Request<Bytes>>>);

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let body = match *request.method() {
            Method::GET => json!({
                "newNonce": "https://ca.test/nonce", "newAccount": "https://ca.test/accounts",
                "newOrder": "https://ca.test/orders", "revokeCert": "https://ca.test/revoke",
                "keyChange": "https://ca.test/key-change",
            }),
            _ => json!({"status": "valid"}),
        };
        let mut requests = self.0.lock().unwrap();
        requests.push(request);
        let answer = Response::builder()
            .header("replay-nonce", BASE64_URL_SAFE_NO_PAD.encode(requests.len().to_be_bytes()))
            .header("location", "https://ca.test/account/1")
            .header("content-type", "application/json");
        Ok(answer.body(body.to_string().into()).unwrap())
    }
}

impl Recorder {
    async fn client() -> (Arc<Self>, Client) {
        let recorder = Arc::new(Self::default());
        let directory = "https://ca.test/directory".parse().unwrap();
        let client = Client::builder(directory).transport(recorder.clone()).build().await.unwrap();
        (recorder, client)
    }

    /// The body of the last request.
    fn last(&self) -> String {
        let requests = self.0.lock().unwrap();
        let request = requests.last().unwrap();
        assert_eq!(request.headers()["content-type"], "application/jose+json");
        String::from_utf8(request.body().to_vec()).unwrap()
    }
}

fn member(jws: &str, name: &str) -> Vec<u8> {
    let jws: Value = serde_json::from_str(jws).unwrap();
    BASE64_URL_SAFE_NO_PAD.decode(jws[name].as_str().unwrap()).unwrap()
}

fn protected(jws: &str) -> Value {
    serde_json::from_slice(&member(jws, "protected")).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn jose(jwk: &Jwk) -> JoseJwk {
    JoseJwk::from_bytes(jwk.to_string()).unwrap()
}

fn verifier(key: &AccountKey) -> Box<dyn JwsVerifier> {
    let jwk = jose(key.jwk());
    match key.algorithm() {
        KeyAlgorithm::Es256 => Box::new(ES256.verifier_from_jwk(&jwk).unwrap()),
        KeyAlgorithm::Es384 => Box::new(ES384.verifier_from_jwk(&jwk).unwrap()),
        KeyAlgorithm::Rs256 => Box::new(RS256.verifier_from_jwk(&jwk).unwrap()),
        other => panic!("{other}"),
    }
}

/// The payload and header of an object that this key signed, as josekit reads them.
fn verified(jws: &str, key: &AccountKey) -> (Vec<u8>, JwsHeader) {
    let flattened: Value = serde_json::from_str(jws).unwrap();
    assert_eq!(names(&flattened), ["payload", "protected", "signature"]);
    let (payload, header) = deserialize_json(jws, verifier(key).as_ref()).unwrap();
    assert_eq!(header.algorithm(), Some(key.algorithm().as_str()));
    (payload, header)
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn key_text(name: &str) -> String {
    std::fs::read_to_string(fixture("jws/keys").join(name)).unwrap()
}

fn key_file(name: &str) -> AccountKey {
    AccountKey::from_pem(&key_text(name)).unwrap()
}

fn every_kind() -> Vec<AccountKey> {
    let generated =
        [KeyAlgorithm::Es256, KeyAlgorithm::Es384].map(|algorithm| AccountKey::generate(algorithm).unwrap());
    let imported = ["p256.pem", "p384.pem", "rsa-2048.pem", "rsa-3072.pem", "rsa-4096.pem"].map(key_file);
    generated.into_iter().chain(imported).collect()
}

#[tokio::test]
async fn requests_name_the_key_first_and_the_account_later() {
    for key in every_kind() {
        let (recorder, client) = Recorder::client().await;
        let account = client.create_account(&NewAccount::default(), key.clone()).await.unwrap();
        let created = recorder.last();
        let (payload, header) = verified(&created, &key);
        assert_eq!(
            serde_json::from_slice::<Value>(&payload).unwrap(),
            json!({"termsOfServiceAgreed": false})
        );
        assert_eq!(header.url(), Some("https://ca.test/accounts"));
        assert_eq!(names(&protected(&created)), ["alg", "jwk", "nonce", "url"]);
        assert_eq!(protected(&created)["jwk"], serde_json::to_value(key.jwk()).unwrap());

        account.update_contacts(&[]).await.unwrap();
        let (payload, header) = verified(&recorder.last(), &key);
        assert_eq!(payload, br#"{"contact":[]}"#);
        assert_eq!(header.key_id(), Some("https://ca.test/account/1"));
        assert_eq!(names(&protected(&recorder.last())), ["alg", "kid", "nonce", "url"]);
    }
}

#[tokio::test]
async fn post_as_get_has_an_empty_payload() {
    let (recorder, client) = Recorder::client().await;
    let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    let account = client.create_account(&NewAccount::default(), key.clone()).await.unwrap();
    // The answer is no order; the request is what counts.
    let _ = account.order("https://ca.test/order/1".parse().unwrap()).await;
    assert_eq!(serde_json::from_str::<Value>(&recorder.last()).unwrap()["payload"], "");
    let (payload, header) = verified(&recorder.last(), &key);
    assert!(payload.is_empty());
    assert_eq!(header.url(), Some("https://ca.test/order/1"));
}

#[tokio::test]
async fn a_key_change_is_signed_by_both_keys() {
    let (recorder, client) = Recorder::client().await;
    let (old, new) = (key_file("rsa-2048.pem"), AccountKey::generate(KeyAlgorithm::Es384).unwrap());
    let account = client.create_account(&NewAccount::default(), old.clone()).await.unwrap();
    account.roll_over(new.clone()).await.unwrap();

    let (inner, outer) = verified(&recorder.last(), &old);
    let inner = String::from_utf8(inner).unwrap();
    assert_eq!(names(&protected(&recorder.last())), ["alg", "kid", "nonce", "url"]);
    let (change, header) = verified(&inner, &new);
    assert_eq!(names(&protected(&inner)), ["alg", "jwk", "url"]);
    assert_eq!(header.url(), outer.url());
    let change: Value = serde_json::from_slice(&change).unwrap();
    assert_eq!(change, json!({"account": "https://ca.test/account/1", "oldKey": old.jwk()}));
}

#[tokio::test]
async fn a_certificate_key_revokes_in_its_own_name() {
    let (recorder, client) = Recorder::client().await;
    let key = key_file("rsa-2048-pkcs1.pem");
    client.revoke_with_certificate_key(&key, b"DER", RevocationReason::KeyCompromise).await.unwrap();
    let (payload, _) = verified(&recorder.last(), &key);
    assert_eq!(names(&protected(&recorder.last())), ["alg", "jwk", "nonce", "url"]);
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["certificate"], "REVS");
}

#[tokio::test]
async fn an_external_account_binding_is_an_hs256_object_over_the_account_key() {
    let secret = b"a shared key of the CA, 32 bytes";
    let url_safe = BASE64_URL_SAFE_NO_PAD.encode(secret);
    for key in every_kind() {
        let (recorder, client) = Recorder::client().await;
        let external_account =
            ExternalAccount { key_id: "kid-1 \"quoted\"".into(), hmac_key: url_safe.parse().unwrap() };
        let new_account = NewAccount { external_account: Some(external_account), ..NewAccount::default() };
        client.create_account(&new_account, key.clone()).await.unwrap();

        let (payload, _) = verified(&recorder.last(), &key);
        let binding =
            serde_json::from_slice::<Value>(&payload).unwrap()["externalAccountBinding"].to_string();
        let (bound, header) =
            deserialize_json(&binding, &HS256.verifier_from_bytes(secret).unwrap()).unwrap();
        assert_eq!(names(&protected(&binding)), ["alg", "kid", "url"]);
        assert_eq!(header.key_id(), Some("kid-1 \"quoted\""));
        assert_eq!(header.url(), Some("https://ca.test/accounts"));
        assert_eq!(String::from_utf8(bound).unwrap(), key.jwk().to_string());
    }
}

/// Which of the fixed-width numbers begin with a zero byte.
fn short(numbers: [(&'static str, &[u8]); 5]) -> BTreeSet<&'static str> {
    numbers.into_iter().filter(|(_, bytes)| bytes[0] == 0).map(|(name, _)| name).collect()
}

async fn every_short_number_survives(algorithm: KeyAlgorithm, curve: EcCurve, width: usize, at_least: usize) {
    let (recorder, client) = Recorder::client().await;
    let mut seen = BTreeSet::new();
    let mut count = 0;
    while count < at_least || seen.len() < 5 {
        count += 1;
        assert!(count < ENOUGH, "only {seen:?}");
        let key = AccountKey::generate(algorithm).unwrap();
        client.create_account(&NewAccount::default(), key.clone()).await.unwrap();
        verified(&recorder.last(), &key);

        let exported = EcKeyPair::from_pem(key.to_pkcs8_pem().as_bytes(), Some(curve)).unwrap();
        let private = exported.to_jwk_key_pair();
        let number =
            |name| BASE64_URL_SAFE_NO_PAD.decode(private.parameter(name).unwrap().as_str().unwrap()).unwrap();
        let (x, y, d) = (number("x"), number("y"), number("d"));
        let signature = member(&recorder.last(), "signature");
        assert_eq!((x.len(), y.len(), d.len(), signature.len()), (width, width, width, 2 * width));
        let public = serde_json::to_value(key.jwk()).unwrap();
        assert_eq!((public["x"].as_str(), public["y"].as_str()), (text(&private, "x"), text(&private, "y")));
        let imported = AccountKey::from_jwk(&private.to_string()).unwrap();
        assert_eq!(*imported.to_pkcs8_pem(), *key.to_pkcs8_pem());

        // Some software writes the numbers as short as they are.
        let mut trimmed: Value = serde_json::from_str(&private.to_string()).unwrap();
        for (name, number) in [("x", &x), ("y", &y), ("d", &d)] {
            let start = number.iter().position(|&byte| byte != 0).unwrap();
            trimmed[name] = BASE64_URL_SAFE_NO_PAD.encode(&number[start..]).into();
        }
        assert_eq!(AccountKey::from_jwk(&trimmed.to_string()).unwrap().jwk(), key.jwk());

        let (r, s) = signature.split_at(width);
        seen.extend(short([("x", &x), ("y", &y), ("d", &d), ("r", r), ("s", s)]));
    }
}

fn text<'a>(jwk: &'a JoseJwk, name: &str) -> Option<&'a str> {
    jwk.parameter(name).and_then(Value::as_str)
}

#[tokio::test]
async fn short_numbers_keep_their_width_on_p256() {
    every_short_number_survives(KeyAlgorithm::Es256, EcCurve::P256, 32, 2_000).await;
}

#[tokio::test]
async fn short_numbers_keep_their_width_on_p384() {
    every_short_number_survives(KeyAlgorithm::Es384, EcCurve::P384, 48, 300).await;
}

#[test]
fn keys_of_another_implementation_are_read_in_every_form() {
    for (curve, count) in [(EcCurve::P256, 300), (EcCurve::P384, 100)] {
        for _ in 0..count {
            let pair = EcKeyPair::generate(curve).unwrap();
            agrees(
                &pair.to_jwk_key_pair(),
                &pair.to_pem_private_key(),
                &pair.to_traditional_pem_private_key(),
            );
            let key = AccountKey::from_pkcs8_der(pem::parse(pair.to_pem_private_key()).unwrap().contents())
                .unwrap();
            assert_eq!(key.jwk(), AccountKey::from_sec1_der(&pair.to_raw_private_key()).unwrap().jwk());
        }
    }
    for bits in [2048, 2048, 3072] {
        let pair = RsaKeyPair::generate(bits).unwrap();
        agrees(&pair.to_jwk_key_pair(), &pair.to_pem_private_key(), &pair.to_traditional_pem_private_key());
        let key =
            AccountKey::from_pkcs8_der(pem::parse(pair.to_pem_private_key()).unwrap().contents()).unwrap();
        assert_eq!(key.jwk(), AccountKey::from_pkcs1_der(&pair.to_raw_private_key()).unwrap().jwk());
    }
}

/// One key in three forms gives one key, whose public part is josekit's.
fn agrees(private: &JoseJwk, pkcs8: &[u8], traditional: &[u8]) {
    let public = private.to_public_key().unwrap();
    let pem = |bytes: &[u8]| AccountKey::from_pem(std::str::from_utf8(bytes).unwrap()).unwrap();
    let keys = [pem(pkcs8), pem(traditional), AccountKey::from_jwk(&private.to_string()).unwrap()];
    for key in keys {
        for (name, value) in serde_json::to_value(key.jwk()).unwrap().as_object().unwrap() {
            assert_eq!(public.parameter(name), Some(value), "{name}");
        }
        assert_eq!(*key.to_pkcs8_pem(), *pem(pkcs8).to_pkcs8_pem());
    }
}

#[test]
fn keys_of_openssl_in_every_form() {
    let p256 = key_file("p256.pem");
    assert_eq!(key_file("p256-sec1-with-parameters.pem").jwk(), p256.jwk());
    assert_eq!(key_file("p384-sec1.pem").jwk(), key_file("p384.pem").jwk());
    assert_eq!(key_file("rsa-2048-pkcs1.pem").jwk(), key_file("rsa-2048.pem").jwk());
    assert_eq!(AccountKey::from_pem(&key_text("p256.pem").replace('\n', "\r\n")).unwrap().jwk(), p256.jwk());
    for name in ["p256.pem", "p384.pem", "rsa-2048.pem", "rsa-3072.pem", "rsa-4096.pem"] {
        assert_eq!(*key_file(name).to_pkcs8_pem(), key_text(name), "{name}");
    }
}

#[test]
fn refused_keys_say_why() {
    let refused = |name| AccountKey::from_pem(&key_text(name)).unwrap_err();
    for (name, kind) in [
        ("rsa-1024.pem", "RSA-1024"),
        ("rsa-2560.pem", "RSA-2560"),
        ("rsa-pss.pem", "RSA-PSS"),
        ("ed25519.pem", "Ed25519"),
        ("p521.pem", "P-521"),
        ("p224.pem", "EC (1.3.132.0.33)"),
        ("secp256k1.pem", "secp256k1"),
        ("p256-explicit.pem", "EC (curve not given by name)"),
        ("p256-sec1-explicit.pem", "EC (curve not given by name)"),
    ] {
        assert_eq!(refused(name), KeyError::Unsupported { kind: kind.into() }, "{name}");
        assert!(refused(name).to_string().contains("Let's Encrypt takes P-256, P-384 and RSA"), "{name}");
    }
    for name in ["p256-encrypted.pem", "p256-sec1-encrypted.pem", "rsa-2048-pkcs1-encrypted.pem"] {
        assert_eq!(refused(name), KeyError::Encrypted, "{name}");
    }
    for name in ["p256-sec1-no-public.pem", "p256-no-public.pem", "p256-sec1-compressed.pem"] {
        assert_eq!(refused(name), KeyError::NoPublicPart, "{name}");
        assert!(refused(name).to_string().contains("openssl ec -conv_form uncompressed -in OLD -out NEW"));
    }
    let generated = AccountKey::generate(KeyAlgorithm::Rs256).unwrap_err();
    assert_eq!(generated, KeyError::NotGenerated { algorithm: KeyAlgorithm::Rs256 });
}

#[test]
fn broken_pem_is_refused() {
    let parse = |text: &str| AccountKey::from_pem(text).unwrap_err();
    let good = key_text("p256.pem");
    assert_eq!(parse(""), KeyError::NoPrivateKey);
    assert_eq!(
        parse("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        KeyError::NoPrivateKey
    );
    assert_eq!(parse(&format!("{good}{good}")), KeyError::SeveralPrivateKeys { count: 2 });
    assert!(matches!(parse(good.lines().next().unwrap()), KeyError::Malformed { format: "PEM", .. }));
    for cut in (40..good.len() - 40).step_by(7) {
        let (head, tail) = good.split_at(cut);
        AccountKey::from_pem(&format!("{head}!{tail}")).unwrap_err();
        AccountKey::from_pem(&format!("{head}{}", &tail[tail.len().min(9)..])).unwrap_err();
    }
}

#[test]
fn numbers_that_do_not_belong_together_are_refused() {
    let (ours, others) =
        (private_jwk("p256.pem"), EcKeyPair::generate(EcCurve::P256).unwrap().to_jwk_key_pair());
    for name in ["x", "y", "d"] {
        let mut mixed = ours.clone();
        mixed[name] = others.parameter(name).unwrap().clone();
        let error = AccountKey::from_jwk(&mixed.to_string()).unwrap_err();
        assert!(matches!(error, KeyError::Inconsistent { .. }), "{name}: {error}");
    }
    let ours = RsaKeyPair::from_pem(key_text("rsa-2048.pem")).unwrap().to_jwk_key_pair();
    let others = RsaKeyPair::generate(2048).unwrap().to_jwk_key_pair();
    for name in ["n", "p", "q", "dp", "dq", "qi"] {
        let mut mixed = ours.clone();
        mixed.set_parameter(name, Some(others.parameter(name).unwrap().clone())).unwrap();
        let error = AccountKey::from_jwk(&mixed.to_string()).unwrap_err();
        assert!(matches!(error, KeyError::Inconsistent { .. }), "{name}: {error}");
    }
}

fn private_jwk(name: &str) -> Value {
    let pair = EcKeyPair::from_pem(key_text(name), Some(EcCurve::P256)).unwrap();
    serde_json::from_str(&pair.to_jwk_key_pair().to_string()).unwrap()
}

#[test]
fn broken_private_jwk_is_refused() {
    let good = private_jwk("p256.pem");
    let error = |jwk: Value| AccountKey::from_jwk(&jwk.to_string()).unwrap_err();
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        error(jwk)
    };
    for name in ["kty", "crv", "x", "y", "d"] {
        assert!(matches!(with(name, Value::Null), KeyError::Malformed { format: "JWK", .. }), "{name}");
    }
    assert!(matches!(with("x", json!("a b")), KeyError::Malformed { format: "JWK", .. }));
    assert!(matches!(with("x", json!("A".repeat(64))), KeyError::Inconsistent { .. }));
    assert!(matches!(with("x", json!("_".repeat(64))), KeyError::Malformed { format: "JWK", .. }));
    assert_eq!(with("crv", json!("P-521")), KeyError::Unsupported { kind: "`P-521`".into() });
    assert_eq!(with("kty", json!("oct")), KeyError::Unsupported { kind: "`P-256`".into() });
    assert_eq!(
        error(json!({"kty": "OKP", "crv": "Ed25519"})),
        KeyError::Unsupported { kind: "`Ed25519`".into() }
    );
    assert!(matches!(error(json!([good])), KeyError::Malformed { format: "JWK", .. }));
}

/// A changed byte is noticed, or it is one that does not count: RSA's `d`, say, which nothing here computes with.
#[test]
fn a_damaged_key_is_never_another_key() {
    let (mut refused, mut harmless) = (0, 0);
    for name in ["p256.pem", "p384.pem", "rsa-2048.pem"] {
        let good = key_file(name);
        let der = pem::parse(key_text(name)).unwrap().into_contents();
        for (position, flip) in (0..der.len()).flat_map(|position| [(position, 0x01), (position, 0x80)]) {
            let mut damaged = der.clone();
            damaged[position] ^= flip;
            match AccountKey::from_pkcs8_der(&damaged) {
                Err(_) => refused += 1,
                Ok(key) => {
                    assert_eq!(key.thumbprint(), good.thumbprint(), "{name}: byte {position}");
                    harmless += 1;
                }
            }
        }
    }
    assert!(refused > 2_000 && harmless < 600, "{refused} refused, {harmless} harmless");
}

#[test]
fn the_thumbprint_is_josekits_public_key_hashed() {
    for key in every_kind() {
        let canonical = key.jwk().to_string();
        let members: Vec<&str> = canonical.split(['{', ',']).filter(|member| !member.is_empty()).collect();
        assert!(members.is_sorted(), "{canonical}");
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        assert_eq!(key.thumbprint(), BASE64_URL_SAFE_NO_PAD.encode(digest));
        assert_eq!(key.key_authorization("token"), format!("token.{}", key.thumbprint()));
    }
}

#[test]
fn secrets_do_not_print() {
    for key in every_kind() {
        let pem = key.to_pkcs8_pem();
        let printed = format!("{key:?} {key:#?}");
        assert!(printed.contains(&key.thumbprint()));
        assert_shows_nothing_of(&printed, &pem);
    }
    let text = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA";
    let hmac_key: HmacKey = text.parse().unwrap();
    let account = ExternalAccount { key_id: "visible".into(), hmac_key };
    let new_account = NewAccount { external_account: Some(account), ..NewAccount::default() };
    let printed = format!("{new_account:?} {new_account:#?}");
    assert!(printed.contains("visible"));
    for secret in [text, "secret secret", "115, 101", "73, 65"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let error = "!c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA".parse::<HmacKey>().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2Vj"));
}

/// Neither as text nor as bytes, in decimal or hexadecimal.
pub(crate) fn assert_shows_nothing_of(printed: &str, pem: &str) {
    for block in pem::parse_many(pem).unwrap() {
        let der = block.contents();
        for line in pem.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!printed.contains(&line[..line.len().min(16)]), "{printed}");
        }
        // The first bytes are the same for all keys of a kind; these are the key.
        let secret = &der[der.len() / 2..der.len() / 2 + 6];
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let decimal = format!("{secret:?}");
        for form in [hex.as_str(), &hex.to_uppercase(), decimal.trim_matches(['[', ']'])] {
            assert!(!printed.contains(form), "{printed}");
        }
    }
}
