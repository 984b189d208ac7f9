use super::*;
use gatecert_issue::KeyType;

const ISSUER: &str = "store = \"store\"\n[issuers.le]\nserver = \"letsencrypt-staging\"\n";

fn parse(text: &str) -> Result<Config, Failure> {
    Config::parse(text, Path::new("/etc/gatecert/gatecert.toml"))
}

/// What is said, and the hint.
fn refused(text: &str) -> (String, Option<String>) {
    let failure = parse(text).err().unwrap();
    assert_eq!(failure.kind, "usage");
    let message = failure.message.strip_prefix("`/etc/gatecert/gatecert.toml`").unwrap().to_owned();
    (message.trim_start_matches(", ").to_owned(), failure.hint)
}

#[test]
fn the_example_is_right() {
    let config = parse(include_str!("gatecert.toml")).unwrap();
    assert_eq!(config.store, Path::new("/var/lib/gatecert"));
    assert_eq!(config.endpoints.http01, Http01::Listen("127.0.0.1:8089".into()));
    assert_eq!(config.endpoints.unix, Some(("/run/gatecert/sds.sock".into(), 0o660)));
    assert_eq!((config.endpoints.tls, config.endpoints.health), (None, None));
    let [order] = &config.orders[..] else { panic!("{:?}", config.orders) };
    assert_eq!(order.name.as_str(), "www.example.com");
    assert_eq!(
        order.identifiers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["www.example.com", "example.com"]
    );
    assert_eq!(order.authority.server.as_str(), gatecert_acme::LETS_ENCRYPT);
}

/// What the example has commented out is right too, but for the files that it names.
#[test]
fn the_example_with_all_of_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let example = include_str!("gatecert.toml");
    let is_setting = |line: &&str| {
        let begin = line.split([' ', '=', '.', ']']).next().unwrap_or_default();
        begin.starts_with('[')
            || line.contains(" = ") && begin.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("# ").filter(is_setting).unwrap_or(line))
        .filter(|line| !line.starts_with("ca-file"))
        .collect();
    let text = uncommented.join("\n").replace("/etc/gatecert", &folder.path().display().to_string());
    for file in ["sds.crt", "sds.key", "envoys-ca.pem"] {
        std::fs::write(folder.path().join(file), "PEM").unwrap();
    }
    std::fs::write(folder.path().join("eab.key"), "c2VjcmV0LXNlY3JldC1zZWNyZXQ").unwrap();
    let config = parse(&text).map_err(|failure| failure.message).unwrap();
    assert_eq!(config.endpoints.tls.unwrap().0.to_string(), "192.0.2.1:18000");
    assert_eq!(config.endpoints.health.unwrap().to_string(), "127.0.0.1:9402");
    let shop = &config.orders[1];
    assert_eq!((shop.name.as_str(), shop.key_type), ("shop", KeyType::EcdsaP384));
    assert_eq!(shop.identifiers[1], Identifier::Ip([192, 0, 2, 1].into()));
    assert_eq!(shop.profile.as_deref(), Some("shortlived"));
    assert_eq!(shop.preferred_chain.as_deref(), Some("ISRG Root X2"));
    assert_eq!(shop.enrolment.external_account.as_ref().unwrap().key_id, "id");
}

#[test]
fn defaults_and_relative_paths() {
    let config = parse(&format!("{ISSUER}[[certificates]]\nnames = [\"a.test\"]")).unwrap();
    assert_eq!(config.store, Path::new("/etc/gatecert/store"));
    let listen = Http01::Listen(":80".into());
    let nothing_else = Endpoints { http01: listen, unix: None, tls: None, health: None };
    assert_eq!(config.endpoints, nothing_else);
    assert_eq!(config.orders[0].key_type, KeyType::EcdsaP256);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let one = "[[certificates]]\nnames = [\"a.test\"]\n";
    let cases = [
        (
            ISSUER.replace("server", "srver") + one,
            "line 3: unknown field `srver`",
            Some("did you mean `server`?"),
        ),
        (
            format!("{ISSUER}[[certificate]]\n"),
            "line 4: unknown field `certificate`",
            Some("did you mean `certificates`?"),
        ),
        (
            format!("{ISSUER}[[certificates]]\n"),
            "line 4: the certificate has no `names`",
            Some("give at least one"),
        ),
        (
            format!("{ISSUER}{one}{one}"),
            "line 6: there are two certificates `a.test`",
            Some("another `name`"),
        ),
        (
            format!("{ISSUER}{one}issuer = \"lee\""),
            "line 6: there is no issuer `lee`",
            Some("did you mean `le`?"),
        ),
        (format!("{ISSUER}{one}issuer = \"staging\""), "line 6: there is no issuer", Some("there are: le")),
        (
            format!("{ISSUER}[issuers.b]\nserver = \"letsencrypt\"\n{one}"),
            "line 6: the certificate names no `issuer`",
            Some("one of: b, le"),
        ),
        (
            format!("{ISSUER}[[certificates]]\nnames = [\"*.a.test\"]"),
            "line 4: `*.a.test` can not be proved over HTTP",
            Some("give each name"),
        ),
        (
            format!("{ISSUER}[[certificates]]\nnames = [\"a.test\",\n\"b..test\"]"),
            "line 5: `b..test` is not a DNS name",
            None,
        ),
        (format!("{ISSUER}[[certificates]]\naddresses = [\"a\"]"), "line 5: `a` is not an IP address", None),
        (format!("{ISSUER}{one}key-type = \"rsa\""), "line 6: ", None),
        (format!("{ISSUER}{one}name = \"../a\""), "line 6: '/' can not be in the name", None),
        (
            format!("{ISSUER}{one}[http01]\nlisten = \":80\"\nwebroot = \"/w\""),
            "line 8: `http01` has `listen` and `webroot`",
            None,
        ),
        (
            format!("{ISSUER}{one}[sds.unix]\npath = \"s\"\nmode = \"0666\""),
            "line 8: `0666` is no mode for a socket",
            None,
        ),
        (format!("{ISSUER}{one}[sds.tcp]\n"), "line 6: unknown field `tcp`", None),
        (
            format!("{ISSUER}{one}[sds.tls]\nlisten = \":18000\""),
            "line 7: `:18000` is not an address with a port",
            None,
        ),
        (ISSUER.replace("letsencrypt-staging", "http://ca.test/") + one, "line 3: ACME needs https", None),
        (ISSUER.to_owned() + "email = [\"nobody\"]\n" + one, "line 4: ", None),
        (format!("{ISSUER}certificates = []\n[[certificates"), "line 5: ", None),
        (one.to_owned(), "line 1: missing field", None),
    ];
    for (text, message, hint) in cases {
        let (said, hinted) = refused(&text);
        assert!(said.starts_with(message), "{said:?} for {text}");
        assert!(
            hint.is_none_or(|hint| hinted.as_deref().unwrap_or_default().contains(hint)),
            "{hinted:?} for {text}"
        );
    }
}

#[test]
fn so_many_certificates_are_too_many() {
    let one = |number| format!("[[certificates]]\nnames = [\"{number}.a.test\"]\n");
    let many: String = (0..=MAX_CERTIFICATES).map(one).collect();
    assert!(refused(&format!("{ISSUER}{many}")).0.contains("1001 certificates are more than the 1000"));
}

#[test]
fn a_missing_file_is_named() {
    for setting in
        ["ca-file = \"nothing.pem\"", "external-account = {key-id = \"a\", hmac-key-file = \"nothing.key\"}"]
    {
        let failure =
            parse(&format!("{ISSUER}{setting}\n[[certificates]]\nnames = [\"a.test\"]")).err().unwrap();
        assert!(failure.message.contains("`/etc/gatecert/nothing."), "{}", failure.message);
    }
}
