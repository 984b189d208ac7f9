//! The whole protocol against the real Pebble.

use crate::clock::PatientClock;
use crate::counting::CountingTransport;
use gatecert_acme::{
    Account, AccountError, AccountKey, AccountStatus, AuthorizationStatus, CertificateChain, CertificateId,
    ChainPreference, Client, Contact, ExternalAccount, HttpTransport, Identifier, IssuedCertificate,
    KeyAlgorithm, NewAccount, NewOrder, Order, OrderError, OrderStatus, ProblemKind, RevocationError,
    RevocationReason, Transport,
};
use gatecert_http01::{Responder, Server, TokenStore};
use gatecert_testkit::{Pebble, PebbleBuilder};
use std::sync::Arc;
use url::Url;
use x509_parser::parse_x509_certificate;

/// Pebble with a responder that answers its validations.
struct Setting {
    pebble: Pebble,
    tokens: TokenStore,
    client: Client,
    _responder: tokio::task::JoinHandle<()>,
}

impl Setting {
    async fn new(builder: PebbleBuilder) -> Self {
        let pebble = builder.start().await.unwrap();
        let client = client(&pebble, transport(&pebble)).await;
        let tokens = TokenStore::new();
        let responder = serve(&pebble, &tokens).await;
        Self { pebble, tokens, client, _responder: responder }
    }

    async fn account(&self) -> Account {
        self.client.create_account(&agreed(), key()).await.unwrap()
    }

    /// From a new order to a downloaded certificate; gives the key too.
    async fn issue(
        &self,
        account: &Account,
        order: NewOrder,
    ) -> Result<(IssuedCertificate, rcgen::KeyPair), OrderError> {
        let mut order = account.new_order(&order).await?;
        self.prove(account, &mut order).await?;
        let key = rcgen::KeyPair::generate().unwrap();
        order.finalize(&csr(&order, &key)).await?;
        order.wait_valid().await?;
        Ok((order.certificate().await?, key))
    }

    /// Answers the challenges of an order and waits until it is ready.
    async fn prove(&self, account: &Account, order: &mut Order) -> Result<(), OrderError> {
        for authorization in order.authorizations().await? {
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let challenge = authorization.http01().expect("Pebble offers HTTP-01");
            let token = challenge.token().unwrap();
            let answer = account.key().key_authorization(token);
            self.tokens.insert(&authorization.identifier.value(), token, &answer).unwrap();
            account.respond(challenge).await.map_err(OrderError::Authorization)?;
        }
        order.wait_ready().await
    }
}

async fn serve(pebble: &Pebble, tokens: &TokenStore) -> tokio::task::JoinHandle<()> {
    let address = format!("127.0.0.1:{}", pebble.http_port());
    let server = Server::bind(address.parse().unwrap()).unwrap();
    let responder = Responder::new(tokens.clone());
    tokio::spawn(async move {
        let _ = server.serve(responder, std::future::pending::<()>()).await;
    })
}

/// HTTP/1.1 would have a connection for each request under way.
#[tokio::test]
async fn requests_share_a_connection() {
    let pebble = Pebble::builder().start().await.unwrap();
    let request = http::Request::get(pebble.directory_url().as_str()).body(bytes::Bytes::new()).unwrap();
    let response = transport(&pebble).send(request).await.unwrap();
    assert_eq!((response.status(), response.version()), (http::StatusCode::OK, http::Version::HTTP_2));
}

fn transport(pebble: &Pebble) -> Arc<dyn Transport> {
    Arc::new(HttpTransport::builder().root_certificates_pem(pebble.ca_pem()).build().unwrap())
}

async fn client(pebble: &Pebble, transport: Arc<dyn Transport>) -> Client {
    Client::builder(pebble.directory_url()).transport(transport).build().await.unwrap()
}

fn key() -> AccountKey {
    AccountKey::generate(KeyAlgorithm::Es256).unwrap()
}

fn agreed() -> NewAccount {
    NewAccount { terms_of_service_agreed: true, ..NewAccount::default() }
}

fn names(count: usize) -> NewOrder {
    NewOrder::new((0..count).map(|n| Identifier::dns(&format!("n{n}.example.test")).unwrap()))
}

fn csr(order: &Order, key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.subject_alt_names = order
        .identifiers()
        .iter()
        .map(|identifier| match identifier {
            Identifier::Dns(name) => rcgen::SanType::DnsName(name.as_str().try_into().unwrap()),
            Identifier::Ip(address) => rcgen::SanType::IpAddress(*address),
        })
        .collect();
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn sans(chain: &CertificateChain) -> usize {
    let (_, leaf) = parse_x509_certificate(chain.leaf_der()).unwrap();
    leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len()
}

fn serial_hex(chain: &CertificateChain) -> String {
    let (_, leaf) = parse_x509_certificate(chain.leaf_der()).unwrap();
    leaf.serial.to_str_radix(16)
}

#[tokio::test]
async fn one_name_costs_seven_posts_and_no_head() {
    let pebble = Pebble::builder().strict(true).start().await.unwrap();
    let tokens = TokenStore::new();
    let responder = serve(&pebble, &tokens).await;
    let counting = CountingTransport::new(transport(&pebble));
    let client = Client::builder(pebble.directory_url())
        .transport(Arc::new(counting.clone()))
        .clock(Arc::new(PatientClock))
        .build()
        .await
        .unwrap();
    let setting = Setting { pebble, tokens, client, _responder: responder };
    let account = setting.account().await;
    counting.take();
    setting.issue(&account, names(1)).await.unwrap();
    let requests = counting.take();
    assert!((6..=7).contains(&requests.len()), "{requests:#?}");
    assert!(requests.iter().all(|request| request.starts_with("POST ")), "{requests:#?}");
}

#[tokio::test]
async fn a_hundred_names_cost_two_posts_each_and_six() {
    let pebble = Pebble::builder().strict(true).start().await.unwrap();
    let tokens = TokenStore::new();
    let responder = serve(&pebble, &tokens).await;
    let counting = CountingTransport::new(transport(&pebble));
    let client = Client::builder(pebble.directory_url())
        .transport(Arc::new(counting.clone()))
        .clock(Arc::new(PatientClock))
        .build()
        .await
        .unwrap();
    let setting = Setting { pebble, tokens, client, _responder: responder };
    let account = setting.account().await;
    counting.take();
    let (issued, _) = setting.issue(&account, names(100)).await.unwrap();
    assert_eq!(sans(&issued.chain), 100);
    let requests = counting.take();
    let posts = requests.iter().filter(|request| request.starts_with("POST ")).count();
    let heads = requests.len() - posts;
    assert!((2 * 100 + 4..=2 * 100 + 6).contains(&posts), "{posts} POSTs");
    assert!(heads <= 15, "{heads} HEADs: one for each request in flight beyond the first");
}

#[tokio::test]
async fn issues_with_most_nonces_refused() {
    for count in [1, 25] {
        let setting = Setting::new(Pebble::builder().strict(true).nonce_reject(90)).await;
        let account = setting.account().await;
        let (issued, _) = setting.issue(&account, names(count)).await.unwrap();
        assert_eq!(sans(&issued.chain), count);
    }
}

#[tokio::test]
async fn reuses_authorizations_where_the_ca_does() {
    for (percent, status) in [(0, OrderStatus::Pending), (100, OrderStatus::Ready)] {
        let setting = Setting::new(Pebble::builder().strict(true).authz_reuse(percent)).await;
        let account = setting.account().await;
        setting.issue(&account, names(3)).await.unwrap();
        let mut second = account.new_order(&names(3)).await.unwrap();
        assert_eq!(second.status(), status, "reuse {percent} %");
        setting.prove(&account, &mut second).await.unwrap();
    }
}

#[tokio::test]
async fn obeys_retry_after_and_asynchronous_finalization() {
    let setting = Setting::new(Pebble::builder().strict(true).retry_after(1, 1)).await;
    let account = setting.account().await;
    setting.issue(&account, names(2)).await.unwrap();
}

#[tokio::test]
async fn ip_identifiers() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let account = setting.account().await;
    let order = NewOrder::new([Identifier::Ip([127, 0, 0, 1].into())]);
    let (issued, _) = setting.issue(&account, order).await.unwrap();
    assert_eq!(sans(&issued.chain), 1);
}

#[tokio::test]
async fn ipv6_identifiers() {
    let pebble = Pebble::builder().strict(true).start().await.unwrap();
    let client = client(&pebble, transport(&pebble)).await;
    let tokens = TokenStore::new();
    let server = Server::bind(format!("[::1]:{}", pebble.http_port()).parse().unwrap()).unwrap();
    let responder = Responder::new(tokens.clone());
    let serving = tokio::spawn(async move {
        let _ = server.serve(responder, std::future::pending::<()>()).await;
    });
    let setting = Setting { pebble, tokens, client, _responder: serving };
    let account = setting.account().await;
    let order = NewOrder::new(["::1".parse().unwrap()]);
    let (issued, _) = setting.issue(&account, order).await.unwrap();
    assert_eq!(sans(&issued.chain), 1);
}

#[tokio::test]
async fn profiles() {
    let profiles = [("default", "the usual", 7_776_000), ("shortlived", "six days", 518_400)];
    let setting = Setting::new(Pebble::builder().profiles(&profiles)).await;
    let advertised = &setting.client.directory().meta.profiles;
    assert_eq!(advertised.keys().collect::<Vec<_>>(), ["default", "shortlived"]);
    let account = setting.account().await;
    let (issued, _) = setting.issue(&account, names(1).profile(Some("shortlived".into()))).await.unwrap();
    let (_, leaf) = parse_x509_certificate(issued.chain.leaf_der()).unwrap();
    let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
    assert!((500_000..=518_400).contains(&life), "{life}");
    let error = account.new_order(&names(1).profile(Some("eternal".into()))).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::InvalidProfile);
}

#[tokio::test]
async fn external_account_binding() {
    let hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let setting = Setting::new(Pebble::builder().eab(&[("kid-1", hmac)])).await;
    let error = setting.client.create_account(&agreed(), key()).await.unwrap_err();
    assert!(matches!(error, AccountError::ExternalAccountRequired), "{error:?}");
    let bound = |kid: &str| NewAccount {
        external_account: Some(ExternalAccount { key_id: kid.into(), hmac_key: hmac.parse().unwrap() }),
        ..agreed()
    };
    let error = setting.client.create_account(&bound("kid-2"), key()).await.unwrap_err();
    assert!(error.request().unwrap().problem().is_some(), "{error:?}");
    let key = key();
    let account = setting.client.create_account(&bound("kid-1"), key.clone()).await.unwrap();
    let again = setting.client.create_account(&agreed(), key).await.unwrap();
    assert_eq!(again.url(), account.url(), "an account that exists needs no second binding");
}

#[tokio::test]
async fn alternate_chains_and_long_ones() {
    let setting = Setting::new(Pebble::builder().alternate_roots(2).chain_length(3)).await;
    let account = setting.account().await;
    let (issued, _) = setting.issue(&account, names(1)).await.unwrap();
    assert_eq!(issued.chain.certificates_der().len(), 4, "leaf and three intermediates");
    assert_eq!(issued.alternates.len(), 2);
    let mut tops = std::collections::BTreeSet::new();
    for url in &issued.alternates {
        let chain = account.certificate(url).await.unwrap().chain;
        assert_eq!(chain.leaf_der(), issued.chain.leaf_der());
        let (_, top) = parse_x509_certificate(chain.certificates_der().last().unwrap()).unwrap();
        let name = top.issuer().iter_common_name().next().unwrap().as_str().unwrap().to_owned();
        let wanted: ChainPreference = name.parse().unwrap();
        assert!(wanted.matches(&chain));
        assert!(!wanted.matches(&issued.chain));
        tops.insert(name);
    }
    assert_eq!(tops.len(), 2);
}

#[tokio::test]
async fn accounts_are_made_found_changed_and_ended() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let first_key = key();
    let error = setting.client.find_account(first_key.clone()).await.unwrap_err();
    assert!(matches!(error, AccountError::DoesNotExist), "{error:?}");
    let contacts = vec![Contact::email("admin@example.test").unwrap()];
    let new_account = NewAccount { contacts, ..agreed() };
    let account = setting.client.create_account(&new_account, first_key.clone()).await.unwrap();
    assert_eq!(setting.client.find_account(first_key.clone()).await.unwrap().url(), account.url());

    let details = account.update_contacts(&[Contact::email("ops@example.test").unwrap()]).await.unwrap();
    assert_eq!(details.contacts, ["mailto:ops@example.test"]);
    assert_eq!(account.details().await.unwrap().status, AccountStatus::Valid);

    let json = serde_json::to_string(&account.credentials()).unwrap();
    let restored = setting.client.account(&serde_json::from_str(&json).unwrap()).unwrap();
    assert_eq!(restored.key().thumbprint(), account.key().thumbprint());

    let rolled = restored.roll_over(AccountKey::generate(KeyAlgorithm::Es384).unwrap()).await.unwrap();
    assert_eq!(rolled.url(), account.url());
    setting.issue(&rolled, names(1)).await.unwrap();
    assert!(account.details().await.is_err(), "the old key is of no use");
    assert!(setting.client.find_account(first_key).await.is_err());

    assert_eq!(rolled.deactivate().await.unwrap().status, AccountStatus::Deactivated);
    let error = rolled.new_order(&names(1)).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::Unauthorized, "{error:?}");
}

#[tokio::test]
async fn revoked_by_account_key() {
    let setting = Setting::new(Pebble::builder()).await;
    let account = setting.account().await;
    let (issued, _) = setting.issue(&account, names(1)).await.unwrap();
    account.revoke(issued.chain.leaf_der(), RevocationReason::Superseded).await.unwrap();
    let status = setting.pebble.cert_status(&serial_hex(&issued.chain)).await.unwrap();
    assert!(status.contains("Revoked"), "{status}");
    let error = account.revoke(issued.chain.leaf_der(), RevocationReason::Superseded).await.unwrap_err();
    assert!(matches!(error, RevocationError::AlreadyRevoked), "{error:?}");
}

#[tokio::test]
async fn revoked_by_certificate_key() {
    let setting = Setting::new(Pebble::builder()).await;
    let account = setting.account().await;
    let (issued, key) = setting.issue(&account, names(1)).await.unwrap();
    let leaf = issued.chain.leaf_der();
    let stranger = crate::pebble::key();
    let refused =
        setting.client.revoke_with_certificate_key(&stranger, leaf, RevocationReason::KeyCompromise).await;
    assert!(refused.is_err());
    let key = AccountKey::from_pem(&key.serialize_pem()).unwrap();
    setting.client.revoke_with_certificate_key(&key, leaf, RevocationReason::KeyCompromise).await.unwrap();
    let status = setting.pebble.cert_status(&serial_hex(&issued.chain)).await.unwrap();
    assert!(status.contains("Revoked"), "{status}");
}

#[tokio::test]
async fn renewal_information_and_replacement() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let account = setting.account().await;
    // Pebble looks for what is replaced by the number alone, without the byte that DER puts before one whose first bit is
    // set: of one certificate in 256 it finds no order.
    let (issued, id) = loop {
        let (issued, _) = setting.issue(&account, names(1)).await.unwrap();
        let (_, leaf) = parse_x509_certificate(issued.chain.leaf_der()).unwrap();
        if leaf.raw_serial().first() != Some(&0) {
            let id = CertificateId::from_der(issued.chain.leaf_der()).unwrap();
            break (issued, id);
        }
    };
    let info = setting.client.renewal_info(&id).await.unwrap();
    assert!(info.window.start < info.window.end);

    let set = r#"{"suggestedWindow":{"start":"2027-01-02T03:04:05Z","end":"2027-01-03T03:04:05Z"},"explanationURL":"https://ca.test/why"}"#;
    setting.pebble.set_renewal_info(&issued.chain.pem(), set).await.unwrap();
    let info = setting.client.renewal_info(&id).await.unwrap();
    assert_eq!(info.window.start.to_string(), "2027-01-02T03:04:05Z");
    assert_eq!(info.explanation_url, Some(Url::parse("https://ca.test/why").unwrap()));

    for malformed in ["{\"suggestedWindow\": 7}", "not json at all", "{}"] {
        setting.pebble.set_renewal_info(&issued.chain.pem(), malformed).await.unwrap();
        setting.client.renewal_info(&id).await.unwrap_err();
    }

    setting.issue(&account, names(1).replaces(Some(id.clone()))).await.unwrap();
    let error = account.new_order(&names(1).replaces(Some(id))).await.unwrap_err();
    assert_eq!(error.request().unwrap().status().unwrap().as_u16(), 409, "{error:?}");
}

#[tokio::test]
async fn a_refused_name_says_so() {
    let setting = Setting::new(Pebble::builder().domain_blocklist(&["blocked.test"])).await;
    let account = setting.account().await;
    let error =
        account.new_order(&NewOrder::new([Identifier::dns("blocked.test").unwrap()])).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::RejectedIdentifier, "{error:?}");
}

#[tokio::test]
async fn a_failed_validation_makes_the_order_invalid() {
    let setting = Setting::new(Pebble::builder()).await;
    let account = setting.account().await;
    let mut order = account.new_order(&names(1)).await.unwrap();
    let authorization = order.authorizations().await.unwrap().remove(0);
    account.respond(authorization.http01().unwrap()).await.unwrap();
    let error = order.wait_ready().await.unwrap_err();
    assert!(matches!(error, OrderError::Invalid { .. }), "{error:?}");
    let failed = account.authorization(authorization.url()).await.unwrap();
    assert_eq!(failed.status, AuthorizationStatus::Invalid);
    assert!(failed.error().is_some());
}

#[tokio::test]
async fn an_order_is_resumed_by_its_url() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let account = setting.account().await;
    let url = account.new_order(&names(2)).await.unwrap().url().clone();
    let credentials = account.credentials();
    drop(account);

    let second = client(&setting.pebble, transport(&setting.pebble)).await;
    let account = second.account(&credentials).unwrap();
    let mut order = account.order(url.clone()).await.unwrap();
    setting.prove(&account, &mut order).await.unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    order.finalize(&csr(&order, &key)).await.unwrap();
    let mut order = account.order(url).await.unwrap();
    order.wait_valid().await.unwrap();
    assert_eq!(sans(&order.certificate().await.unwrap().chain), 2);
}

#[tokio::test]
async fn an_untrusted_ca_is_refused() {
    let setting = Setting::new(Pebble::builder()).await;
    let error = Client::builder(setting.pebble.directory_url()).build().await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("Untrusted"), "{text}");
}
