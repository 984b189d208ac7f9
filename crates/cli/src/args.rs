//! The command line.

mod doctor;
mod migrate;
mod name;
mod render;
mod serve;
mod status;

pub(crate) use doctor::Doctor;
pub(crate) use migrate::{Migrate, MigrationTarget};
pub(crate) use render::{Certificate, Install, Installation, Issuer, Render, Uninstall};
pub(crate) use serve::Serve;
pub(crate) use status::Status;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gatecert_acme::{
    ChainPreference, Contact, ExternalAccount, HmacKey, Identifier, LETS_ENCRYPT, LETS_ENCRYPT_STAGING,
    RevocationReason,
};
use gatecert_http01::ListenAddress;
use gatecert_issue::KeyType;
use std::ffi::OsString;
use std::path::PathBuf;
use url::{Host, Url};

/// Gets, keeps and renews Let's Encrypt certificates for Envoy and Istio gateways.
#[derive(Debug, Parser)]
#[command(name = "gatecert", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  gatecert issue -d www.example.com --server letsencrypt-staging
  gatecert renew
  gatecert list -o json

Exit codes: 0 done or nothing to do, 1 the CA or network said no, 2 wrong use, 3 partly done, \
130 stopped by a signal.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How results are printed; `gatecert status` has `wide` too.
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
    /// Prints no progress.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Logs requests to standard error; twice for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    /// Text with more columns, for `gatecert status` alone.
    #[value(hide = true)]
    Wide,
}

impl Format {
    /// What the options ask for that are wrong as a whole: JSON, if any of them says so.
    pub(crate) fn of_words(words: &[OsString]) -> Self {
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        let apart = words.windows(2).filter(|pair| matches!(pair[0], "-o" | "--output")).map(|pair| pair[1]);
        let joined = ["--output=", "-o=", "-o"];
        let joined =
            words.iter().filter_map(|word| joined.iter().find_map(|prefix| word.strip_prefix(prefix)));
        match apart.chain(joined).any(|value| value == "json") {
            true => Self::Json,
            false => Self::Text,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Gets a certificate and puts it where Envoy reads it.
    Issue(Box<Issue>),
    /// Renews every certificate whose time has come.
    Renew(Renew),
    /// Keeps the certificates of a configuration file, and serves them to Envoys.
    Serve(Serve),
    /// Lists the certificates.
    #[command(after_help = "Examples:
  gatecert list
  gatecert list --out /var/lib/gatecert -o json")]
    List(Out),
    /// Shows one certificate.
    Show(Show),
    /// Revokes a certificate.
    Revoke(Revoke),
    /// Shows and changes the account at the CA.
    #[command(subcommand)]
    Account(Account),
    /// Shows the certificates of a cluster, when they end, and what is in the way.
    Status(Status),
    /// Prints manifests for a cluster.
    #[command(subcommand)]
    Render(Render),
    /// Prints what takes the place of cert-manager's manifests.
    Migrate(Box<Migrate>),
    /// Says what keeps a name from its certificate.
    Doctor(Box<Doctor>),
    /// Prints the completions for a shell.
    Completions(Completions),
    /// Prints the manual page, or writes all of them.
    Man(Man),
}

/// The CA.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Args)]
pub(crate) struct Authority {
    /// The CA: `letsencrypt`, `letsencrypt-staging`, or the URL of an ACME directory.
    #[arg(long, value_name = "URL", env = "GATECERT_SERVER", default_value = "letsencrypt", value_parser = server)]
    pub(crate) server: Url,
    /// The roots (PEM) that the CA's own server is trusted by, instead of the public ones.
    #[arg(long, value_name = "FILE", env = "GATECERT_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterArguments {
    /// The kubeconfig, instead of KUBECONFIG and ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The namespace, instead of the context's.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// Where certificates and accounts are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct Out {
    /// The directory that keeps certificates and accounts.
    #[arg(long, value_name = "DIR", env = "GATECERT_OUT", default_value = "gatecert")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert issue -d www.example.com -d example.com --email admin@example.com
  gatecert issue -d www.example.com --server letsencrypt-staging --webroot /var/www/html
  gatecert issue --ip 192.0.2.1 --profile shortlived

The CA asks http://NAME/.well-known/acme-challenge/ on port 80 of each name. Issuing again what is valid does \
nothing, with other names or another key it replaces the certificate; a run that was interrupted goes on with its order. By using a CA you agree to its terms of service.")]
pub(crate) struct Issue {
    /// A DNS name, or several with commas; the first names the certificate.
    #[arg(short, long = "domain", value_name = "NAME", value_delimiter = ',', value_parser = Identifier::dns)]
    pub(crate) domains: Vec<Identifier>,
    /// An IP address.
    #[arg(long = "ip", value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) addresses: Vec<std::net::IpAddr>,
    #[command(flatten)]
    pub(crate) authority: Authority,
    #[command(flatten)]
    pub(crate) enrolment: Enrolment,
    /// The kind of certificate, of those that the CA offers.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The key: ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096.
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256")]
    pub(crate) key_type: KeyType,
    /// The issuer's name or a SHA-256 fingerprint of the chain to take where the CA offers several.
    #[arg(long, value_name = "NAME")]
    pub(crate) preferred_chain: Option<ChainPreference>,
    /// Where the CA's questions are answered.
    #[arg(long, value_name = "ADDRESS", default_value = ":80", conflicts_with = "webroot")]
    pub(crate) http01_listen: ListenAddress,
    /// The directory that a web server serves on port 80, instead of answering here.
    #[arg(long, value_name = "DIR")]
    pub(crate) webroot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Issues even if the present certificate is as wanted.
    #[arg(long)]
    pub(crate) force: bool,
}

/// What a new account is made with.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Enrolment {
    /// An address that the CA may write to.
    #[arg(long = "email", value_name = "ADDRESS", value_delimiter = ',', value_parser = Contact::email)]
    pub(crate) emails: Vec<Contact>,
    /// The key id of an external account, where the CA asks for one.
    #[arg(long, value_name = "ID", requires = "eab_hmac_key_file")]
    pub(crate) eab_kid: Option<String>,
    /// The file with the HMAC key of the external account (base64).
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    pub(crate) eab_hmac_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert renew
  gatecert renew --dry-run

Run it twice a day. The CA is asked for its renewal window (ARI); without one, two thirds of the life count. \
A renewal that failed is tried again after 1, 10 and 100 minutes, then daily. With -q only what was renewed or failed \
is printed.")]
pub(crate) struct Renew {
    #[command(flatten)]
    pub(crate) out: Out,
    /// Only these certificates; all without any.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Says what would be done, and asks no CA.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert show www.example.com
  gatecert show www.example.com -o json")]
pub(crate) struct Show {
    /// The certificate, as `gatecert list` names it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) out: Out,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert revoke www.example.com --reason superseded
  gatecert revoke www.example.com --reason key-compromise --with-certificate-key")]
pub(crate) struct Revoke {
    /// The certificate, as `gatecert list` names it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Why: unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation.
    #[arg(long, default_value = "unspecified")]
    pub(crate) reason: RevocationReason,
    /// Signs with the certificate's key, which needs no account.
    #[arg(long)]
    pub(crate) with_certificate_key: bool,
    #[command(flatten)]
    pub(crate) out: Out,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Shows the account.
    #[command(after_help = "Examples:
  gatecert account show
  gatecert account show --server letsencrypt-staging -o json")]
    Show(AccountArguments),
    /// Replaces the addresses that the CA may write to.
    #[command(after_help = "Examples:
  gatecert account update --email ops@example.com
  gatecert account update")]
    Update(AccountUpdate),
    /// Gives the account a new key.
    #[command(after_help = "Examples:
  gatecert account rollover
  gatecert account rollover --server letsencrypt-staging")]
    Rollover(AccountArguments),
    /// Ends the account for good; certificates stay valid.
    #[command(after_help = "Examples:
  gatecert account deactivate --server letsencrypt-staging")]
    Deactivate(AccountArguments),
    /// Takes over the account of another client.
    Import(AccountImport),
}

#[derive(Debug, Args)]
pub(crate) struct AccountArguments {
    #[command(flatten)]
    pub(crate) authority: Authority,
    #[command(flatten)]
    pub(crate) out: Out,
}

#[derive(Debug, Args)]
pub(crate) struct AccountUpdate {
    #[command(flatten)]
    pub(crate) account: AccountArguments,
    /// An address; without any, the CA forgets those that it has.
    #[arg(long = "email", value_name = "ADDRESS", value_delimiter = ',', value_parser = Contact::email)]
    pub(crate) emails: Vec<Contact>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert account import /etc/letsencrypt
  gatecert account import ~/.lego --server letsencrypt-staging
  gatecert account import account.pem

Reads the stores of certbot, lego, acme.sh, Traefik and Caddy, a Secret of cert-manager in JSON \
(kubectl get secret NAME -o json), and keys in PEM.")]
pub(crate) struct AccountImport {
    /// The store, or a file of it.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) account: AccountArguments,
    /// Puts it in the place of the account that is kept for this CA.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert completions bash > /usr/share/bash-completion/completions/gatecert
  gatecert completions fish > ~/.config/fish/completions/gatecert.fish")]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert man | man -l -
  gatecert man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Writes the pages of all commands into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

pub(crate) fn server(text: &str) -> Result<Url, String> {
    let url = match text {
        "letsencrypt" => LETS_ENCRYPT,
        "letsencrypt-staging" => LETS_ENCRYPT_STAGING,
        other => other,
    };
    let url: Url = url.parse().map_err(|error| {
        format!("{error}; write `letsencrypt`, `letsencrypt-staging`, or the URL of an ACME directory")
    })?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("ACME needs https; http only to this machine".into()),
    }
}

/// The external account of the options, its key read from the file.
pub(crate) fn external_account(
    enrolment: &Enrolment,
) -> Result<Option<ExternalAccount>, crate::error::Failure> {
    let (Some(key_id), Some(file)) = (&enrolment.eab_kid, &enrolment.eab_hmac_key_file) else {
        return Ok(None);
    };
    let text = crate::files::read(file, "the HMAC key")?;
    let hmac_key: HmacKey = text
        .parse()
        .map_err(|error| crate::error::Failure::usage(format!("`{}`: {error}", file.display())))?;
    Ok(Some(ExternalAccount { key_id: key_id.clone(), hmac_key }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// The commands that the help of this command, and of those below it, shows as examples.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.lines().map(str::trim).filter(|line| line.starts_with("gatecert "));
        // Three dots stand for what the example before has.
        let own = lines.filter(|line| !line.ends_with("...")).map(str::to_owned);
        own.chain(command.get_subcommands().flat_map(examples)).collect()
    }

    /// The words of the first command of a line as a shell reads them, without what stands behind it: a pipe, a redirection,
    /// another command, or, behind two spaces, an explanation.
    fn words(line: &str) -> Vec<OsString> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
        let line = format!("{line}  ");
        let mut rest = line.chars().peekable();
        while let Some(next) = rest.next() {
            match (quote, next) {
                (Some(open), _) if open == next => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(next);
                    let _ = word.get_or_insert_default();
                }
                (None, '|' | '>' | '<' | '&' | ';') => {
                    // The number of a redirection, as in `2>`, is a part of it.
                    let last = word.filter(|word| word.parse::<u8>().is_err());
                    words.extend(last.map(OsString::from));
                    return words;
                }
                (None, ' ') => {
                    words.extend(word.take().map(OsString::from));
                    if rest.peek() == Some(&' ') {
                        return words;
                    }
                }
                _ => word.get_or_insert_default().push(next),
            }
        }
        words
    }

    #[test]
    fn the_examples_of_the_help_are_read() {
        let examples = examples(&Arguments::command());
        assert!(examples.len() >= 30, "{examples:#?}");
        for example in &examples {
            let words = words(example);
            assert!(words.len() > 1, "{example}");
            let arguments = crate::plugin::parse(&words).unwrap_or_else(|error| panic!("{example}\n{error}"));
            assert!(crate::takes_format(&arguments).is_ok(), "{example}");
        }
    }

    #[test]
    fn an_example_ends_where_its_command_ends() {
        for (line, wanted) in [
            ("gatecert list -o json", &["gatecert", "list", "-o", "json"][..]),
            ("gatecert serve 2>> gatecert.log", &["gatecert", "serve"]),
            ("gatecert man | man -l -", &["gatecert", "man"]),
            ("gatecert man|man -l -", &["gatecert", "man"]),
            ("gatecert list --quiet || echo no", &["gatecert", "list", "--quiet"]),
            ("gatecert list    all of them", &["gatecert", "list"]),
            ("gatecert show 'a b'\"c > d\" ''", &["gatecert", "show", "a bc > d", ""]),
        ] {
            assert_eq!(words(line), wanted, "{line}");
        }
    }

    #[test]
    fn the_format_is_found_among_wrong_options() {
        let format = |text: &str| Format::of_words(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        for text in ["-o json", "x --output json --wrong", "--output=json", "-o=json", "-ojson x"] {
            assert_eq!(format(text), Format::Json, "{text}");
        }
        for text in ["json", "-o text", "--out json", "--other=json", "-o"] {
            assert_eq!(format(text), Format::Text, "{text}");
        }
    }
}
