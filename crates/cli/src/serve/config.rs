//! The configuration: what is to be kept, and where it is served.

use super::document::{self, Document, SocketMode, Text};
use super::mistake::{Place, closest};
use crate::args::{self, Authority};
use crate::error::Failure;
use crate::request::{self, Order};
use crate::{authority, files};
use gatecert_acme::{Clock, Identifier};
use gatecert_http01::ListenAddress;
use gatecert_publish::Http01;
use gatecert_publish::sds::MutualTls;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// How often the file is looked at. Two looks have to agree, so that one that is being written is not taken for whole.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The most certificates of one configuration. Each is looked at every 12 hours at least, and an issuance takes the CA a second
/// or two: a thousand fit into the time many times over.
const MAX_CERTIFICATES: usize = 1000;

/// What `gatecert serve` does.
pub(crate) struct Config {
    pub(crate) store: PathBuf,
    pub(crate) endpoints: Endpoints,
    pub(crate) orders: Vec<Order>,
}

/// Where it listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) http01: Http01,
    /// The path of the socket and its mode.
    pub(crate) unix: Option<(PathBuf, u32)>,
    pub(crate) tls: Option<(SocketAddr, MutualTls)>,
    pub(crate) health: Option<ListenAddress>,
}

/// The file, and what it held when it was read last.
pub(super) struct ConfigFile {
    path: PathBuf,
    known: Zeroizing<String>,
    seen: Option<Zeroizing<String>>,
}

impl ConfigFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: Zeroizing::default(), seen: None }
    }

    /// The configuration that it holds now.
    ///
    /// # Errors
    /// Everything that can be wrong with it and can be found without asking anybody.
    pub(super) fn read(&mut self) -> Result<Config, Failure> {
        self.known = files::read(&self.path, "the configuration")?;
        Config::parse(&self.known, &self.path)
    }

    /// Completes when it holds something else than was read last. A file that is missing for a moment, as while an editor
    /// replaces it, is no change.
    pub(super) async fn changed(&mut self, clock: &dyn Clock) {
        loop {
            clock.sleep(LOOK_INTERVAL).await;
            let now = files::read(&self.path, "the configuration").ok();
            let is_news = now.as_ref().is_some_and(|now| *now != self.known);
            if is_news && now == self.seen {
                return;
            }
            self.seen = now;
        }
    }
}

impl Config {
    /// Of this text; relative paths are relative to the file.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let place = Place { path, text };
        let document: Document = toml::from_str(text).map_err(|error| place.of_toml(&error))?;
        let path = std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(&path).to_owned();
        let reading = Reading { place, folder, issuers: document.issuers };
        let http01 = reading.http01(document.http01)?;
        let orders = reading.orders(document.certificates, &http01)?;
        let endpoints = Endpoints {
            unix: document.sds.unix.map(|unix| reading.unix(unix)),
            tls: document.sds.tls.map(|tls| reading.tls(tls)).transpose()?,
            health: document.health.map(|health| health.listen.0),
            http01,
        };
        endpoints.are_apart().map_err(|message| reading.place.at(None, &message))?;
        Ok(Self { store: reading.folder.join(&document.store), orders, endpoints })
    }

    /// Whether this machine has what it needs, as far as looking at it tells.
    pub(super) fn is_possible(&self) -> Result<(), Failure> {
        let there = self.store.ancestors().find(|folder| folder.exists());
        if let Some(file) = there.filter(|there| !there.is_dir()) {
            let message = format!("`store`: `{}` is a file", file.display());
            return Err(Failure::usage(message).hint("move it away, or choose another directory"));
        }
        Ok(())
    }
}

impl Endpoints {
    /// Whether all of them can listen at the same time; else which can not.
    fn are_apart(&self) -> Result<(), String> {
        let http01 = match &self.http01 {
            Http01::Listen(address) => address.parse().ok(),
            Http01::Webroot(_) => None,
        };
        let sds = self.tls.as_ref().map(|(address, _)| ListenAddress::from(*address));
        let all = [("http01.listen", http01), ("sds.tls.listen", sds), ("health.listen", self.health)];
        let mut before: Vec<(&str, ListenAddress)> = Vec::new();
        for (name, address) in all.into_iter().filter_map(|(name, address)| Some((name, address?))) {
            if let Some((other, _)) = before.iter().find(|(_, other)| address.overlaps(other)) {
                return Err(format!("`{name}` is {address}, where `{other}` listens: give it another port"));
            }
            before.push((name, address));
        }
        Ok(())
    }
}

/// A document on its way to a [`Config`].
struct Reading<'a> {
    place: Place<'a>,
    folder: PathBuf,
    issuers: BTreeMap<String, document::Issuer>,
}

impl Reading<'_> {
    fn http01(&self, http01: document::Http01) -> Result<Http01, Failure> {
        match (http01.listen, http01.webroot) {
            (Some(_), Some(webroot)) => {
                let message =
                    "`http01` has `listen` and `webroot`: challenges are answered in one of these ways";
                Err(self.place.at(Some(webroot.span()), message))
            }
            (None, Some(webroot)) => Ok(Http01::Webroot(self.folder.join(webroot.get_ref()))),
            (Some(Text(listen)), None) => Ok(Http01::Listen(listen.to_string())),
            (None, None) => Ok(Http01::Listen(":80".into())),
        }
    }

    fn unix(&self, unix: document::UnixSds) -> (PathBuf, u32) {
        let SocketMode(mode) = unix.mode.map_or(SocketMode(0o660), |mode| mode.0);
        (self.folder.join(unix.path), mode)
    }

    fn tls(&self, tls: document::TlsSds) -> Result<(SocketAddr, MutualTls), Failure> {
        let read = |path, what| files::read(&self.folder.join(path), what);
        let identity = MutualTls {
            certificate_pem: read(tls.certificate, "the certificate of the SDS server")?.to_string(),
            key_pem: read(tls.key, "the key of the SDS server")?,
            client_ca_pem: read(tls.client_ca, "the CA of the SDS server's clients")?.to_string(),
        };
        Ok((tls.listen.0, identity))
    }

    fn orders(
        &self,
        certificates: Vec<toml::Spanned<document::Certificate>>,
        http01: &Http01,
    ) -> Result<Vec<Order>, Failure> {
        if certificates.len() > MAX_CERTIFICATES {
            let count = certificates.len();
            let message =
                format!("{count} certificates are more than the {MAX_CERTIFICATES} of one configuration");
            return Err(self.place.at(None, &message));
        }
        let mut orders: Vec<Order> = Vec::new();
        for certificate in certificates {
            let span = certificate.span();
            let order = self.order(certificate.into_inner(), span.clone(), http01)?;
            if orders.iter().any(|other| other.name == order.name) {
                let message = format!("there are two certificates `{}`", order.name);
                return Err(self.place.at(Some(span), &message).hint("give one of them another `name`"));
            }
            orders.push(order);
        }
        Ok(orders)
    }

    fn order(
        &self,
        certificate: document::Certificate,
        span: Range<usize>,
        http01: &Http01,
    ) -> Result<Order, Failure> {
        let here = |failure: Failure| Failure {
            hint: failure.hint,
            ..self.place.at(Some(span.clone()), &failure.message)
        };
        let names = certificate.names.into_iter().map(|name| name.0);
        let addresses = certificate.addresses.into_iter().map(|address| Identifier::Ip(address.0));
        let identifiers: Vec<Identifier> = names.chain(addresses).collect();
        if identifiers.is_empty() {
            let failure = self.place.at(Some(span), "the certificate has no `names` and no `addresses`");
            return Err(failure.hint("give at least one: names = [\"www.example.com\"]"));
        }
        let identifiers = request::unique(identifiers).map_err(here)?;
        let issuer = self.issuer(certificate.issuer, span.clone())?;
        let name = certificate.name.map_or_else(|| request::name_of(&identifiers), |name| Ok(name.0));
        let preferred_chain = certificate.preferred_chain.as_ref().or(issuer.preferred_chain.as_ref());
        Ok(Order {
            name: name.map_err(here)?,
            profile: certificate.profile.or_else(|| issuer.profile.clone()),
            key_type: certificate.key_type.map(|key_type| key_type.0).unwrap_or_default(),
            preferred_chain: preferred_chain.map(|chain| chain.0.to_string()),
            authority: self.authority(issuer)?,
            enrolment: self.enrolment(issuer)?,
            http01: http01.clone(),
            identifiers,
        })
    }

    /// The issuer of this name, or the only one.
    fn issuer(
        &self,
        name: Option<toml::Spanned<String>>,
        span: Range<usize>,
    ) -> Result<&document::Issuer, Failure> {
        let names = || self.issuers.keys().map(String::as_str);
        let Some(name) = name else {
            let mut issuers = self.issuers.values();
            return match (issuers.next(), issuers.next()) {
                (Some(issuer), None) => Ok(issuer),
                (None, _) => Err(self.place.at(None, "there are no `issuers`")),
                _ => {
                    let failure =
                        self.place.at(Some(span), "the certificate names no `issuer`, and there are several");
                    Err(failure.hint(format!("one of: {}", names().collect::<Vec<_>>().join(", "))))
                }
            };
        };
        self.issuers.get(name.get_ref()).ok_or_else(|| {
            let failure =
                self.place.at(Some(name.span()), &format!("there is no issuer `{}`", name.get_ref()));
            match closest(name.get_ref(), names()) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint(format!("there are: {}", names().collect::<Vec<_>>().join(", "))),
            }
        })
    }

    /// The roots are read once to find what is wrong with them.
    fn authority(&self, issuer: &document::Issuer) -> Result<Authority, Failure> {
        let ca_file = issuer.ca_file.as_ref().map(|path| self.folder.join(path));
        let authority = Authority { server: issuer.server.0.clone(), ca_file };
        authority::transport(&authority)?;
        Ok(authority)
    }

    fn enrolment(&self, issuer: &document::Issuer) -> Result<crate::account_store::Enrolment, Failure> {
        let external = issuer.external_account.as_ref();
        request::enrolment(&args::Enrolment {
            emails: issuer.email.iter().map(|email| email.0.clone()).collect(),
            eab_kid: external.map(|external| external.key_id.clone()),
            eab_hmac_key_file: external.map(|external| self.folder.join(&external.hmac_key_file)),
        })
    }
}

#[cfg(test)]
mod tests;
