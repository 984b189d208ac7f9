//! A whole issuance over HTTP-01:
//! `cargo run -p gatecert-acme --example issue -- DIRECTORY_URL CA_FILE|- ACCOUNT_FILE LISTEN NAME…`
//!
//! With Let's Encrypt's staging directory, on a machine that `www.example.com` points to:
//! `issue https://acme-staging-v02.api.letsencrypt.org/directory - account.json :80 www.example.com`.
//! The chain and its key go to standard output, messages to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use gatecert_acme::{
    Account, AccountKey, AuthorizationStatus, CertificateId, Client, HttpTransport, Identifier, KeyAlgorithm,
    NewAccount, NewOrder, Order,
};
use gatecert_http01::{Responder, Server, TokenStore};
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, ca_file, account_file, listen, names @ ..] = arguments.as_slice() else {
        return Err("usage: issue DIRECTORY_URL CA_FILE|- ACCOUNT_FILE LISTEN NAME…".into());
    };
    // What the CA will ask, on port 80 unless it is a test CA that was told another one.
    let tokens = TokenStore::new();
    let server = Server::bind(listen.parse()?)?.spawn(Responder::new(tokens.clone()))?;

    let client = connect(directory, ca_file).await?;
    let account = account(&client, Path::new(account_file)).await?;
    let names: Vec<Identifier> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let mut order = account.new_order(&NewOrder::new(names)).await?;
    prove(&account, &order, &tokens).await?;
    order.wait_ready().await?;
    finalize(&mut order).await?;
    ask_when_to_renew(&client, &order).await?;
    let _ = server.shutdown().await?;
    Ok(())
}

async fn connect(directory: &str, ca_file: &str) -> Result<Client, Box<dyn Error>> {
    let mut transport = HttpTransport::builder().user_agent_suffix("gatecert-acme-example/1");
    if ca_file != "-" {
        transport = transport.root_certificates_pem(&fs::read_to_string(ca_file)?);
    }
    Ok(Client::builder(directory.parse()?).transport(Arc::new(transport.build()?)).build().await?)
}

async fn account(client: &Client, file: &Path) -> Result<Account, Box<dyn Error>> {
    if file.exists() {
        return Ok(client.account(&serde_json::from_slice(&fs::read(file)?)?)?);
    }
    if let Some(terms) = &client.directory().meta.terms_of_service {
        eprintln!("agreeing to {terms}");
    }
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let account = client.create_account(&new_account, AccountKey::generate(KeyAlgorithm::Es256)?).await?;
    // It holds the account's private key.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(&serde_json::to_vec(&account.credentials())?)?;
    Ok(account)
}

async fn prove(account: &Account, order: &Order, tokens: &TokenStore) -> Result<(), Box<dyn Error>> {
    for authorization in order.authorizations().await? {
        // The CA may still know a name from an earlier order.
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.http01().ok_or("the CA offers no HTTP-01 challenge")?;
        let token = challenge.token().ok_or("the challenge has no token")?;
        let answer = account.key().key_authorization(token);
        tokens.insert(&authorization.identifier.value(), token, &answer)?;
        account.respond(challenge).await?;
    }
    Ok(())
}

async fn finalize(order: &mut Order) -> Result<(), Box<dyn Error>> {
    let key = rcgen::KeyPair::generate()?;
    let names: Vec<String> = order.identifiers().iter().map(Identifier::value).collect();
    let csr = rcgen::CertificateParams::new(names)?.serialize_request(&key)?;
    order.finalize(csr.der()).await?;
    order.wait_valid().await?;
    print!("{}{}", order.certificate().await?.chain.pem(), key.serialize_pem());
    Ok(())
}

async fn ask_when_to_renew(client: &Client, order: &Order) -> Result<(), Box<dyn Error>> {
    let chain = order.certificate().await?.chain;
    match client.renewal_info(&CertificateId::from_der(chain.leaf_der())?).await {
        Ok(info) => eprintln!("renew it between {} and {}", info.window.start, info.window.end),
        Err(error) => eprintln!("{error}: renew it when two thirds of its life are over"),
    }
    Ok(())
}
