//! Verdicts, and how they are told.

use super::kind::Kind;
use crate::Exit;
use crate::output::clean;
use gatecert_render::ObjectName;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The longest text of a verdict, in characters: objects of the cluster and DNS put words into it. A manifest to apply
/// has a few hundred.
const MAX_TEXT: usize = 2000;

/// The longest command that changes an object, in bytes: there is to be place for more words beside it.
pub(super) const MAX_COMMAND: usize = 1800;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Skipped,
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skip",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Which check.
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    /// The object or record, such as `VirtualService shop/web`.
    pub(crate) object: Option<String>,
    /// What and why.
    pub(crate) message: String,
    /// What to do: a sentence, a command, or a manifest for `kubectl apply -f -`.
    pub(crate) fix: Option<String>,
}

impl Verdict {
    fn new(level: Level, kind: Kind, message: impl Into<String>) -> Self {
        let message = bounded(message.into());
        Self { check: kind.check(), level, kind, object: None, message, fix: None }
    }

    pub(crate) fn ok(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Level::Ok, kind, message)
    }

    pub(crate) fn warn(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Level::Warn, kind, message)
    }

    pub(crate) fn fail(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Level::Fail, kind, message)
    }

    pub(crate) fn skipped(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Level::Skipped, kind, message)
    }

    pub(crate) fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(bounded(object.into()));
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(bounded(fix.into()));
        self
    }
}

/// Without control characters, and not without end.
fn bounded(text: String) -> String {
    let text = clean(&text).into_owned();
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The command that makes these changes to an object, all or none (RFC 6902), as long as it is the one that was read, by its
/// generation: a place in a list may be another's by then. Where that is too long for a report, the command that edits.
pub(super) fn patched(
    resource: &str,
    name: &ObjectName,
    generation: Option<i64>,
    operations: &[Value],
) -> String {
    let test = generation.map(|value| json!({"op": "test", "path": "/metadata/generation", "value": value}));
    let operations: Vec<_> = test.into_iter().chain(operations.iter().cloned()).collect();
    let command = patch(resource, name, "json", &Value::from(operations));
    match command.len() <= MAX_COMMAND {
        true => command,
        false => format!("kubectl {}edit {resource} {}", in_namespace(name), name.name),
    }
}

/// The command that sets fields of an object (RFC 7386).
pub(super) fn merged(resource: &str, name: &ObjectName, fields: &Value) -> String {
    patch(resource, name, "merge", fields)
}

/// The namespace is empty for what is in none. A shell takes the patch as it is: it may hold words of the cluster.
fn patch(resource: &str, name: &ObjectName, how: &str, patch: &Value) -> String {
    let place = in_namespace(name);
    format!("kubectl {place}patch {resource}/{} --type={how} -p {}", name.name, quoted(&patch.to_string()))
}

/// The option, where there is a namespace.
fn in_namespace(name: &ObjectName) -> String {
    if name.namespace.is_empty() { String::new() } else { format!("-n {} ", name.namespace) }
}

/// A name as an object may have it: of a word of the cluster that is none, what else is in it goes.
pub(super) fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || ['-', '.'].contains(c)).collect()
}

/// A word as a shell takes it, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=,:@".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// All verdicts on a host.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: String,
    pub(crate) verdict: Level,
    pub(crate) checks: Vec<Verdict>,
}

impl Report {
    pub(crate) fn new(host: String, checks: Vec<Verdict>) -> Self {
        let verdict = checks.iter().map(|check| check.level).max().unwrap_or(Level::Skipped);
        Self { host, verdict, checks }
    }

    /// By the worst.
    pub(crate) fn exit(&self) -> Exit {
        if self.verdict == Level::Fail { Exit::Failed } else { Exit::Done }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let object = check.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
            // Writing to a text does not fail.
            let _ = writeln!(
                text,
                "{:5} {:24} {object}{}",
                check.level.as_str(),
                check.kind.as_str(),
                check.message
            );
            for (index, line) in check.fix.iter().flat_map(|fix| fix.lines()).enumerate() {
                let lead = if index == 0 { "fix:" } else { "" };
                let _ = writeln!(text, "{:30} {lead:4} {line}", "");
            }
        }
        let count = |level| self.checks.iter().filter(|check| check.level == level).count();
        let warnings = match count(Level::Warn) {
            1 => "1 warning".to_owned(),
            warnings => format!("{warnings} warnings"),
        };
        let _ = writeln!(
            text,
            "{}: {} failed, {warnings}, {} ok, {} skipped",
            self.host,
            count(Level::Fail),
            count(Level::Ok),
            count(Level::Skipped)
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        let labels = "app.kubernetes.io/name=web,istio=ingressgateway";
        assert_eq!(quoted(labels), labels);
        assert_eq!(quoted("istio=$(x);'y'"), r#"'istio=$(x);'\''y'\'''"#);
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn what_was_changed_meanwhile_is_left_alone() {
        let name = ObjectName::new("infra", "g");
        let change = json!({"op": "remove", "path": "/spec/servers/1"});
        assert_eq!(
            patched("gateways", &name, Some(7), std::slice::from_ref(&change)),
            r#"kubectl -n infra patch gateways/g --type=json -p '[{"op":"test","path":"/metadata/generation","value":7},{"op":"remove","path":"/spec/servers/1"}]'"#
        );
        let many = vec![change; 100];
        assert_eq!(patched("gateways", &name, Some(7), &many), "kubectl -n infra edit gateways g");
    }

    #[test]
    fn a_shell_takes_a_patch_as_it_is() {
        let name = ObjectName::new("shop", "www");
        assert_eq!(
            merged("certificates.gatecert.dev", &name, &json!({"spec": {"secretName": "a'b"}})),
            r#"kubectl -n shop patch certificates.gatecert.dev/www --type=merge -p '{"spec":{"secretName":"a'\''b"}}'"#
        );
        let of_cluster = ObjectName::new("", "le");
        assert_eq!(
            patched(
                "clusterissuers.gatecert.dev",
                &of_cluster,
                None,
                &[json!({"op": "remove", "path": "/spec/x"})]
            ),
            r#"kubectl patch clusterissuers.gatecert.dev/le --type=json -p '[{"op":"remove","path":"/spec/x"}]'"#
        );
    }

    #[test]
    fn the_worst_decides() {
        let ok = Verdict::ok(Kind::DnsOk, "A 192.0.2.1");
        let warn = Verdict::warn(Kind::HttpAnswered, "200");
        let fail = Verdict::fail(Kind::CaaForbids, "only for other.test").object("CAA example.com");
        let fail = fail.fix("add\na record");
        let report = |checks: &[&Verdict]| {
            Report::new("www.example.com".into(), checks.iter().map(|&check| check.clone()).collect())
        };
        assert_eq!(report(&[&ok]).exit(), Exit::Done);
        assert_eq!(report(&[&ok, &warn]).exit(), Exit::Done);
        assert_eq!(report(&[&fail, &warn]).exit(), Exit::Failed);
        assert_eq!(report(&[]).exit(), Exit::Done);
        assert_eq!(
            report(&[&ok, &fail]).text(),
            "ok    dns-ok                   A 192.0.2.1\n\
             FAIL  caa-forbids              CAA example.com: only for other.test\n\
             \x20                              fix: add\n\
             \x20                                   a record\n\
             www.example.com: 1 failed, 0 warnings, 1 ok, 0 skipped\n"
        );
        let text = report(&[&ok, &warn]).text();
        assert!(text.ends_with("www.example.com: 0 failed, 1 warning, 1 ok, 0 skipped\n"), "{text}");
    }

    #[test]
    fn foreign_words_steer_nothing_and_end() {
        let long = "x".repeat(MAX_TEXT + 5) + "\x1b[2J";
        let verdict = Verdict::fail(Kind::DnsFailed, "a\x1b[2Jb\u{9b}c").object("o\x07").fix(long);
        assert_eq!(verdict.message, "a [2Jb c");
        assert_eq!(verdict.object.as_deref(), Some("o "));
        assert_eq!(verdict.fix.unwrap().chars().count(), MAX_TEXT + 1);
    }
}
