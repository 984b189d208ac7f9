//! The CA: a transport that trusts it, a client, an account.

use crate::args::Authority;
use crate::error::Failure;
use crate::files;
use gatecert_acme::{Client, Clock, HttpTransport};
use std::sync::Arc;

/// A transport for the CA. Nothing is asked yet.
pub(crate) fn transport(authority: &Authority) -> Result<HttpTransport, Failure> {
    let mut builder = HttpTransport::builder();
    if let Some(path) = &authority.ca_file {
        builder = builder.root_certificates_pem(&files::read(path, "the CA's roots")?);
    }
    builder.build().map_err(|error| {
        let failure = Failure::local("usage", &error);
        match &authority.ca_file {
            Some(path) => Failure::usage(format!("`{}`: {}", path.display(), failure.message)),
            None => failure,
        }
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
