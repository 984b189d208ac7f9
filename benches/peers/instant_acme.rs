//! One certificate by instant-acme, in the way of its own example but for HTTP-01, for `cargo xtask bench peers`:
//! `instant-acme-peer DIRECTORY CA_FILE LISTEN NAME…`. Prints how long it took in seconds, from the order to the
//! certificate: the account is made, and the responder listens, before that.

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// From tokens to answers.
type Tokens = Arc<RwLock<HashMap<String, String>>>;

#[tokio::main]
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program that measures")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().with_context(|| format!("{what} is missing"));
    let (directory, ca_file, listen) = (next("DIRECTORY")?, next("CA_FILE")?, next("LISTEN")?);
    let names: Vec<_> = arguments.map(Identifier::Dns).collect();
    ensure!(!names.is_empty(), "give a name");
    ensure!(
        rustls::crypto::ring::default_provider().install_default().is_ok(),
        "there is a provider already"
    );

    let tokens = Tokens::default();
    serve(&listen, tokens.clone()).await?;
    let new_account = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let (account, _) = Account::builder_with_root(ca_file)?
        .create(&new_account, directory, None)
        .await
        .context("account")?;

    let start = Instant::now();
    let chain = issue(&account, &names, &tokens).await?;
    let took = start.elapsed();
    ensure!(chain.contains("BEGIN CERTIFICATE"), "no certificate came");
    println!("{}", took.as_secs_f64());
    Ok(())
}

async fn issue(account: &Account, names: &[Identifier], tokens: &Tokens) -> Result<String> {
    let mut order = account.new_order(&NewOrder::new(names)).await.context("order")?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.context("authorization")?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::Http01).context("no HTTP-01")?;
        let answer = challenge.key_authorization().as_str().to_owned();
        tokens.write().unwrap_or_else(PoisonError::into_inner).insert(challenge.token.clone(), answer);
        challenge.set_ready().await.context("challenge")?;
    }
    let status = order.poll_ready(&RetryPolicy::default()).await.context("order")?;
    ensure!(status == OrderStatus::Ready, "the order is {status:?}");
    order.finalize().await.context("finalize")?;
    order.poll_certificate(&RetryPolicy::default()).await.context("certificate")
}

async fn serve(listen: &str, tokens: Tokens) -> Result<()> {
    let app = Router::new().route("/.well-known/acme-challenge/{token}", get(answer)).with_state(tokens);
    let listener = tokio::net::TcpListener::bind(listen).await.context("LISTEN")?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(())
}

async fn answer(State(tokens): State<Tokens>, Path(token): Path<String>) -> Result<String, StatusCode> {
    let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner);
    tokens.get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
