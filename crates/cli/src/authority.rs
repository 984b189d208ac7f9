//! The CA: a transport that trusts it, a client, an account.

use crate::args::Authority;
use crate::error::Failure;
use crate::files;
use gatecert_acme::{Client, Clock, HttpTransport, HttpTransportError};
use std::sync::Arc;

/// What a file of roots is, and whether one is needed.
const ROOTS: &str =
    "name a PEM file with the root of the CA's own HTTPS certificate; a CA that browsers trust needs none";

/// A transport for the CA. Nothing is asked yet.
pub(crate) fn transport(authority: &Authority) -> Result<HttpTransport, Failure> {
    let mut builder = HttpTransport::builder();
    if let Some(path) = &authority.ca_file {
        let roots = files::read(path, "the CA's roots").map_err(|failure| failure.hint(ROOTS))?;
        builder = builder.root_certificates_pem(&roots);
    }
    builder.build().map_err(|error| {
        let failure = Failure::local("usage", &error);
        let Some(path) = &authority.ca_file else { return failure };
        let refused = Failure::usage(format!("`{}`: {}", path.display(), failure.message));
        let is_of_file = matches!(
            error,
            HttpTransportError::NoCertificate | HttpTransportError::Pem(_) | HttpTransportError::Root(_)
        );
        if is_of_file { refused.hint(ROOTS) } else { refused }
    })
}

/// A client of the CA: fetches the directory.
pub(crate) async fn client(
    authority: &Authority,
    transport: HttpTransport,
    clock: Arc<dyn Clock>,
) -> Result<Client, Failure> {
    let builder = Client::builder(authority.server.clone()).transport(Arc::new(transport)).clock(clock);
    Ok(builder.build().await?)
}
