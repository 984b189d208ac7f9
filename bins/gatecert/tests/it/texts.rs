//! Help and messages, word by word: `TRYCMD=overwrite cargo test -p gatecert texts` writes them anew.

#[test]
fn help_and_messages_are_as_pinned() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd").env("COLUMNS", "100");
}
