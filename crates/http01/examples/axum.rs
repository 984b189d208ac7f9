//! The responder inside an axum application: `cargo run -p gatecert-http01 --example axum`, then
//! `curl -H 'Host: www.example.com' localhost:8080/.well-known/acme-challenge/token`.
#![allow(clippy::print_stdout)]

use axum::Router;
use axum::routing::get;
use gatecert_http01::{Responder, TokenStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens = TokenStore::new();
    tokens.insert("www.example.com", "token", "token.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI")?;

    let application = Router::new()
        .route("/", get(|| async { "the application itself\n" }))
        .route_service("/.well-known/acme-challenge/{token}", Responder::new(tokens));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("on http://{}", listener.local_addr()?);
    axum::serve(listener, application).await?;
    Ok(())
}
