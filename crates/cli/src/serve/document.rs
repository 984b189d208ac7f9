//! `gatecert.toml` as it is written: every field that there is, and nothing else.

use gatecert_acme::{ChainPreference, Contact, Identifier};
use gatecert_http01::ListenAddress;
use gatecert_issue::KeyType;
use gatecert_publish::CertificateName;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Document {
    pub(super) store: PathBuf,
    #[serde(default)]
    pub(super) http01: Http01,
    #[serde(default)]
    pub(super) sds: Sds,
    pub(super) health: Option<Health>,
    pub(super) issuers: BTreeMap<String, Issuer>,
    pub(super) certificates: Vec<Spanned<Certificate>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Http01 {
    pub(super) listen: Option<Text<ListenAddress>>,
    pub(super) webroot: Option<Spanned<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Sds {
    pub(super) unix: Option<UnixSds>,
    pub(super) tls: Option<TlsSds>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct UnixSds {
    pub(super) path: PathBuf,
    pub(super) mode: Option<Text<SocketMode>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TlsSds {
    pub(super) listen: Text<SocketAddr>,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Health {
    pub(super) listen: Text<ListenAddress>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Issuer {
    pub(super) server: Text<Url>,
    #[serde(default)]
    pub(super) email: Vec<Text<Contact>>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) profile: Option<String>,
    pub(super) preferred_chain: Option<Text<ChainPreference>>,
    pub(super) external_account: Option<ExternalAccount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExternalAccount {
    pub(super) key_id: String,
    pub(super) hmac_key_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Certificate {
    pub(super) name: Option<Text<CertificateName>>,
    #[serde(default)]
    pub(super) names: Vec<Text<Identifier>>,
    #[serde(default)]
    pub(super) addresses: Vec<Text<IpAddr>>,
    pub(super) issuer: Option<Spanned<String>>,
    pub(super) key_type: Option<Text<KeyType>>,
    pub(super) profile: Option<String>,
    pub(super) preferred_chain: Option<Text<ChainPreference>>,
}

/// Who may connect to a socket: its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketMode(pub(super) u32);

/// A value that is written as a text. What is wrong with it is an error at its place.
pub(super) struct Text<T>(pub(super) T);

/// What a text is read as.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_text(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

macro_rules! from_text {
    ($($type:ty: $parse:expr;)*) => {$(
        impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                $parse(text)
            }
        }
    )*};
}

from_text! {
    Url: crate::args::server;
    Contact: |text: &str| said(Self::email(text));
    Identifier: |text: &str| said(Self::dns(text));
    ChainPreference: |text: &str| said(text.parse());
    CertificateName: |text: &str| said(text.parse());
    KeyType: |text: &str| said(text.parse());
    ListenAddress: |text: &str| said(text.parse());
    IpAddr: |text: &str| text.parse().map_err(|_| format!("`{text}` is not an IP address"));
    SocketAddr: |text: &str| text.parse().map_err(|_| {
        format!("`{text}` is not an address with a port, such as `192.0.2.1:18000`")
    });
    SocketMode: socket_mode;
}

fn said<T, E: Display>(parsed: Result<T, E>) -> Result<T, String> {
    parsed.map_err(|error| error.to_string())
}

/// Everybody else gets nothing: the socket gives away private keys.
fn socket_mode(text: &str) -> Result<SocketMode, String> {
    match text {
        "0600" => Ok(SocketMode(0o600)),
        "0660" => Ok(SocketMode(0o660)),
        other => Err(format!("`{other}` is no mode for a socket that gives away keys: `0600` or `0660`")),
    }
}
