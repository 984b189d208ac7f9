//! Pebble, the test CA, with its DNS server.

use crate::process::{Process, on_free_ports};
use crate::tools::{self, Tool};
use crate::{StartError, free_port, https_client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use tempfile::TempDir;
use url::Url;

/// How Pebble is to be. By default it refuses no nonce, reuses no authorization, validates without a delay and sends no
/// `Retry-After`.
#[derive(Clone, Debug, Default)]
pub struct PebbleBuilder {
    strict: bool,
    nonce_reject: u8,
    authz_reuse: u8,
    external_accounts: Vec<(String, String)>,
    profiles: Vec<(String, String, u64)>,
    alternate_roots: u8,
    chain_length: Option<u8>,
    http_port: Option<u16>,
    tls_port: Option<u16>,
    retry_after: (u32, u32),
    blocklist: Vec<String>,
    va_sleep: bool,
    dns_port: Option<u16>,
}

impl PebbleBuilder {
    /// Behaves as future changes of the protocol may have it.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Refuses this percentage of good nonces.
    pub fn nonce_reject(mut self, percent: u8) -> Self {
        self.nonce_reject = percent;
        self
    }

    /// Reuses valid authorizations in this percentage of cases, and one more in a hundred: it rolls `> percent`, so 0 is
    /// not never.
    pub fn authz_reuse(mut self, percent: u8) -> Self {
        self.authz_reuse = percent;
        self
    }

    /// Requires external account binding with one of these (key id, HMAC key in base64url).
    pub fn eab(mut self, accounts: &[(&str, &str)]) -> Self {
        self.external_accounts = accounts.iter().map(|(id, key)| ((*id).into(), (*key).into())).collect();
        self
    }

    /// Offers these profiles (name, description, validity in seconds).
    pub fn profiles(mut self, profiles: &[(&str, &str, u64)]) -> Self {
        self.profiles =
            profiles.iter().map(|(name, text, life)| ((*name).into(), (*text).into(), *life)).collect();
        self
    }

    /// Has this many roots beside the default one.
    pub fn alternate_roots(mut self, count: u8) -> Self {
        self.alternate_roots = count;
        self
    }

    /// Puts this many intermediates between the root and the leaf.
    pub fn chain_length(mut self, intermediates: u8) -> Self {
        self.chain_length = Some(intermediates);
        self
    }

    /// Validates on this port, instead of a free one.
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = Some(port);
        self
    }

    /// Validates behind a redirect to HTTPS on this port, instead of a free one.
    pub fn tls_port(mut self, port: u16) -> Self {
        self.tls_port = Some(port);
        self
    }

    /// Sends `Retry-After` of at most these seconds with pending authorizations and orders.
    pub fn retry_after(mut self, authorization: u32, order: u32) -> Self {
        self.retry_after = (authorization, order);
        self
    }

    /// Refuses these domains.
    pub fn domain_blocklist(mut self, domains: &[&str]) -> Self {
        self.blocklist = domains.iter().map(|domain| (*domain).to_owned()).collect();
        self
    }

    /// Takes up to 5 seconds for a validation.
    pub fn va_sleep(mut self, sleep: bool) -> Self {
        self.va_sleep = sleep;
        self
    }

    /// Has its DNS server on this port of all addresses, instead of on a free one of 127.0.0.1.
    pub fn dns_port(mut self, port: u16) -> Self {
        self.dns_port = Some(port);
        self
    }

    /// Starts it, and the DNS server that it asks.
    ///
    /// # Errors
    /// One of them can not be had, or does not become ready.
    pub async fn start(self) -> Result<Pebble, StartError> {
        on_free_ports(|| self.start_once()).await
    }

    async fn start_once(&self) -> Result<Pebble, StartError> {
        let program = tools::ensure_async(Tool::Pebble).await?;
        let challtestsrv = ChallengeTestServer::start(self.dns_port).await?;
        let failed = |source: std::io::Error| StartError::set_up("pebble", source);
        let directory = TempDir::with_prefix("gatecert-pebble-").map_err(failed)?;
        let ca_pem =
            write_certificate(directory.path()).map_err(|source| StartError::set_up("pebble", source))?;
        let [listen, management] = [free_port(), free_port()];
        let tls = self.tls_port.unwrap_or_else(free_port);
        let http_port = self.http_port.unwrap_or_else(free_port);
        let config = self.config(listen, management, http_port, tls);
        fs::write(directory.path().join("pebble.json"), config.to_string()).map_err(failed)?;
        let mut arguments = vec!["-config", "pebble.json", "-dnsserver", &challtestsrv.dns];
        if self.strict {
            arguments.push("-strict");
        }
        let mut process = Process::start("pebble", &program, &arguments, &self.variables(), directory)?;
        let client = https_client(&ca_pem, &[])?;
        let directory_url = format!("https://localhost:{listen}/dir");
        process.wait_ready(|| answers(&client, &directory_url)).await?;
        let url = |text: String| text.parse::<Url>().map_err(|source| StartError::set_up("pebble", source));
        Ok(Pebble {
            directory_url: url(directory_url)?,
            management_url: url(format!("https://localhost:{management}/"))?,
            process,
            challtestsrv,
            ca_pem,
            http_port,
            client,
        })
    }

    fn config(&self, listen: u16, management: u16, http_port: u16, tls_port: u16) -> Value {
        let profiles: serde_json::Map<String, Value> = self
            .profiles
            .iter()
            .map(|(name, text, life)| (name.clone(), json!({"description": text, "validityPeriod": life})))
            .collect();
        let mut pebble = json!({
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "cert.pem",
            "privateKey": "key.pem",
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": !self.external_accounts.is_empty(),
            "externalAccountMACKeys": self.external_accounts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "domainBlocklist": self.blocklist,
            "retryAfter": {"authz": self.retry_after.0, "order": self.retry_after.1},
            "keyAlgorithm": "ecdsa",
        });
        if !profiles.is_empty() {
            pebble["profiles"] = profiles.into();
        }
        json!({ "pebble": pebble })
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PEBBLE_WFE_NONCEREJECT", self.nonce_reject.to_string()),
            ("PEBBLE_AUTHZREUSE", self.authz_reuse.to_string()),
            ("PEBBLE_ALTERNATE_ROOTS", self.alternate_roots.to_string()),
            ("PEBBLE_VA_NOSLEEP", u8::from(!self.va_sleep).to_string()),
        ];
        variables.extend(self.chain_length.map(|length| ("PEBBLE_CHAIN_LENGTH", length.to_string())));
        variables
    }
}

fn answers(client: &reqwest::Client, url: &str) -> impl Future<Output = bool> + use<> {
    let asked = client.get(url).send();
    async { asked.await.is_ok() }
}

/// Pebble's own HTTPS certificate: a leaf of a root of its own, since rustls takes no CA certificate as a server's.
fn write_certificate(directory: &Path) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "gatecert test root");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let leaf = CertificateParams::new(names)?.signed_by(&key, &ca)?;
    fs::write(directory.join("cert.pem"), leaf.pem())?;
    fs::write(directory.join("key.pem"), key.serialize_pem())?;
    Ok(ca.pem())
}

/// A running Pebble. Dropping it ends it.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    challtestsrv: ChallengeTestServer,
    directory_url: Url,
    management_url: Url,
    ca_pem: String,
    http_port: u16,
    client: reqwest::Client,
}

impl Pebble {
    /// Begins one.
    pub fn builder() -> PebbleBuilder {
        PebbleBuilder::default()
    }

    /// The URL of its directory.
    pub fn directory_url(&self) -> Url {
        self.directory_url.clone()
    }

    /// The root of its own HTTPS certificate (not of those that it issues), in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The URL of its management interface, with a final slash; the same root signed its certificate.
    pub fn management_url(&self) -> Url {
        self.management_url.clone()
    }

    /// The port that it validates HTTP-01 on. Every name is at 127.0.0.1 unless [`Self::challtestsrv`] says otherwise.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Its DNS server.
    pub fn challtestsrv(&self) -> &ChallengeTestServer {
        &self.challtestsrv
    }

    /// The number of its process.
    ///
    /// # Errors
    /// It has not begun.
    pub fn process_id(&self) -> Result<i32, StartError> {
        self.process.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The n-th root of the certificates that it issues, in PEM.
    pub async fn root_pem(&self, n: u8) -> Result<String, StartError> {
        self.manage(&format!("roots/{n}")).await
    }

    /// The n-th intermediate, in PEM.
    pub async fn intermediate_pem(&self, n: u8) -> Result<String, StartError> {
        self.manage(&format!("intermediates/{n}")).await
    }

    /// What it knows of the certificate with this serial number (hexadecimal): JSON with `Status`.
    pub async fn cert_status(&self, serial_hex: &str) -> Result<String, StartError> {
        self.manage(&format!("cert-status-by-serial/{serial_hex}")).await
    }

    /// Makes it answer `response` as the renewal information of this certificate (PEM, the leaf first).
    pub async fn set_renewal_info(&self, certificate_pem: &str, response: &str) -> Result<(), StartError> {
        let body = json!({"certificate": certificate_pem, "ariResponse": response}).to_string();
        let url = self.management("set-renewal-info/");
        let answer =
            self.client.post(url).body(body).send().await.and_then(reqwest::Response::error_for_status);
        answer.map(|_| ()).map_err(|source| StartError::request("pebble", source))
    }

    async fn manage(&self, path: &str) -> Result<String, StartError> {
        let answer =
            self.client.get(self.management(path)).send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|source| StartError::request("pebble", source))?;
        answer.text().await.map_err(|source| StartError::request("pebble", source))
    }

    fn management(&self, path: &str) -> String {
        format!("{}{path}", self.management_url)
    }
}

/// The DNS server that Pebble asks (pebble-challtestsrv). Dropping it ends it.
#[derive(Debug)]
pub struct ChallengeTestServer {
    _process: Process,
    dns: String,
    management: String,
    client: reqwest::Client,
}

impl ChallengeTestServer {
    async fn start(dns_port: Option<u16>) -> Result<Self, StartError> {
        let name = "pebble-challtestsrv";
        let program = tools::ensure_async(Tool::PebbleChalltestsrv).await?;
        let directory =
            TempDir::with_prefix("gatecert-dns-").map_err(|source| StartError::set_up(name, source))?;
        let [dns, management] =
            [dns_port.unwrap_or_else(free_port), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let listen = dns_port.map_or_else(|| dns.clone(), |port| format!(":{port}"));
        let arguments = [
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-dnsserver",
            &listen,
            "-management",
            &management,
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-doh",
            "",
        ];
        let mut process = Process::start(name, &program, &arguments, &[], directory)?;
        let client = https_client("", &[])?;
        let url = format!("http://{management}/");
        process.wait_ready(|| answers(&client, &url)).await?;
        Ok(Self { _process: process, dns, management, client })
    }

    /// Where it answers, by UDP and TCP: an address with a port.
    pub fn dns_address(&self) -> &str {
        &self.dns
    }

    /// Answers A queries for `host` with these addresses.
    pub async fn add_a(&self, host: &str, addresses: &[IpAddr]) -> Result<(), StartError> {
        self.set("add-a", json!({"host": format!("{host}."), "addresses": addresses})).await
    }

    /// Answers AAAA queries for `host` with these addresses.
    pub async fn add_aaaa(&self, host: &str, addresses: &[IpAddr]) -> Result<(), StartError> {
        self.set("add-aaaa", json!({"host": format!("{host}."), "addresses": addresses})).await
    }

    /// Answers CAA queries for `host` with records of these tags and values.
    pub async fn add_caa(&self, host: &str, records: &[(&str, &str)]) -> Result<(), StartError> {
        let policies: Vec<_> =
            records.iter().map(|(tag, value)| json!({"tag": tag, "value": value})).collect();
        self.set("add-caa", json!({"host": format!("{host}."), "policies": policies})).await
    }

    /// Answers A queries for all other names with this address; none with the empty text.
    pub async fn set_default_ipv4(&self, address: &str) -> Result<(), StartError> {
        self.set("set-default-ipv4", json!({"ip": address})).await
    }

    /// Answers AAAA queries for all other names with this address; none with the empty text.
    pub async fn set_default_ipv6(&self, address: &str) -> Result<(), StartError> {
        self.set("set-default-ipv6", json!({"ip": address})).await
    }

    /// Answers every query for `host` with SERVFAIL.
    pub async fn set_servfail(&self, host: &str) -> Result<(), StartError> {
        self.set("set-servfail", json!({"host": format!("{host}.")})).await
    }

    /// The types of the queries for `host` that came so far, in their order, as DNS numbers them (1 A, 28 AAAA,
    /// 257 CAA).
    pub async fn dns_queries(&self, host: &str) -> Result<Vec<u16>, StartError> {
        let failed = |source| StartError::request("pebble-challtestsrv", source);
        let answer = self.post("dns-request-history", json!({"host": host})).await?;
        let text = answer.text().await.map_err(failed)?;
        let events: Vec<DnsEvent> = serde_json::from_str(&text)
            .map_err(|source| StartError::request("pebble-challtestsrv", source))?;
        Ok(events.into_iter().map(|event| event.question.kind).collect())
    }

    async fn set(&self, what: &str, body: Value) -> Result<(), StartError> {
        self.post(what, body).await.map(drop)
    }

    async fn post(&self, what: &str, body: Value) -> Result<reqwest::Response, StartError> {
        let url = format!("http://{}/{what}", self.management);
        let answer = self.client.post(url).body(body.to_string()).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map_err(|source| StartError::request("pebble-challtestsrv", source))
    }
}

/// What challtestsrv remembers of a query.
#[derive(Deserialize)]
struct DnsEvent {
    #[serde(rename = "Question")]
    question: Question,
}

#[derive(Deserialize)]
struct Question {
    #[serde(rename = "Qtype")]
    kind: u16,
}
