//! `gatecert status` on a real API server, whose Certificates have the statuses that a controller writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test with a harness of its own")]

mod setting;

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use setting::Setting;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = Arguments::from_args();
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    // Nothing can be fetched in a network of one's own.
    gatecert_testkit::tools::ensure(gatecert_testkit::tools::Tool::Kubectl)?;
    let network = gatecert_testkit::cluster::Network::enter()?;
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a provider is there already")?;
    let setting = Arc::new(Setting::start(&network)?);
    // They are few, and one changes what another counts.
    arguments.test_threads = Some(1);
    Ok(libtest_mimic::run(&arguments, trials(Some(&setting))).exit_code())
}

/// A name, and what is tried.
type Case = (&'static str, fn(&Setting));

fn trials(setting: Option<&Arc<Setting>>) -> Vec<Trial> {
    let all: [Case; 8] = [
        ("a_cluster_without_gatecert", a_cluster_without_gatecert),
        ("a_table_a_time_line_and_what_is_in_the_way", a_table_a_time_line_and_what_is_in_the_way),
        ("programs_read_all_of_it", programs_read_all_of_it),
        ("what_others_wrote_steers_no_terminal", what_others_wrote_steers_no_terminal),
        ("a_terminal_has_colours_and_blocks", a_terminal_has_colours_and_blocks),
        ("who_may_not_look_is_told", who_may_not_look_is_told),
        ("changes_are_shown_until_a_signal", changes_are_shown_until_a_signal),
        ("kubectl_finds_it", kubectl_finds_it),
    ];
    let trial = |(name, test): Case| {
        let setting = setting.cloned();
        Trial::test(name, move || {
            if let Some(setting) = setting {
                test(&setting);
            }
            Ok(())
        })
    };
    all.into_iter().map(trial).collect()
}

/// The first of all: the definitions come after it.
fn a_cluster_without_gatecert(setting: &Setting) {
    let run = setting.run(&["status", "-A"]).expect(1);
    assert!(run.err.contains("gatecert is not installed there"), "{run:?}");
    assert!(run.err.contains("hint: `gatecert render install"), "{run:?}");
    setting.install();
    let run = setting.run(&["status"]).expect(0);
    assert!(run.out.contains("no Certificates in the namespace `default`"), "{run:?}");
    setting.fill();
}

fn a_table_a_time_line_and_what_is_in_the_way(setting: &Setting) {
    let run = setting.run(&["status", "-A"]).expect(0);
    let rows: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "NAMESPACE NAME READY NAMES ISSUER NOT AFTER RENEWAL WHY", "{}", run.out);
    let row = |name: &str| rows.iter().find(|row| row.get(1) == Some(&name)).unwrap().join(" ");
    assert!(row("www").starts_with("shop www yes www.shop.test +1 le "), "{}", run.out);
    assert!(row("www").ends_with(" in 59 d in 29 d -"), "{}", run.out);
    assert!(row("api").starts_with("shop api no api.shop.test le - - NoGateway"), "{}", run.out);
    assert!(row("late").contains(" late ") && row("late").ends_with(" OrderRefused"), "{}", run.out);
    for said in [
        "Time line: # until its renewal, = until its end",
        "shop/www   ####",
        "What is in the way:",
        "  shop/api: NoGateway: no gateway serves api.shop.test",
        "  shop/late: OrderRefused: the CA said no",
        "    hint: ask another one",
        "3 attempts failed, the next is made in ",
        "Rate limits of the CAs:\n  https://ca.test/acct/1: 299 of 300 new orders left",
    ] {
        assert!(run.out.contains(said), "{said}: {}", run.out);
    }
    assert!(run.out.is_ascii() && !run.out.contains('\u{1b}'), "{}", run.out);
    let wide = setting.run(&["status", "-n", "shop", "-o", "wide"]).expect(0).out;
    assert!(wide.contains("www.shop.test,shop.test") && wide.contains("shop/www-tls"), "{wide}");
    assert!(!wide.contains("Rate limits"), "orders of other namespaces are not seen: {wide}");
    // What is asked for is a look; whether all is well is another question.
    let check = setting.run(&["status", "-A", "--check"]).expect(1);
    assert!(check.err.contains("2 of 3 certificates are not as they should be"), "{check:?}");
    setting.run(&["list", "-o", "wide"]).expect(2);
}

fn programs_read_all_of_it(setting: &Setting) {
    let report = setting.run(&["status", "-A", "-o", "json"]).expect(0).json();
    let found = |name: &str| {
        report["certificates"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!((&found("www")["health"], &found("www")["nameCount"]), (&json!("Ready"), &json!(2)));
    assert_eq!((&found("api")["health"], &found("api")["reason"]), (&json!("NotReady"), &json!("NoGateway")));
    assert_eq!((&found("late")["health"], &found("late")["failedAttempts"]), (&json!("Late"), &json!(3)));
    assert_eq!(report["rateLimits"][0]["newOrders"], json!({"left": 299, "of": 300}));
}

fn what_others_wrote_steers_no_terminal(setting: &Setting) {
    let error = json!({"kind": "a\u{1b}[2J", "message": "b\u{9b}1m\r\n", "hint": "c\u{7}"});
    setting.certificate("other", "hostile", &["h.test"], json!({"lastError": error}));
    for format in ["text", "wide", "json"] {
        let run = setting.run(&["status", "-A", "-o", format]).expect(0);
        let steers = run.out.chars().any(|c| c.is_control() && c != '\n');
        assert!(!steers && run.out.contains("hostile"), "{run:?}");
    }
    setting.delete("other", "hostile");
}

fn a_terminal_has_colours_and_blocks(setting: &Setting) {
    let look = |variables: &[(&str, &str)]| {
        let mut script = Command::new("script");
        script.args(["-qec", &format!("{} status -A", env!("CARGO_BIN_EXE_gatecert")), "/dev/null"]);
        script.env_remove("NO_COLOR").envs(variables.iter().copied()).stdin(Stdio::null());
        let output = script.env("KUBECONFIG", setting.kubeconfig()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let unicode = [("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("TERM", "xterm-256color")];
    let shown = look(&unicode);
    assert!(shown.contains('█') && shown.contains("\u{1b}["), "{shown}");
    let plain = look(&[&unicode[..], &[("NO_COLOR", "1")]].concat());
    assert!(plain.contains('█') && !plain.contains('\u{1b}'), "{plain}");
    let old = look(&[("LANG", "C"), ("LC_ALL", "C"), ("TERM", "xterm")]);
    assert!(old.contains("####") && old.is_ascii(), "{old}");
}

fn who_may_not_look_is_told(setting: &Setting) {
    let file = setting.kubeconfig_of_nobody();
    let run = setting.run(&["status", "-A", "--kubeconfig", file.to_str().unwrap()]).expect(1);
    assert!(run.err.contains("certificates.gatecert.dev is forbidden"), "{run:?}");
    assert!(run.err.contains("hint: `kubectl auth can-i list certificates.gatecert.dev`"), "{run:?}");
    let run = setting.run(&["status", "--context", "elsewhere"]).expect(1);
    assert!(run.err.contains("elsewhere") && run.err.contains("hint: "), "{run:?}");
    setting.run(&["status", "-A", "-n", "shop"]).expect(2);
}

fn changes_are_shown_until_a_signal(setting: &Setting) {
    let mut watch = setting.command(&["status", "-n", "watched", "--watch", "-o", "json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // It is made, its status comes, it goes: a line for each at the most.
    let mut comes = |wanted: &dyn Fn(&Value) -> bool| (0..3).any(|_| wanted(&next()["certificates"]));
    assert!(comes(&|all| *all == json!([])));
    setting.certificate("watched", "www", &["w.test"], setting::issued(60, 30));
    assert!(comes(&|all| all[0]["health"] == "Ready"));
    setting.delete("watched", "www");
    assert!(comes(&|all| *all == json!([])));
    let told = Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(watch.wait().unwrap().code(), Some(130));
}

/// As a plugin it has another name, and says so.
fn kubectl_finds_it(setting: &Setting) {
    let run = setting.kubectl(&["gatecert", "status", "-A"]).expect(0);
    assert!(run.out.contains("www.shop.test"), "{run:?}");
    let help = setting.kubectl(&["gatecert", "status", "--help"]).expect(0).out;
    assert!(help.contains("Usage: kubectl gatecert status [OPTIONS]"), "{help}");
    let wrong = setting.kubectl(&["gatecert", "stauts"]).expect(2).err;
    assert!(wrong.contains("Usage: kubectl gatecert"), "{wrong}");
}
