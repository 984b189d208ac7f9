//! `gatecert list`

use crate::Exit;
use crate::args::Out;
use crate::error::{Failure, chain};
use crate::issue::{day, value};
use crate::output::Output;
use comfy_table::{Table, presets};
use gatecert_acme::Clock;
use gatecert_publish::{FileStore, Record};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) fn run(arguments: &Out, output: &Output, clock: &dyn Clock) -> Result<Exit, Failure> {
    let store = FileStore::open_read_only(&arguments.out)?;
    let listed = store.list()?;
    let values: Vec<Value> = listed
        .iter()
        .map(|entry| match &entry.record {
            Ok(record) => value(record, &store.files(&entry.name)),
            Err(error) => json!({"name": entry.name, "error": chain(error)}),
        })
        .collect();
    output.result(&json!({ "certificates": values }), || {
        if listed.is_empty() {
            return "there are no certificates yet (`gatecert issue` gets one)\n".into();
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["NAME", "NAMES", "STATE", "NOT AFTER", "ISSUER"]);
        for entry in &listed {
            let name = entry.name.to_string();
            match &entry.record {
                Ok(record) => table.add_row([
                    name,
                    record.identifiers.len().to_string(),
                    state(record, clock.now()),
                    day(record.not_after),
                    record.issuer.clone(),
                ]),
                Err(error) => table.add_row([name, "-".into(), "damaged".into(), "-".into(), chain(error)]),
            };
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    })?;
    let is_whole = listed.iter().all(|entry| entry.record.is_ok());
    Ok(if is_whole { Exit::Done } else { Exit::Partly })
}

/// One word, or two.
pub(crate) fn state(record: &Record, now: Timestamp) -> String {
    match () {
        () if record.revoked_at.is_some() => "revoked".into(),
        () if record.not_after <= now => "expired".into(),
        () if record.failures.count > 0 => format!("failing ({})", record.failures.count),
        () => format!("valid {} d", record.not_after.duration_since(now).as_hours() / 24),
    }
}
