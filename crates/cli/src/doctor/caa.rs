//! CAA records: may the CA issue for the name? (RFC 8659, and the parameters of RFC 8657)

use super::kind::Kind;
use super::report::Verdict;
use super::resolver::{Answer, Dns, Unanswered};
use hickory_resolver::proto::rr::rdata::CAA;
use std::time::Duration;

/// How long the way up the tree may take: a name has a handful of labels, and an answer comes in well under a second.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Whether a CA that does not understand the tag may not issue.
    pub(super) is_critical: bool,
    /// `issue`, `issuewild`, `iodef`, …
    pub(super) tag: String,
    /// What stands in an `issue` record: the CA's domain, and parameters.
    pub(super) issue: Issue,
}

/// What an `issue` record allows; nobody, where the domain is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) domain: String,
    pub(super) parameters: Vec<(String, String)>,
}

/// The closest name with records, and these; without any on the whole way, nothing. Or the name that DNS does not answer
/// for.
pub(super) type Found = Result<Option<(String, Vec<Record>)>, (String, Unanswered)>;

/// What is known of a name.
#[derive(Clone, Debug)]
pub(super) struct CaaFacts {
    pub(super) host: String,
    pub(super) found: Found,
    /// The domains that the CA answers to; empty where they are not known.
    pub(super) identities: Vec<String>,
    /// The account, where it is known.
    pub(super) account: Option<String>,
}

/// Climbs from the name to the top-level domain.
pub(super) async fn look(dns: &Dns, host: &str) -> Found {
    let climbed =
        tokio::time::timeout(TIMEOUT, climb(host, |name| async move { dns.caa(&name).await })).await;
    climbed.unwrap_or_else(|_| Err((host.to_owned(), Unanswered("DNS does not answer in time".into()))))
}

async fn climb<F: Future<Output = Answer<Vec<CAA>>>>(host: &str, ask: impl Fn(String) -> F) -> Found {
    let mut name = Some(host);
    while let Some(here) = name {
        let records = ask(here.to_owned()).await.map_err(|why| (here.to_owned(), why))?;
        if !records.is_empty() {
            return Ok(Some((here.to_owned(), records.iter().map(read).collect())));
        }
        name = here.split_once('.').map(|(_, parent)| parent);
    }
    Ok(None)
}

fn read(caa: &CAA) -> Record {
    let value = String::from_utf8_lossy(&caa.value);
    let mut parts = value.split(';').map(str::trim);
    let domain = parts.next().unwrap_or_default().trim_end_matches('.').to_lowercase();
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(key, value)| (key.trim().to_lowercase(), value.trim().to_owned()));
    let issue = Issue { domain, parameters: parameters.collect() };
    Record { is_critical: caa.issuer_critical, tag: caa.tag.to_lowercase(), issue }
}

pub(super) fn verdicts(facts: &CaaFacts) -> Vec<Verdict> {
    let (at, records) = match &facts.found {
        Ok(Some((at, records))) => (at, records),
        Ok(None) => {
            let text = "there is no CAA record on the way up, so that every CA may issue";
            return vec![Verdict::ok(Kind::CaaOk, text).object(format!("CAA {}", facts.host))];
        }
        Err((at, why)) => return vec![failed(at, why)],
    };
    if facts.identities.is_empty() {
        let text = "the domains that the CA goes by are not known, so that its right to issue is not either";
        return vec![Verdict::skipped(Kind::CaaSkipped, text).object(format!("CAA {at}"))];
    }
    vec![judge(facts, records).object(format!("CAA {at}"))]
}

fn failed(at: &str, why: &Unanswered) -> Verdict {
    Verdict::fail(Kind::CaaFailed, format!("{}: a CA may not issue without an answer", why.0))
        .object(format!("CAA {at}"))
        .fix(format!("see what the zone's own servers answer: dig +trace CAA {at}"))
}

fn judge(facts: &CaaFacts, records: &[Record]) -> Verdict {
    let identity = facts.identities.first().map_or("", String::as_str);
    let add = format!("add a record: {} CAA 0 issue \"{identity}\"", facts.host);
    let known = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];
    if let Some(unknown) = records.iter().find(|one| one.is_critical && !known.contains(&one.tag.as_str())) {
        let text =
            format!("the critical property `{}` is understood by no CA, so that none may issue", unknown.tag);
        return Verdict::fail(Kind::CaaForbids, text).fix("take the record or its critical flag (128) away");
    }
    let issue: Vec<_> = records.iter().filter(|one| one.tag == "issue").collect();
    if issue.is_empty() {
        return Verdict::ok(Kind::CaaOk, "no `issue` record, so that every CA may issue");
    }
    let of_ca: Vec<_> = issue
        .iter()
        .map(|one| &one.issue)
        .filter(|one| facts.identities.iter().any(|identity| identity.eq_ignore_ascii_case(&one.domain)))
        .collect();
    if of_ca.is_empty() {
        let text = format!("it allows {}, not {identity}", allowed(&issue));
        return Verdict::fail(Kind::CaaForbids, text).fix(add);
    }
    let by_method: Vec<_> = of_ca.into_iter().filter(|one| is_for_http01(one)).collect();
    if by_method.is_empty() {
        let text = format!("it allows {identity}, but not by `http-01` (validationmethods, RFC 8657)");
        return Verdict::fail(Kind::CaaMethod, text).fix("add http-01 to the record's validationmethods");
    }
    let Some(account) = &facts.account else {
        return Verdict::ok(Kind::CaaOk, format!("it allows {identity}"));
    };
    match by_method.iter().any(|one| is_for_account(one, account)) {
        true => Verdict::ok(Kind::CaaOk, format!("it allows {identity}")),
        false => Verdict::fail(
            Kind::CaaAccount,
            format!("it allows other accounts of {identity} than {account} (accounturi, RFC 8657)"),
        )
        .fix(format!("add a record: {} CAA 0 issue \"{identity}; accounturi={account}\"", facts.host)),
    }
}

fn allowed(issue: &[&Record]) -> String {
    let domains: Vec<_> =
        issue.iter().map(|one| one.issue.domain.as_str()).filter(|domain| !domain.is_empty()).collect();
    if domains.is_empty() { "nobody".to_owned() } else { domains.join(", ") }
}

fn is_for_http01(issue: &Issue) -> bool {
    let mut methods = issue.parameters.iter().filter(|(key, _)| key == "validationmethods").peekable();
    methods.peek().is_none()
        || methods.any(|(_, methods)| methods.split(',').any(|one| one.trim() == "http-01"))
}

fn is_for_account(issue: &Issue, account: &str) -> bool {
    let mut accounts = issue.parameters.iter().filter(|(key, _)| key == "accounturi").peekable();
    accounts.peek().is_none() || accounts.any(|(_, uri)| uri == account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flags: u8, tag: &str, value: &str) -> Record {
        let mut caa = CAA::new_issue(flags & 128 != 0, None, Vec::new());
        caa.tag = tag.to_owned();
        caa.value = value.as_bytes().to_vec();
        read(&caa)
    }

    fn facts(records: &[(u8, &str, &str)]) -> CaaFacts {
        let records = records.iter().map(|(flags, tag, value)| record(*flags, tag, value)).collect();
        CaaFacts {
            host: "www.example.com".into(),
            found: Ok(Some(("example.com".into(), records))),
            identities: vec!["letsencrypt.org".into()],
            account: Some("https://ca.test/acct/1".into()),
        }
    }

    fn kind(facts: &CaaFacts) -> &'static str {
        let verdicts = verdicts(facts);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts[0].kind.as_str()
    }

    #[test]
    fn records_allow_or_forbid() {
        for (records, wanted) in [
            (&[(0, "issue", "letsencrypt.org")][..], "caa-ok"),
            (&[(0, "ISSUE", "LetsEncrypt.org")], "caa-ok"),
            (&[(0, "issue", "other.test"), (0, "issue", "letsencrypt.org")], "caa-ok"),
            (&[(0, "issue", "other.test")], "caa-forbids"),
            (&[(0, "issue", ";")], "caa-forbids"),
            (&[(0, "issuewild", ";")], "caa-ok"),
            (&[(0, "iodef", "mailto:a@example.com")], "caa-ok"),
            (&[(0, "issue", "letsencrypt.org"), (128, "tbs", "x")], "caa-forbids"),
            (&[(0, "issue", "letsencrypt.org"), (0, "tbs", "x")], "caa-ok"),
            (&[(0, "issue", " letsencrypt.org. ; ")], "caa-ok"),
            (&[(0, "issue", "letsencrypt.org; validationmethods=dns-01")], "caa-method"),
            (&[(0, "issue", "letsencrypt.org; validationmethods=dns-01,http-01")], "caa-ok"),
            (&[(0, "issue", "letsencrypt.org; accounturi=https://ca.test/acct/2")], "caa-account"),
            (&[(0, "issue", "letsencrypt.org; accounturi=https://ca.test/acct/1")], "caa-ok"),
        ] {
            assert_eq!(kind(&facts(records)), wanted, "{records:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_failure_and_what_is_not_answered_is() {
        let unknown = CaaFacts { identities: Vec::new(), ..facts(&[(0, "issue", "other.test")]) };
        assert_eq!(kind(&unknown), "caa-skipped");
        assert_eq!(kind(&CaaFacts { found: Ok(None), ..unknown }), "caa-ok");
        let account = CaaFacts { account: None, ..facts(&[(0, "issue", "letsencrypt.org; accounturi=x")]) };
        assert_eq!(kind(&account), "caa-ok");
        let why = Unanswered("DNS answers `Server Failure`".into());
        let failed = CaaFacts { found: Err(("example.com".into(), why)), ..facts(&[]) };
        assert_eq!(kind(&failed), "caa-failed");
        let forbidden = &verdicts(&facts(&[(0, "issue", "other.test")]))[0];
        assert_eq!(forbidden.object.as_deref(), Some("CAA example.com"));
        assert!(forbidden.message.contains("other.test, not letsencrypt.org"), "{forbidden:?}");
    }

    #[tokio::test]
    async fn the_closest_records_count() {
        let asked = std::sync::Mutex::new(Vec::new());
        let found = climb("a.b.example.com", |name| {
            asked.lock().unwrap().push(name.clone());
            let mut caa = CAA::new_issue(false, None, Vec::new());
            caa.value = b"ca.test".to_vec();
            async move { Ok(if name == "example.com" { vec![caa] } else { Vec::new() }) }
        });
        let (at, records) = found.await.unwrap().unwrap();
        assert_eq!((at.as_str(), records.len()), ("example.com", 1));
        assert_eq!(*asked.lock().unwrap(), ["a.b.example.com", "b.example.com", "example.com"]);
        assert_eq!(climb("a.com", |_| async { Ok(Vec::new()) }).await, Ok(None));
    }
}
