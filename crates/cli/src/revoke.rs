//! `gatecert revoke`

use crate::Exit;
use crate::args::{Authority, Revoke};
use crate::error::{Failure, of_request};
use crate::output::Output;
use crate::{account_store, authority, show, stop};
use gatecert_acme::{AccountKey, CertificateChain, Client, Clock, RevocationError};
use gatecert_publish::{Certificate, FileStore};
use serde_json::json;
use std::sync::Arc;

const MAY_BE_DONE: &str = "the CA may have revoked it: the same command again says so";

pub(crate) async fn run(arguments: &Revoke, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    FileStore::open_read_only(&arguments.out.out)?;
    let store = FileStore::open(&arguments.out.out)?;
    let name = show::find(&store, &arguments.name)?;
    let certificate = store.load(&name)?.ok_or_else(|| show::unknown(&store, &arguments.name))?;
    let authority = Authority {
        server: certificate.record.server.clone(),
        ca_file: certificate.record.renewal.ca_file.clone(),
    };
    let client = authority::client(&authority, authority::transport(&authority)?, clock.clone()).await?;
    let outcome =
        stop::or_stopped(revoke(arguments, &store, &client, &certificate), Some(MAY_BE_DONE)).await?;

    let mut record = certificate.record;
    record.revoked_at = Some(clock.now());
    store.update_record(&record)?;
    output.result(&json!({"name": name, "serial": record.serial, "status": outcome, "reason": arguments.reason.as_str()}), || {
        format!("{outcome} {name} (serial {}); `gatecert issue` gets another one\n", record.serial)
    })?;
    Ok(Exit::Done)
}

async fn revoke(
    arguments: &Revoke,
    store: &FileStore,
    client: &Client,
    certificate: &Certificate,
) -> Result<&'static str, Failure> {
    let chain = CertificateChain::from_pem(certificate.chain_pem.as_bytes());
    let chain = chain.map_err(|error| Failure::local("store", &error))?;
    let revoked = if arguments.with_certificate_key {
        let key =
            AccountKey::from_pem(&certificate.key_pem).map_err(|error| Failure::local("store", &error))?;
        client.revoke_with_certificate_key(&key, chain.leaf_der(), arguments.reason).await
    } else {
        let stored = account_store::load(store, client.directory_url())?.ok_or_else(|| {
            Failure::usage(format!("there is no account for {}", client.directory_url()))
                .hint("--with-certificate-key revokes without one")
        })?;
        let (account, _) = account_store::open(store, client, stored).await?;
        account.revoke(chain.leaf_der(), arguments.reason).await
    };
    match revoked {
        Ok(()) => Ok("revoked"),
        Err(RevocationError::AlreadyRevoked) => Ok("already revoked"),
        Err(error) => {
            let hint = match &error {
                RevocationError::Revoke(request) => of_request(request),
                _ => None,
            };
            Err(Failure { hint, ..Failure::local("revoke", &error) })
        }
    }
}
