//! Ingresses. Those of Istio's class become Gateways with routes, a namespace at a time; the others stay Ingresses.

mod gateway_api;
mod istio;
pub(crate) mod old;
mod site;

use crate::annotations::{Asked, Secrets, are_proved, wildcards};
use crate::challenge;
use crate::error::word;
use crate::inputs::{Input, Inputs, is_name};
use crate::issuer::ISTIO;
use crate::metadata::{self, is_theirs};
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin, copy_command, kubectl};
use crate::options::{Options, Target};
use crate::source;
use crate::staying::Staying;
use gatecert_api::annotation;
use k8s_openapi::api::networking::v1::Ingress;
use site::Site;
use std::collections::{BTreeMap, BTreeSet};

/// The class before there were Ingress classes.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Converts all Ingresses.
pub(crate) fn convert(inputs: &Inputs, options: &Options, staying: &Staying, migration: &mut Migration) {
    let (istio, others) = by_class(inputs, staying, migration);
    for input in &others {
        if !source::ingress(input, staying, migration) {
            migration.notes.push(input.origin.note(NoteKind::PassedOver, "nothing of cert-manager's"));
        }
    }
    for (namespace, ingresses) in &istio {
        let site = Site::of(namespace.as_deref(), ingresses, &inputs.services, migration);
        Conversion { inputs, options, staying, namespace: namespace.as_deref(), ingresses, site: &site }
            .run(migration);
    }
}

/// Says beforehand who writes the Secrets of them.
pub(crate) fn share(inputs: &Inputs, options: &Options, staying: &mut Staying) {
    let (unsaid, none) = (&mut Migration::default(), &Staying::default());
    let (istio, others) = by_class(inputs, none, unsaid);
    others.iter().for_each(|input| source::share_ingress(input, staying));
    for (namespace, ingresses) in &istio {
        let site = Site::of(namespace.as_deref(), ingresses, &inputs.services, unsaid);
        let namespace = namespace.as_deref();
        Conversion { inputs, options, staying: none, namespace, ingresses, site: &site }
            .share(unsaid, staying);
    }
}

type ByNamespace = BTreeMap<Option<String>, Vec<Input<Ingress>>>;

/// Those of Istio's class by namespace, and the others, without paths for challenges.
fn by_class(
    inputs: &Inputs,
    staying: &Staying,
    migration: &mut Migration,
) -> (ByNamespace, Vec<Input<Ingress>>) {
    let (mut istio, mut others) = (ByNamespace::new(), Vec::new());
    for input in &inputs.ingresses {
        let Some(object) = challenge::without(input, staying, migration) else { continue };
        let input = Input { origin: input.origin.clone(), object };
        match class(&input.object) == Some(ISTIO) {
            true => istio.entry(input.origin.namespace.clone()).or_default().push(input),
            false => others.push(input),
        }
    }
    (istio, others)
}

fn class(ingress: &Ingress) -> Option<&str> {
    let annotated = ingress.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS));
    annotated.map(String::as_str).or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_deref())
}

/// The Ingresses of one namespace, and what they serve together.
struct Conversion<'a> {
    inputs: &'a Inputs,
    options: &'a Options,
    staying: &'a Staying,
    namespace: Option<&'a str>,
    ingresses: &'a [Input<Ingress>],
    site: &'a Site,
}

impl Conversion<'_> {
    fn run(&self, migration: &mut Migration) {
        if self.site.hosts.is_empty() {
            return;
        }
        let mut comments = Comments::default();
        let annotations = self.annotations(&mut comments, migration);
        self.adopt(&annotations, migration);
        match self.options.to {
            Target::Istio => self.istio(annotations, comments, migration),
            Target::GatewayApi => self.gateway_api(annotations, comments, migration),
        }
        self.after(migration);
    }

    /// What the Gateway asks gatecert for: what the first of the Ingresses asked cert-manager for.
    fn annotations(&self, comments: &mut Comments, migration: &mut Migration) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        for Input { origin, object } in self.ingresses {
            let Some(asked) = Asked::of(origin, object.metadata.annotations.as_ref()) else { continue };
            // The comments on the key are for all of them together.
            let mut own = Comments::default();
            match asked.wanted(&mut own, &mut migration.notes) {
                Ok(wanted) if annotations.is_empty() => {
                    annotations = wanted;
                    comments.0.extend(own.0);
                }
                Ok(wanted) if wanted == annotations => {}
                Ok(_) => {
                    let text = "asks for other certificates than another Ingress of its namespace does, and they share a \
                                Gateway now: write a Certificate for its hosts";
                    migration.notes.push(origin.not_migrated(text));
                }
                Err(why) => migration.notes.push(origin.not_migrated(why)),
            }
        }
        if self.options.to == Target::GatewayApi {
            self.without_issuer_of_ingresses(&mut annotations, migration);
        }
        if let Some(first) = self.ingresses.first().filter(|_| !annotations.is_empty()) {
            wildcards(&first.origin, &self.secrets(), &mut migration.notes);
        }
        annotations
    }

    fn share(&self, migration: &mut Migration, staying: &mut Staying) {
        let Some(first) = self.ingresses.first() else { return };
        let annotations = self.annotations(&mut Comments::default(), migration);
        let written = if annotations.is_empty() { BTreeSet::new() } else { self.written_secrets() };
        for secret in &written {
            staying.write(&first.origin, (Some(self.options.gateway_namespace.clone()), secret.clone()));
        }
        for Input { origin, object } in self.ingresses {
            staying.made(origin);
            let Some(asked) = Asked::of(origin, object.metadata.annotations.as_ref()) else { continue };
            let wanted = asked.wanted(&mut Comments::default(), &mut Vec::new());
            for (secret, hosts) in source::secrets_of_ingress(object) {
                if wanted.as_ref() == Ok(&annotations) && written.contains(&secret.1) {
                    staying.made(origin).insert(secret.1);
                } else {
                    staying.leave(origin, secret, &hosts);
                }
            }
        }
    }

    /// Where the Gateway makes Certificates, their Secrets are taken over.
    fn adopt(&self, annotations: &BTreeMap<String, String>, migration: &mut Migration) {
        let Some(first) = self.ingresses.first().filter(|_| !annotations.is_empty()) else { return };
        let to = self.options.gateway_namespace.as_str();
        for secret in self.written_secrets().iter().filter(|secret| is_name(secret)) {
            let note = self.staying.hand_over(&first.origin, Some(to), secret);
            if let Some(from) = self.namespace.filter(|from| *from != to && note.kind == NoteKind::Before) {
                let text = "Copy what is served to where Istio's gateway reads it, or it is issued anew:";
                let command = copy_command(from, to, secret);
                migration.notes.push(first.origin.note(NoteKind::Before, text).command(command));
            }
            migration.notes.push(note);
        }
    }

    /// The Secrets of the Gateway, with their hosts.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        for (name, host) in &self.site.hosts {
            if let Some(secret) = &host.secret {
                let secret = (Some(self.options.gateway_namespace.clone()), secret.clone());
                secrets.entry(secret).or_default().insert(name.clone());
            }
        }
        secrets
    }

    /// Those that gatecert writes for an annotated Gateway.
    fn written_secrets(&self) -> BTreeSet<String> {
        let written = self.secrets().into_iter().filter(|(_, hosts)| are_proved(hosts));
        written.map(|((_, secret), _)| secret).collect()
    }

    /// The Secrets that nothing of what was read writes.
    fn orphans(&self, annotations: &BTreeMap<String, String>) -> Vec<String> {
        if !annotations.is_empty() {
            return Vec::new();
        }
        let is_written = |secret: &str| {
            self.inputs.certificates.iter().any(|certificate| {
                certificate.object.spec.secret_name == secret
                    && certificate.origin.namespace.as_ref() == Some(&self.options.gateway_namespace)
            })
        };
        let secrets = self.secrets().into_keys().map(|(_, secret)| secret);
        secrets.filter(|secret| !is_written(secret)).map(|secret| word(&secret)).collect()
    }

    /// The comment on those.
    fn say_orphans(
        &self,
        annotations: &BTreeMap<String, String>,
        field: &'static [&'static str],
        comments: &mut Comments,
    ) {
        let orphans = self.orphans(annotations);
        if !orphans.is_empty() {
            comments.add(field, format!(
                "no Certificate that was read writes {} in `{}`: write one, or annotate this Gateway with \
                 `{}: NAME`",
                orphans.join(", "),
                self.options.gateway_namespace,
                annotation::CLUSTER_ISSUER
            ));
        }
    }

    /// cert-manager wrote the Secret of an annotated Ingress beside that, where Istio's gateway does not look.
    fn say_elsewhere(
        &self,
        annotations: &BTreeMap<String, String>,
        field: &'static [&'static str],
        comments: &mut Comments,
    ) {
        let to = &self.options.gateway_namespace;
        let Some(from) = self.namespace.filter(|from| from != to && !annotations.is_empty()) else { return };
        let text = format!(
            "Istio reads the Secrets in `{to}`: those that cert-manager wrote in `{from}` are copied there before, or \
             issued anew"
        );
        comments.add(field, text);
    }

    /// What stood on the Ingresses for others does not go over to objects of other kinds.
    fn say_dropped(&self, comments: &mut Comments) {
        let is_dropped = |key: &&String| {
            ![CLASS, site::ALLOW_HTTP].contains(&key.as_str())
                && !key.starts_with("kubectl.kubernetes.io/")
                && !is_theirs(key)
        };
        let keys = self.ingresses.iter().flat_map(|input| {
            let metadata = &input.object.metadata;
            let annotations = metadata.annotations.iter().flat_map(BTreeMap::keys).filter(is_dropped);
            metadata.labels.iter().flat_map(BTreeMap::keys).chain(annotations)
        });
        let keys: BTreeSet<_> = keys.map(|key| word(key)).collect();
        let all = self.ingresses.iter().map(|input| &input.object.metadata);
        metadata::say_dropped(all, "which is for the Ingresses alone", comments);
        if !keys.is_empty() {
            let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
            comments.add(
                &["metadata"],
                format!("labels and annotations of the Ingresses that are left out: {keys}"),
            );
        }
    }

    fn origins(&self) -> Vec<&Origin> {
        self.ingresses.iter().map(|input| &input.origin).collect()
    }

    /// The Ingresses that a host comes from.
    fn origins_of(&self, host: &site::Host) -> Vec<&Origin> {
        host.ingresses
            .iter()
            .filter_map(|index| self.ingresses.get(*index))
            .map(|input| &input.origin)
            .collect()
    }

    /// The name of the Gateway.
    fn gateway_name(&self) -> String {
        self.namespace.map_or_else(|| "ingress".to_owned(), |namespace| format!("{namespace}-ingress"))
    }

    fn after(&self, migration: &mut Migration) {
        for input in self.ingresses {
            let origin = &input.origin;
            if self.staying.has(origin) {
                let text = "keep it: the Certificates that cert-manager made for it would go with it, and not all have a counterpart";
                migration.notes.push(origin.not_migrated(text));
                continue;
            }
            if let Some(certificate) = challenge::needed_by(input, self.staying) {
                migration.notes.push(challenge::kept(origin, certificate));
                continue;
            }
            let command = format!("{} delete ingress {}", kubectl(self.namespace), origin.name);
            let text = "When the gateway answers by the new routes, delete the Ingresses that they replace:";
            migration.notes.push(origin.note(NoteKind::After, text).command(command));
        }
    }
}
