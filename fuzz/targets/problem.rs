//! A problem document (RFC 7807, RFC 8555 §6.7), as a CA answers with it or keeps it in an order.
#![no_main]

use gatecert_acme::Problem;
use libfuzzer_sys::fuzz_target;

/// The longest text of a problem, in characters, and the most subproblems, by its documentation.
const LONGEST: usize = 1024;
const SUBPROBLEMS: usize = 100;

fuzz_target!(|input: &str| {
    let Ok(problem) = serde_json::from_str::<Problem>(input) else { return };
    assert!(problem.subproblems.len() <= SUBPROBLEMS);
    let texts = [&problem.detail, &problem.title, &problem.instance];
    let of_subproblems = problem.subproblems.iter().map(|subproblem| &subproblem.detail);
    for text in texts.into_iter().chain(of_subproblems).flatten() {
        assert!(text.chars().count() <= LONGEST && !text.chars().any(char::is_control), "{text:?}");
    }
    let kinds = problem.subproblems.iter().map(|subproblem| &subproblem.kind);
    for kind in [&problem.kind].into_iter().chain(kinds) {
        let text = kind.as_str();
        assert!(text.chars().count() <= LONGEST && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(problem.unpause_url().is_none_or(|url| url.starts_with("https://")));
    assert!(!problem.to_string().chars().any(char::is_control));
    let again = serde_json::to_string(&problem).expect("it is printed");
    assert_eq!(serde_json::from_str::<Problem>(&again).expect("what was printed is read"), problem);
});
