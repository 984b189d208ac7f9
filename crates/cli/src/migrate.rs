//! `gatecert migrate`

mod cluster;
mod files;

use crate::Exit;
use crate::args::{Migrate, MigrationTarget};
use crate::error::Failure;
use crate::output::Output;
use crate::stop::or_stopped;
use gatecert_migrate::{InputError, NoteKind, Options, Target, migrate};
use serde_json::json;
use std::collections::BTreeSet;

/// How many errors are told. Whoever has more wants to see them after having corrected these.
const MAX_SHOWN: usize = 100;

pub(crate) async fn run(arguments: &Migrate, output: &Output) -> Result<Exit, Failure> {
    let (documents, mut errors) = match arguments.cluster {
        true => {
            let reading = cluster::read(&arguments.connection, arguments.all_namespaces, output);
            (or_stopped(reading, None).await?, Vec::new())
        }
        false => files::read(&arguments.files, output)?,
    };
    let mut migration = migrate(&documents, &options(arguments));
    errors.append(&mut migration.errors);
    if !errors.is_empty() {
        return refuse(&errors, output);
    }
    if arguments.cluster {
        // Who asked for a cluster knows that there is more in it.
        migration.notes.retain(|note| note.kind != NoteKind::PassedOver);
    }
    let is_nothing = migration.objects.is_empty() && migration.is_complete();
    if is_nothing {
        output.note("nothing of cert-manager's was found");
    }
    let yaml = migration.to_yaml().map_err(|error| Failure::local("migrate", &error))?;
    output.result(&migration.to_json(), || yaml)?;
    let left = migration.notes.iter().filter(|note| note.kind == NoteKind::NotMigrated).count();
    if left > 0 {
        let notes = if left == 1 { "note".to_owned() } else { format!("{left} notes") };
        output.warning(&format!("not all could be migrated: see the {notes} under `Not migrated`"));
        return Ok(Exit::Partly);
    }
    Ok(Exit::Done)
}

fn options(arguments: &Migrate) -> Options {
    Options {
        to: match arguments.to {
            MigrationTarget::Istio => Target::Istio,
            MigrationTarget::GatewayApi => Target::GatewayApi,
        },
        gateway_namespace: arguments.gateway_namespace.clone(),
        controller_namespace: arguments.controller_namespace.clone(),
        cert_manager_namespace: arguments.cert_manager_namespace.clone(),
    }
}

/// Tells all that is wrong with the inputs. Half of a migration would look like a whole one, so that nothing else is
/// printed.
fn refuse(errors: &[InputError], output: &Output) -> Result<Exit, Failure> {
    let sources: BTreeSet<_> = errors.iter().map(|error| error.source.as_str()).collect();
    for error in errors.iter().take(MAX_SHOWN) {
        let failure = Failure::usage(error.to_string());
        output.explain("error: ", &Failure { hint: error.hint.clone(), ..failure });
    }
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let counted = format!("{} in {}", plural(errors.len(), "error"), plural(sources.len(), "input"));
    let message = format!("nothing was migrated: {counted}");
    let more = errors.len().saturating_sub(MAX_SHOWN);
    let summary = if more > 0 { format!("{message}, {more} of them not shown") } else { message.clone() };
    output.warning(&summary);
    let errors: Vec<_> = errors.iter().take(MAX_SHOWN).collect();
    let value = json!({"error": {
        "kind": "input", "message": message, "hint": null, "names": sources, "errors": errors,
    }});
    output.result(&value, String::new)?;
    Ok(Exit::Usage)
}
