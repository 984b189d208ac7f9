//! A whole issuance over HTTP-01: `cargo run -p gatecert-acme --example issue -- DIRECTORY_URL CA_FILE|- LISTEN NAME…`
//!
//! With Let's Encrypt's staging directory, on a machine that `www.example.com` points to:
//! `issue https://acme-staging-v02.api.letsencrypt.org/directory - :80 www.example.com`.
//! The chain goes to standard output; a real program would save the two keys first.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use gatecert_acme::{
    AccountKey, AuthorizationStatus, Client, HttpTransport, Identifier, KeyAlgorithm, NewAccount, NewOrder,
};
use gatecert_http01::{Responder, Server, TokenStore};
use std::error::Error;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, ca_file, listen, names @ ..] = arguments.as_slice() else {
        return Err("usage: issue DIRECTORY_URL CA_FILE|- LISTEN NAME…".into());
    };

    // The responder that the CA will ask, on port 80 unless the CA is told another one.
    let tokens = TokenStore::new();
    let server = Server::bind(listen.parse()?)?;
    let responder = Responder::new(tokens.clone());
    tokio::spawn(async move { server.serve(responder, std::future::pending::<()>()).await });

    let mut transport = HttpTransport::builder().user_agent_suffix("gatecert-acme-example/1");
    if ca_file != "-" {
        transport = transport.root_certificates_pem(&std::fs::read_to_string(ca_file)?);
    }
    let client = Client::builder(directory.parse()?).transport(Arc::new(transport.build()?)).build().await?;
    if let Some(terms) = &client.directory().meta.terms_of_service {
        eprintln!("agreeing to {terms}");
    }
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let account = client.create_account(&new_account, AccountKey::generate(KeyAlgorithm::Es256)?).await?;

    let identifiers: Vec<Identifier> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let mut order = account.new_order(&NewOrder::new(identifiers)).await?;
    for authorization in order.authorizations().await? {
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.http01().ok_or("the CA offers no HTTP-01 challenge")?;
        let token = challenge.token().ok_or("the challenge has no token")?;
        tokens.insert(&authorization.identifier.value(), token, &account.key().key_authorization(token))?;
        account.respond(challenge).await?;
    }
    order.wait_ready().await?;

    let key = rcgen::KeyPair::generate()?;
    let names: Vec<String> = order.identifiers().iter().map(Identifier::value).collect();
    let csr = rcgen::CertificateParams::new(names)?.serialize_request(&key)?;
    order.finalize(csr.der()).await?;
    order.wait_valid().await?;
    print!("{}", order.certificate().await?.chain.pem());
    Ok(())
}
