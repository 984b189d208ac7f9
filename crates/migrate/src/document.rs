//! Documents of YAML or JSON, with the place of everything in them.

use crate::error::InputError;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// The most comments in a row. The reader's own limit is 32, which a header with a licence goes beyond.
const MAX_COMMENTS: usize = 10_000;

/// The most values of a text: names of fields, maps, lists and what is in them. A Certificate as `kubectl get -o yaml`
/// prints it has 82 in 952 bytes, so that these are 48,000 Certificates in 46 MB. Read, such a value takes 100 bytes of
/// memory, which makes 400 MB.
pub(crate) const MAX_VALUES: usize = 4_000_000;

/// The most events of the reader: one for each value, another for the end of each map and list, which are half of all at
/// the most in what means something, and the rest for documents and comments.
const MAX_EVENTS: usize = 10_000_000;

/// The most documents of a text: one is at least one value, so that memory does not grow by it.
pub(crate) const MAX_DOCUMENTS: usize = 100_000;

/// How deep maps and lists are in one another at the most, which is the reader's own limit.
pub(crate) const MAX_DEPTH: usize = 64;

/// How the kind of a list of objects ends.
const LIST: &str = "List";

/// The fields that say what an object is.
const HEAD_OF_ITEMS: [&str; 2] = ["apiVersion", "kind"];

/// One object, and where it was read.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) source: String,
    pub(crate) root: Node,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

/// A place in a text, from 1; 0 where there was no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Document {
    /// The documents of a YAML or JSON text, the items of `List`s one by one. `source` names the text in messages.
    ///
    /// There are limits: 4 million values, 10 million events of the reader, 64 levels, 100,000 documents, 64 MiB of text
    /// in values and as much in comments; and, so that a small text does not become a large one, a million events that
    /// aliases repeat. How large a text may be is the caller's to say.
    ///
    /// # Errors
    /// A text that is no YAML, or that goes beyond a limit.
    pub fn read(source: &str, text: &str) -> Result<Vec<Self>, InputError> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_buffered_comment_events: MAX_COMMENTS,
                max_nodes: MAX_VALUES,
                max_events: MAX_EVENTS,
                max_documents: MAX_DOCUMENTS,
                max_depth: MAX_DEPTH,
            },
            with_snippet: false,
        };
        let nodes: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|error| InputError::unreadable(source, text, &error))?;
        let mut documents = Vec::new();
        for root in nodes {
            Self::unpack(source, root, &mut documents);
        }
        Ok(documents)
    }

    /// An object that comes from elsewhere than a text.
    pub fn from_value(source: &str, value: Value) -> Self {
        Self { source: source.to_owned(), root: Node::from(value) }
    }

    /// A `List`, as `kubectl get -o yaml` prints, is its items, and so is a list in a list.
    fn unpack(source: &str, root: Node, documents: &mut Vec<Self>) {
        if root.is_list() {
            let head = root.head_of_items();
            for item in root.into_items() {
                Self::unpack(source, item.with_head(&head), documents);
            }
        } else if !matches!(root.data, Data::Null) {
            documents.push(Self { source: source.to_owned(), root });
        }
    }

    /// Whether it comes from a text, which somebody wrote and can correct.
    pub(crate) fn is_text(&self) -> bool {
        self.root.place.line > 0
    }

    /// Where it begins: `file:line`, or the source alone.
    pub(crate) fn title(&self) -> String {
        match self.root.place.line {
            0 => self.source.clone(),
            line => format!("{}:{line}", self.source),
        }
    }
}

impl Node {
    /// The field of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match &self.data {
            Data::Map(fields) => fields.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The field of a map, where it is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.field(name)?.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is an object for its items alone. An `items` that is no list is left for whoever looks at the object.
    fn is_list(&self) -> bool {
        self.text("kind").is_some_and(|kind| kind.ends_with(LIST))
            && self.field("items").is_some_and(|items| matches!(items.data, Data::List(_) | Data::Null))
    }

    /// What the API server leaves out of the items of a `CertificateList`: that they are Certificates, and of which version.
    fn head_of_items(&self) -> Vec<(Key, Self)> {
        let Data::Map(fields) = &self.data else { return Vec::new() };
        let mut head: Vec<_> =
            fields.iter().filter(|(key, _)| HEAD_OF_ITEMS.contains(&key.name.as_str())).cloned().collect();
        for (_, node) in head.iter_mut().filter(|(key, _)| key.name == "kind") {
            if let Data::Text(kind) = &mut node.data {
                kind.truncate(kind.len() - LIST.len());
            }
        }
        // A `List` of no kind has items of any.
        let is_of_a_kind =
            |(_, node): &(Key, Self)| !matches!(&node.data, Data::Text(text) if text.is_empty());
        if head.iter().all(is_of_a_kind) { head } else { Vec::new() }
    }

    fn into_items(self) -> Vec<Self> {
        let Data::Map(fields) = self.data else { return Vec::new() };
        match fields.into_iter().find(|(key, _)| key.name == "items").map(|(_, items)| items.data) {
            Some(Data::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// The same with these fields, where it has none of them.
    fn with_head(mut self, head: &[(Key, Self)]) -> Self {
        let has_none = HEAD_OF_ITEMS.iter().all(|name| self.field(name).is_none());
        if let Data::Map(fields) = &mut self.data
            && has_none
        {
            fields.splice(0..0, head.iter().cloned());
        }
        self
    }

    /// The same without places. What is null is left out, which means the same to Kubernetes.
    pub(crate) fn value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => text.as_str().into(),
            Data::List(items) => items.iter().map(Self::value).collect(),
            Data::Map(fields) => {
                let present = fields.iter().filter(|(_, node)| !matches!(node.data, Data::Null));
                Value::Object(present.map(|(key, node)| (key.name.clone(), node.value())).collect())
            }
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(value),
            Value::Number(number) => Data::Number(number),
            Value::String(text) => Data::Text(text),
            Value::Array(items) => Data::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Data::Map(of_fields(fields)),
        };
        Self { place: Place::default(), data }
    }
}

fn of_fields(fields: Map<String, Value>) -> Vec<(Key, Node)> {
    let key = |name| Key { place: Place::default(), name };
    fields.into_iter().map(|(name, value)| (key(name), Node::from(value))).collect()
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Data>::deserialize(deserializer)?;
        Ok(Self { place: spanned.referenced.into(), data: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        Data::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        // What JSON has no number for, an infinity, stays as the text that it was.
        Ok(Number::from_f64(value).map_or_else(|| Data::Text(value.to_string()), Data::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Data, E> {
        Ok(Data::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Data, E> {
        Ok(Data::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Data, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = fields.next_key::<Spanned<String>>()? {
            map.push((Key { place: key.referenced.into(), name: key.value }, fields.next_value()?));
        }
        Ok(Data::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let text = "a: 1\n---\n# c\nkind: Certificate\nspec:\n  names: [x, 'y']\n  on: true\n";
        let documents = Document::read("f.yaml", text).unwrap();
        assert_eq!(documents.len(), 2);
        let root = &documents[1].root;
        assert_eq!(documents[1].title(), "f.yaml:4");
        let Data::Map(spec) = &root.field("spec").unwrap().data else { panic!("{root:?}") };
        assert_eq!((spec[0].0.place, spec[0].1.place), (at(6, 3), at(6, 10)));
        assert_eq!((spec[1].0.place, spec[1].1.place), (at(7, 3), at(7, 7)));
        assert_eq!(root.value()["spec"]["names"][1], "y");
    }

    fn at(line: u64, column: u64) -> Place {
        Place { line, column }
    }

    #[test]
    fn lists_are_their_items_and_nothing_is_nothing() {
        let text = "# only a comment\n---\nkind: CertificateList\nitems:\n- {kind: A, x: null}\n- kind: B\n";
        let documents = Document::read("f", text).unwrap();
        assert_eq!(documents.iter().map(Document::title).collect::<Vec<_>>(), ["f:5", "f:6"]);
        assert_eq!(documents[0].root.value(), serde_json::json!({"kind": "A"}));
    }

    #[test]
    fn items_are_of_the_kind_of_their_list() {
        let text = "apiVersion: v1
kind: List
items:
- apiVersion: cert-manager.io/v1
  kind: CertificateList
  items:
  - metadata: {name: a}
  - {apiVersion: x/v1, kind: X}
- metadata: {name: of-no-kind}
- {kind: IssuerList, items: null}
- {kind: IssuerList, items: {a: b}}
";
        let documents = Document::read("f", text).unwrap();
        let values: Vec<_> = documents.iter().map(|document| document.root.value()).collect();
        assert_eq!(
            values,
            [
                serde_json::json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a"}}),
                serde_json::json!({"apiVersion": "x/v1", "kind": "X"}),
                serde_json::json!({"metadata": {"name": "of-no-kind"}}),
                serde_json::json!({"kind": "IssuerList", "items": {"a": "b"}}),
            ]
        );
        assert_eq!(documents[0].title(), "f:7");
    }

    #[test]
    fn no_yaml_is_an_error_with_its_place() {
        let error = Document::read("f.yaml", "a: 1\nb: [\n").unwrap_err();
        assert!(error.to_string().starts_with("f.yaml:"), "{error}");
        assert!(Document::read("f.yaml", "a: 1\na: 2\n").is_err(), "a field that is there twice");
    }

    #[test]
    fn nothing_is_repeated_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            let aliases = vec![format!("*a{below}"); 10].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        let message = |text: &str| Document::read("f.yaml", text).unwrap_err().message;
        assert!(message(&text).contains("repeat too much"), "{}", message(&text));
        let deep = message(&"[".repeat(10_000));
        assert!(deep.contains("64 levels"), "{deep}");
    }

    /// What an export of a large cluster has, and what no memory is enough for.
    #[test]
    fn large_texts_are_read_and_too_large_ones_told_of() {
        let item = "- {kind: Certificate, metadata: {labels: {app: a, team: b}}, spec: {dnsNames: [a, b]}}\n";
        let list = |count: usize| format!("kind: List\nitems:\n{}", item.repeat(count));
        assert_eq!(Document::read("f.yaml", &list(20_000)).unwrap().len(), 20_000);
        assert_eq!(Document::read("f.yaml", &"---\na: b\n".repeat(5_000)).unwrap().len(), 5_000);
        let error = Document::read("f.yaml", &"--- a\n".repeat(MAX_DOCUMENTS + 1)).unwrap_err();
        assert!(error.message.starts_with("is too large"), "{error}");
        assert!(error.hint.unwrap().contains("split it"));
    }

    #[test]
    fn what_is_no_yaml_is_said_in_plain_words() {
        let error = |text: &str| {
            let error = Document::read("f.yaml", text).unwrap_err();
            (error.to_string(), error.hint.unwrap_or_default())
        };
        let twice = error("metadata: {}\nmetadata: {}\n").0;
        assert_eq!(twice, "f.yaml:2:1: the key `metadata` stands twice");
        let (message, hint) = error("kind: A\nmetadata:\n  name: {{ .Values.name }}\n");
        assert!(message.starts_with("f.yaml:3:"), "{message}");
        assert!(hint.contains("helm template"), "{hint}");
        assert_eq!(error("a: [\n").1, "");
    }
}
