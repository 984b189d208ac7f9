//! The program is killed at each point where something changes outside of it, and run again.

use crate::certificate::serve_files;
use crate::setting::{Setting, finish, gatecert, mode};
use gatecert_testkit::Pebble;
use rcgen::{KeyPair, PublicKeyData as _};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

const NAME: &str = "www.example.test";

/// More points than an issue has.
const MANY: usize = 1000;

/// SIGABRT, with which a fault point ends a process.
const ABORTED: i32 = 6;

/// `http01` is the option that says how challenges are answered, with its value.
fn issue(setting: &Setting, http01: [&str; 2], out: &Path, log: &Path) -> Command {
    let [option, value] = http01;
    let mut command = gatecert(&["issue", option, value, "-d", NAME]);
    command.args(setting.authority()).env("GATECERT_OUT", out).env(gatecert_fault::LOG, log);
    command
}

/// Runs it as far as this point, and gives the point as the log has it; `None` where it came to its own end before.
fn killed_at(point: usize, command: &mut Command, log: &Path) -> Option<String> {
    let killed = command.env(gatecert_fault::END_AT, point.to_string()).output().unwrap();
    if killed.status.success() {
        return None;
    }
    assert_eq!(killed.status.signal(), Some(ABORTED), "{killed:?}");
    Some(fs::read_to_string(log).unwrap().lines().last().unwrap().to_owned())
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

/// How many orders were gone on with. Of a renewal, Pebble refuses the first order where the certificate that it replaces
/// has a short number, as one in 256 has, and another one is made without that.
fn orders_gone_on_with(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    let order = |line: &'_ str| Some(line.split_once("-order/")?.1.to_owned());
    text.lines()
        .filter(|line| line.starts_with("after POST"))
        .filter_map(order)
        .collect::<BTreeSet<_>>()
        .len()
}

/// At most one order, or two where the first can not be gone on with.
fn check_orders(orders: usize, log: &Path, point: usize, last: &str) {
    let most = if is_order_lost(&fs::read_to_string(log).unwrap(), point) { 2 } else { 1 };
    assert!(orders <= most, "{orders} orders, killed {last}: {}", fs::read_to_string(log).unwrap());
}

#[tokio::test]
async fn a_first_issue_at_every_point() {
    let setting = Setting::new(Pebble::builder()).await;
    let listen = setting.listen();
    let http01 = ["--http01-listen", listen.as_str()];
    for point in 1..MANY {
        let (out, log) = (setting.path(&format!("out-{point}")), setting.path(&format!("log-{point}")));
        let Some(last) = killed_at(point, &mut issue(&setting, http01, &out, &log), &log) else {
            assert!(point > 60, "{point} points are too few to be all");
            eprintln!("a first issue: killed at {} points", point - 1);
            return;
        };
        let before = pair_in(&out);
        let again = finish(&mut issue(&setting, http01, &out, &log));
        assert_eq!(again.code, 0, "killed {last}: {again:#?}");
        let after = pair_in(&out);
        assert!(after.is_some() && (before.is_none() || before == after), "published twice, killed {last}");
        check_orders(orders(&log), &log, point, &last);
        assert_eq!(unfinished(&out), Vec::<String>::new(), "killed {last}");
    }
    panic!("there is no end of points");
}

#[tokio::test]
async fn a_renewal_at_every_point() {
    let setting = Setting::new(Pebble::builder()).await;
    let listen = setting.listen();
    let http01 = ["--http01-listen", listen.as_str()];
    let (mut killed, mut was_killed) = (0, true);
    for point in 1..MANY {
        let (out, log) = (setting.path(&format!("out-{point}")), setting.path(&format!("log-{point}")));
        assert!(issue(&setting, http01, &out, &log).output().unwrap().status.success());
        let before = pair_in(&out).unwrap();
        // From here on the log is of the renewal, and so are the orders in it.
        fs::remove_file(&log).unwrap();
        let mut forced = issue(&setting, http01, &out, &log);
        let Some(last) = killed_at(point, forced.arg("--force"), &log) else {
            assert_ne!(pair_in(&out).unwrap(), before);
            assert_eq!(orders_gone_on_with(&log), 1);
            // One has fewer points where Pebble takes an authorization that it has, as it does once in a hundred times; two in a
            // row are the end.
            if !was_killed {
                assert!(killed >= 40, "{killed} points are too few to be all");
                eprintln!("a renewal: killed at {killed} points");
                return;
            }
            was_killed = false;
            continue;
        };
        (killed, was_killed) = (killed + 1, true);
        let meanwhile = pair_in(&out).expect("what was there stays");
        // What was begun is gone on with, and what is done is left as it is.
        let again = finish(&mut issue(&setting, http01, &out, &log));
        assert_eq!(again.code, 0, "killed {last}: {again:#?}");
        if meanwhile != before {
            assert_eq!(pair_in(&out).unwrap(), meanwhile, "published twice, killed {last}");
        }
        check_orders(orders_gone_on_with(&log), &log, point, &last);
        assert_eq!(unfinished(&out), Vec::<String>::new(), "killed {last}");
    }
    panic!("there is no end of points");
}

/// The answer is a file, and who serves it stays: at each point at which a killed run leaves one, the next run goes on
/// with the same order and takes the file away. The points before and behind are those of the other tests.
#[tokio::test]
async fn a_first_issue_through_a_webroot_at_every_point_with_an_answer() {
    let setting = Setting::new(Pebble::builder()).await;
    let webroot = setting.path("webroot");
    fs::create_dir(&webroot).unwrap();
    serve_files(&setting.listen(), &webroot);
    let webroot_text = webroot.display().to_string();
    let http01 = ["--webroot", webroot_text.as_str()];
    let (out, log) = (setting.path("out"), setting.path("log"));
    assert!(issue(&setting, http01, &out, &log).output().unwrap().status.success());
    let first = first_with_an_answer(&log);
    for point in first..MANY {
        let (out, log) = (setting.path(&format!("out-{point}")), setting.path(&format!("log-{point}")));
        let last = killed_at(point, &mut issue(&setting, http01, &out, &log), &log);
        let last = last.expect("an answer is taken away before the end");
        if answers(&webroot) == 0 {
            assert!(point >= first + 4, "the CA is told to look, and the order is looked at: {last}");
            eprintln!("a first issue through a webroot: killed at {} points with an answer", point - first);
            return;
        }
        let again = finish(&mut issue(&setting, http01, &out, &log));
        assert_eq!(again.code, 0, "killed {last}: {again:#?}");
        assert_eq!(orders(&log), 1, "killed {last}");
        assert_eq!(answers(&webroot), 0, "an answer stays behind, killed {last}");
        assert_eq!(unfinished(&out), Vec::<String>::new(), "killed {last}");
    }
    panic!("there is no end of points");
}

/// The number of the point at which the answer is in place, and the CA is not told yet.
fn first_with_an_answer(log: &Path) -> usize {
    let log = fs::read_to_string(log).unwrap();
    let is_told = |line: &str| line.starts_with("before POST") && line.contains("/chalZ/");
    1 + log.lines().position(is_told).unwrap()
}

/// How many files there are where a web server looks for answers.
fn answers(webroot: &Path) -> usize {
    fs::read_dir(webroot.join(".well-known/acme-challenge")).map_or(0, Iterator::count)
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
