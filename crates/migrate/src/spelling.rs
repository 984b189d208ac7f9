//! Whether an object has only fields that its kind has.

use crate::document::{Data, Document, Node};
use crate::error::{InputError, word};
use serde_json::{Map, Value};

/// How many errors of one object are told: beyond, it is probably of another kind.
const MAX_ERRORS: usize = 20;

/// Compares an object with the schema of its kind, and gives every field that the schema does not have, every value of
/// another type, and every field that has to be there and is not.
pub(crate) fn check(document: &Document, schema: &Value) -> Vec<InputError> {
    let mut checked = Checked { document, errors: Vec::new() };
    checked.node(&document.root, schema, "");
    checked.errors.truncate(MAX_ERRORS);
    checked.errors
}

/// The word among `known` that was probably meant: one of few letters' difference.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_ascii_lowercase();
    // Two letters, or one in four: `srver` is `server`, `cas` is not `email`.
    let most = if lower.chars().count() <= 3 { 1 } else { (lower.chars().count() / 4).max(2) };
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&lower, &word.to_ascii_lowercase()), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// What to say of it.
pub(crate) fn did_you_mean(word: Option<&str>) -> Option<String> {
    word.map(|word| format!("did you mean `{word}`?"))
}

struct Checked<'a> {
    document: &'a Document,
    errors: Vec<InputError>,
}

impl Checked<'_> {
    fn node(&mut self, node: &Node, schema: &Value, path: &str) {
        if matches!(node.data, Data::Null) {
            return;
        }
        if let Some(message) = misfit_of_number(node, schema, path) {
            self.errors.push(InputError::new(self.document, node.place, message));
            return;
        }
        let Some(schema) = fitting(node, schema) else {
            let wanted = wanted(schema);
            let message = format!("{} is {} and has to be {wanted}", word(path), type_of(node));
            let can_be_quoted = matches!(node.data, Data::Bool(_) | Data::Number(_)) && wanted.contains(TEXT);
            let hint = can_be_quoted.then(|| "put it into quotes to make it text".to_owned());
            self.errors.push(InputError::new(self.document, node.place, message).hint(hint));
            return;
        };
        match &node.data {
            Data::Map(_) => self.map(node, schema, path),
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &schema["items"], &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, node: &Node, schema: &Value, path: &str) {
        let Data::Map(fields) = &node.data else { return };
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let is_open = match &schema["additionalProperties"] {
            Value::Null => properties.is_empty(),
            Value::Bool(is_open) => *is_open,
            _ => true,
        };
        let mut meant = Vec::new();
        for (key, value) in fields {
            match (properties.get(&key.name), is_open) {
                (Some(schema), _) => self.node(value, schema, &below(&key.name)),
                (None, true) => self.node(value, &schema["additionalProperties"], &below(&key.name)),
                (None, false) => {
                    let absent = properties.keys().filter(|name| node.field(name).is_none());
                    let probable = nearest(&key.name, absent.map(String::as_str));
                    meant.extend(probable);
                    let message = format!("unknown field {}", word(&below(&key.name)));
                    let error = InputError::new(self.document, key.place, message);
                    self.errors.push(error.hint(did_you_mean(probable)));
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let is_there = node.field(name).is_some_and(|node| !matches!(node.data, Data::Null));
            if !is_there && !meant.contains(&name) {
                let message = format!("{} is missing", word(&below(name)));
                self.errors.push(InputError::new(self.document, node.place, message));
            }
        }
    }
}

/// The part of a schema that a value is of; none where it is of none.
fn fitting<'a>(node: &Node, schema: &'a Value) -> Option<&'a Value> {
    for either in ["anyOf", "oneOf"] {
        if let Some(parts) = schema[either].as_array() {
            return parts.iter().find_map(|part| fitting(node, part));
        }
    }
    let is_type = |wanted: &str| match (&node.data, wanted) {
        (Data::Bool(_), "boolean") | (Data::Text(_), "string") => true,
        (Data::List(_), "array") | (Data::Map(_), "object") | (Data::Number(_), "number") => true,
        (Data::Number(number), "integer") => !number.is_f64(),
        _ => false,
    };
    let types = types(schema);
    (types.is_empty() || types.into_iter().any(is_type)).then_some(schema)
}

/// What is wrong with a number where a whole one is wanted: the reader takes what is larger than 64 bits for a fraction.
fn misfit_of_number(node: &Node, schema: &Value, path: &str) -> Option<String> {
    let Data::Number(number) = &node.data else { return None };
    let whole = parts(schema).find(|part| types(part).contains(&"integer"))?;
    if parts(schema).flat_map(types).any(|other| other == "number") {
        return None;
    }
    let (least, most) = match whole["format"].as_str().unwrap_or_default() {
        "int32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "uint32" => (0, i64::from(u32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let is_fraction = |number: f64| number.fract() != 0.0 || (least as f64..=most as f64).contains(&number);
    if number.is_f64() && number.as_f64().is_some_and(is_fraction) {
        return Some(format!("{} is {number} and has to be a whole number, in digits alone", word(path)));
    }
    let is_in_range = number.as_i64().is_some_and(|number| (least..=most).contains(&number));
    (!is_in_range).then(|| format!("{} is out of range: it has to be from {least} to {most}", word(path)))
}

/// A schema and those that it is put together from.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let parts = ["anyOf", "oneOf"].iter().filter_map(|either| schema[*either].as_array()).flatten();
    [schema].into_iter().chain(parts)
}

/// The types that a schema names.
fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The word for a string.
const TEXT: &str = "text";

/// What a schema takes, in words.
fn wanted(schema: &Value) -> String {
    let words = parts(schema).flat_map(types).filter_map(|wanted| match wanted {
        "string" => Some(TEXT),
        "boolean" => Some("true or false"),
        "integer" | "number" => Some("a number"),
        "array" => Some("a list"),
        "object" => Some("a map"),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" or ")
}

fn type_of(node: &Node) -> &'static str {
    match node.data {
        Data::Null => "empty",
        Data::Bool(_) => "true or false",
        Data::Number(_) => "a number",
        Data::Text(_) => "text",
        Data::List(_) => "a list",
        Data::Map(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_probable_word_is_near() {
        let known = ["server", "email", "metadata", "dnsNames", "ca"];
        for (wrong, right) in [
            ("srver", Some("server")),
            ("meteadata", Some("metadata")),
            ("dnsName", Some("dnsNames")),
            ("dnsnames", Some("dnsNames")),
            ("emial", Some("email")),
            ("provider", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wrong, known), right, "{wrong}");
        }
    }

    #[test]
    fn every_error_is_told_with_its_place() {
        let schema = json!({
            "type": "object",
            "required": ["server", "name"],
            "properties": {
                "server": {"type": "string"},
                "name": {"type": "string"},
                "labels": {"additionalProperties": {"type": "string"}},
                "small": {"type": ["integer", "null"], "format": "int32"},
                "large": {"type": "integer", "format": "int64"},
                "port": {"anyOf": [{"type": "integer", "format": "uint32"}, {"type": "string"}]},
                "list": {"type": ["array", "null"], "items": {"type": "object", "properties": {"a": true}}},
            },
        });
        let text = "srver: x\nlabels: {a: true, b: c}\nlist:\n- {a: [1], b: 2}\n- text
small: 3000000000\nlarge: 99999999999999999999\nport: -1\n---
server: a\nname: b\nsmall: 1.5\nlarge: true\nport: http\n---
server: a\nname: b\nsmall: 2048.0\nlarge: 1e20\nport: 1e0\n";
        let documents = Document::read("f", text).unwrap();
        let errors: Vec<_> = documents.iter().flat_map(|document| check(document, &schema)).collect();
        let hinted: Vec<_> =
            errors.iter().filter(|error| error.hint.is_some()).map(|error| error.line).collect();
        assert_eq!(hinted, [1, 2], "{errors:?}");
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "f:1:1: unknown field `srver`",
                "f:2:13: `labels.a` is true or false and has to be text",
                "f:4:12: unknown field `list[0].b`",
                "f:5:3: `list[1]` is text and has to be a map",
                "f:6:8: `small` is out of range: it has to be from -2147483648 to 2147483647",
                "f:7:8: `large` is out of range: it has to be from -9223372036854775808 to 9223372036854775807",
                "f:8:7: `port` is out of range: it has to be from 0 to 4294967295",
                "f:1:1: `name` is missing",
                "f:12:8: `small` is 1.5 and has to be a whole number, in digits alone",
                "f:13:8: `large` is true or false and has to be a number",
                "f:18:8: `small` is 2048.0 and has to be a whole number, in digits alone",
                "f:19:8: `large` is out of range: it has to be from -9223372036854775808 to 9223372036854775807",
                "f:20:7: `port` is 1.0 and has to be a whole number, in digits alone",
            ]
        );
    }
}
