//! Documents of YAML or JSON, with the place of everything in them.

use crate::error::InputError;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// The most comments in a row. The reader's own limit is 32, which a header with a licence goes beyond.
const MAX_COMMENTS: usize = 10_000;

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
    /// The reader's limits hold: a million events and 250,000 values, 64 levels, 1,024 documents, and a million events
    /// that aliases repeat. How large a text may be is the caller's to say.
    ///
    /// # Errors
    /// A text that is no YAML.
    pub fn read(source: &str, text: &str) -> Result<Vec<Self>, InputError> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_buffered_comment_events: MAX_COMMENTS },
            with_snippet: false,
        };
        let nodes: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|error| InputError::unreadable(source, &error))?;
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

    /// A `List`, as `kubectl get -o yaml` prints, is its items.
    fn unpack(source: &str, root: Node, documents: &mut Vec<Self>) {
        let is_list = root.text("kind").is_some_and(|kind| kind == "List" || kind.ends_with("List"));
        match (root.data, is_list) {
            (Data::Null, _) => {}
            (Data::Map(fields), true) if fields.iter().any(|(key, _)| key.name == "items") => {
                let items = fields.into_iter().filter(|(key, _)| key.name == "items");
                for (_, items) in items {
                    if let Data::List(items) = items.data {
                        for item in items {
                            documents.push(Self { source: source.to_owned(), root: item });
                        }
                    }
                }
            }
            (data, _) => {
                documents.push(Self { source: source.to_owned(), root: Node { place: root.place, data } });
            }
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
        assert!(Document::read("f.yaml", &text).is_err());
        assert!(Document::read("f.yaml", &"[".repeat(10_000)).is_err());
    }
}
