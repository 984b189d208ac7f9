//! One writer at a time, in this process or another.

use crate::sample::{certificate, name};
use gatecert_publish::{FileStore, StoreError};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "GATECERT_TEST_LOCKED_DIRECTORY";

fn refusal(directory: &Path) -> (String, Option<u32>) {
    match FileStore::open(directory) {
        Err(error @ StoreError::Locked { holder, .. }) => (error.to_string(), holder),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_writer_is_told_who_is_first() {
    let scratch = tempfile::tempdir().unwrap();
    let first = FileStore::open(scratch.path()).unwrap();
    let (message, holder) = refusal(scratch.path());
    assert_eq!(holder, Some(std::process::id()));
    assert!(message.contains(&first.directory().display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");

    drop(first);
    FileStore::open(scratch.path()).unwrap();
}

#[test]
fn readers_need_no_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let writer = FileStore::open(scratch.path()).unwrap();
    writer.publish(&certificate(1)).unwrap();
    let reader = FileStore::open_read_only(scratch.path()).unwrap();
    assert_eq!(reader.load(&name()).unwrap(), Some(certificate(1)));
}

#[test]
fn the_lock_goes_with_the_process_that_holds_it() {
    let scratch = tempfile::tempdir().unwrap();
    let mut other = Holder::start(scratch.path());
    let (_, holder) = refusal(scratch.path());
    assert_eq!(holder, Some(other.0.id()));

    other.kill();
    FileStore::open(scratch.path()).unwrap();
}

/// This test binary once more, running [`holds_the_lock_for_another_test`] alone.
struct Holder(Child);

impl Holder {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "lock::holds_the_lock_for_another_test", "--nocapture"]);
        command.env(DIRECTORY, directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = Self(command.spawn().unwrap());
        let lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("locked")));
        holder
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn holds_the_lock_for_another_test() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let _store = FileStore::open(directory).unwrap();
    println!("locked");
    // The end of the standard input is the end of the test that waits.
    std::io::stdin().lines().for_each(drop);
}
