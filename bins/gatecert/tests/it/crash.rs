//! The program is killed at each point where something changes outside of it, and run again.

use crate::setting::{Setting, finish, gatecert, mode};
use gatecert_testkit::Pebble;
use rcgen::{KeyPair, PublicKeyData as _};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

const NAME: &str = "www.example.test";

/// More points than an issue has.
const MANY: usize = 1000;

/// SIGABRT, with which a fault point ends a process.
const ABORTED: i32 = 6;

fn issue(setting: &Setting, out: &Path, log: &Path) -> Command {
    let mut command = gatecert(&["issue", "--http01-listen", &setting.listen(), "-d", NAME]);
    command.args(setting.authority()).env("GATECERT_OUT", out).env(gatecert_fault::LOG, log);
    command
}

/// The public key of the pair that a reader finds, which is one pair; `None` where there is none yet.
fn pair_in(out: &Path) -> Option<Vec<u8>> {
    // As Envoy does: the directory is looked up once.
    let current = fs::canonicalize(out.join(NAME).join("current")).ok()?;
    let chain = fs::read(current.join("tls.crt")).unwrap();
    let first = x509_parser::pem::Pem::iter_from_buffer(&chain).next().unwrap().unwrap();
    let of_certificate = first.parse_x509().unwrap().public_key().raw.to_vec();
    let key = KeyPair::from_pem(&fs::read_to_string(current.join("tls.key")).unwrap()).unwrap();
    assert_eq!(key.subject_public_key_info(), of_certificate, "the key is of another certificate");
    assert_eq!(mode(&current.join("tls.key")), 0o600);
    Some(of_certificate)
}

/// How many orders the CA took, by the points that were passed.
fn orders(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.starts_with("after POST") && line.ends_with("/order-plz")).count()
}

#[tokio::test]
async fn a_first_issue_at_every_point() {
    let setting = Setting::new(Pebble::builder()).await;
    for point in 1..MANY {
        let (out, log) = (setting.path(&format!("out-{point}")), setting.path(&format!("log-{point}")));
        let killed =
            issue(&setting, &out, &log).env(gatecert_fault::END_AT, point.to_string()).output().unwrap();
        if killed.status.success() {
            assert!(point > 60, "{point} points are too few to be all");
            return;
        }
        assert_eq!(killed.status.signal(), Some(ABORTED), "{killed:?}");
        let last = fs::read_to_string(&log).unwrap().lines().last().unwrap().to_owned();
        let before = pair_in(&out);
        let again = finish(&mut issue(&setting, &out, &log));
        assert_eq!(again.code, 0, "killed {last}: {again:#?}");
        let after = pair_in(&out);
        assert!(after.is_some() && (before.is_none() || before == after), "published twice, killed {last}");
        let most = if is_order_lost(&fs::read_to_string(&log).unwrap(), point) { 2 } else { 1 };
        assert!(orders(&log) <= most, "{} orders, killed {last}", orders(&log));
        assert_eq!(unfinished(&out), Vec::<String>::new(), "killed {last}");
    }
    panic!("there is no end of points");
}

#[tokio::test]
async fn a_renewal_at_every_point() {
    let setting = Setting::new(Pebble::builder()).await;
    for point in 1..MANY {
        let (out, log) = (setting.path(&format!("out-{point}")), setting.path(&format!("log-{point}")));
        assert!(issue(&setting, &out, &log).output().unwrap().status.success());
        let before = pair_in(&out).unwrap();
        fs::remove_file(&log).unwrap();
        let mut forced = issue(&setting, &out, &log);
        let killed = forced.arg("--force").env(gatecert_fault::END_AT, point.to_string()).output().unwrap();
        if killed.status.success() {
            assert!(point > 40, "{point} points are too few to be all");
            assert_ne!(pair_in(&out).unwrap(), before);
            return;
        }
        assert_eq!(killed.status.signal(), Some(ABORTED), "{killed:?}");
        let last = fs::read_to_string(&log).unwrap().lines().last().unwrap().to_owned();
        let meanwhile = pair_in(&out).expect("what was there stays");
        // What was begun is gone on with, and what is done is left as it is.
        let again = finish(&mut issue(&setting, &out, &log));
        assert_eq!(again.code, 0, "killed {last}: {again:#?}");
        if meanwhile != before {
            assert_eq!(pair_in(&out).unwrap(), meanwhile, "published twice, killed {last}");
        }
        assert_eq!(unfinished(&out), Vec::<String>::new(), "killed {last}");
    }
    panic!("there is no end of points");
}

/// Whether the process was killed with an order that can not be gone on with: its URL is in no journal yet, or the CA
/// looked for an answer, and the responder went with the process.
fn is_order_lost(log: &str, point: usize) -> bool {
    let passed: Vec<_> = log.lines().take(point).collect();
    let is_passed =
        |begin: &str, part: &str| passed.iter().any(|line| line.starts_with(begin) && line.contains(part));
    let is_known = is_passed("after put in place", "/journal.json");
    let is_asked = is_passed("before POST", "/chalZ/") && !is_passed("before POST", "/finalize-order/");
    is_passed("after POST", "/order-plz") && !is_known || is_asked
}

/// Files that are not in their place.
fn unfinished(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(unfinished(&entry.path()));
        }
        if name.starts_with(".new-") || name == "journal.json" {
            found.push(name);
        }
    }
    found
}
