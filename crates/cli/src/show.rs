//! `gatecert show`

use crate::Exit;
use crate::args::Show;
use crate::error::Failure;
use crate::issue::{day, value};
use crate::output::Output;
use gatecert_acme::Identifier;
use gatecert_publish::{CertificateFiles, CertificateName, FileStore, Record, StoreReader};
use std::fmt::Write as _;

pub(crate) fn run(arguments: &Show, output: &Output) -> Result<Exit, Failure> {
    let store = FileStore::open_read_only(&arguments.out.out)?;
    let name = find(&store, &arguments.name)?;
    let certificate = store.load(&name)?.ok_or_else(|| unknown(&store, &arguments.name))?;
    let files = store.files(&name);
    output.result(&value(&certificate.record, &files), || text(&certificate.record, &files))?;
    Ok(Exit::Done)
}

/// The certificate of this name.
///
/// # Errors
/// A name that is not there; the error lists those that are.
pub(crate) fn find(store: &StoreReader, name: &str) -> Result<CertificateName, Failure> {
    // As it was given to `gatecert issue`: of capital letters, or with others than ASCII has.
    let ascii = Identifier::dns(name).map(|name| name.value());
    let ascii = ascii.as_deref().unwrap_or(name);
    let wanted = ascii.parse::<CertificateName>().or_else(|_| FileStore::name_for(ascii));
    let names = store.names()?;
    wanted.ok().filter(|wanted| names.contains(wanted)).ok_or_else(|| unknown(store, name))
}

/// These certificates, or all.
pub(crate) fn chosen(store: &StoreReader, names: &[String]) -> Result<Vec<CertificateName>, Failure> {
    match names {
        [] => Ok(store.names()?),
        names => names.iter().map(|name| find(store, name)).collect(),
    }
}

/// What is said of a certificate that is not there.
pub(crate) fn unknown(store: &StoreReader, name: &str) -> Failure {
    let names: Vec<String> = store.names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let place = store.directory().display();
    let failure = Failure::usage(format!("there is no certificate `{name}` in `{place}`"));
    match names.as_slice() {
        [] => failure.hint("there are none at all; --out names another directory"),
        names => failure.hint(format!("there are {}", names.join(", "))),
    }
}

fn text(record: &Record, files: &CertificateFiles) -> String {
    let mut text = String::new();
    let mut row = |what: &str, value: &dyn std::fmt::Display| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{what:14} {value}");
    };
    row("name", &record.name);
    row("names", &record.identifiers.join(" "));
    row("valid", &format_args!("{} to {}", day(record.not_before), day(record.not_after)));
    if let Some(revoked_at) = record.revoked_at {
        row("revoked", &day(revoked_at));
    }
    row("serial", &record.serial);
    row("issuer", &record.issuer);
    row("key", &record.key_type);
    row("profile", &record.profile.as_deref().unwrap_or("the CA's default"));
    row("server", &record.server);
    if let Some(ari) = record.ari.as_ref().filter(|_| record.revoked_at.is_none()) {
        row(
            "renewal",
            &format_args!("{}, chosen from {} to {}", day(ari.selected), day(ari.start), day(ari.end)),
        );
        if let Some(url) = &ari.explanation_url {
            row("", url);
        }
    }
    if let (count @ 1.., Some(last)) = (record.failures.count, record.failures.last) {
        row("failures", &format_args!("{count}, the last at {}", day(last)));
    }
    if let Some(url) = &record.account_url {
        row("account", url);
    }
    if let Some(url) = &record.order_url {
        row("order", url);
    }
    row("certificate", &files.certificate.display());
    row("private key", &files.key.display());
    row("for Envoy", &files.sds.display());
    text
}
