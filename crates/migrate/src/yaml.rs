//! Objects as YAML, with comments above their fields.

use crate::error::OutputError;
use crate::migration::Migrated;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The text of one object: where it comes from, then the object with its comments. A comment on a field that is not
/// there stands above all.
pub(crate) fn document(migrated: &Migrated) -> Result<String, OutputError> {
    let mut text = String::from("---\n");
    for from in &migrated.from {
        comment(&mut text, "", &format!("from {from}"));
    }
    let mut object = migrated.object.clone();
    // A field that no object has, and that the text of this one does not hold by chance.
    let mark = mark(&object);
    for (index, remark) in migrated.comments.iter().enumerate() {
        let field = (format!("{mark}{index}"), Value::Null);
        if !insert_before(&mut object, remark.path, field) {
            comment(&mut text, "", &remark.text);
        }
    }
    for line in serde_saphyr::to_string(&object).map_err(OutputError)?.lines() {
        let field = line.trim_start();
        let index =
            field.strip_prefix(mark.as_str()).and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
        match index.and_then(|index| migrated.comments.get(index)) {
            Some(remark) => {
                let indent = &line[..line.len() - field.len()];
                comment(&mut text, indent, &remark.text);
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok(text)
}

/// The longest line of a comment, in characters.
const WIDTH: usize = 110;

/// Adds a comment in lines. What it says may come from a manifest: no line ends but here.
pub(crate) fn comment(text: &mut String, indent: &str, said: &str) {
    for line in lines(said) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{indent}# {line}");
    }
}

/// Adds an item of a list.
pub(crate) fn item(text: &mut String, said: &str) {
    for (index, line) in lines(said).iter().enumerate() {
        let bullet = if index == 0 { '-' } else { ' ' };
        let _ = writeln!(text, "# {bullet} {line}");
    }
}

fn lines(said: &str) -> Vec<String> {
    let said = said.replace(char::is_control, " ");
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in said.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

fn mark(object: &Value) -> String {
    let text = object.to_string();
    let mut mark = "comment".to_owned();
    while text.contains(&mark) {
        mark.push('x');
    }
    mark
}

/// Puts a field before the one of this path, if there is one.
fn insert_before(value: &mut Value, path: &[&str], field: (String, Value)) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    match value {
        Value::Object(fields) if rest.is_empty() => {
            let Some(place) = fields.keys().position(|name| name == first) else { return false };
            let mut pairs: Vec<_> = std::mem::take(fields).into_iter().collect();
            pairs.insert(place, field);
            *fields = Map::from_iter(pairs);
            true
        }
        Value::Object(fields) => {
            fields.get_mut(*first).is_some_and(|below| insert_before(below, rest, field))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Comment;
    use serde_json::json;

    #[test]
    fn comments_stand_above_their_fields() {
        let comment = |path, text: &str| Comment { path, text: text.to_owned() };
        let migrated = Migrated {
            object: json!({"kind": "A", "spec": {"note": "comment0: x", "list": [{"a": 1}], "b": {"c": 2}}}),
            from: vec!["A a (f:1)".to_owned()],
            comments: vec![
                comment(&["spec", "list"], "on the\nlist: [x"),
                comment(&["spec", "b", "c"], "on c"),
                comment(&["spec", "b", "c"], "on c again"),
                comment(&["spec", "gone"], "what is gone"),
            ],
        };
        let text = document(&migrated).unwrap();
        let wanted = "---\n# from A a (f:1)\n# what is gone\nkind: A\nspec:\n  note: 'comment0: x'\n  \
                      # on the list: [x\n  list:\n";
        assert_eq!(text.replace('"', "'")[..wanted.len()], *wanted, "{text}");
        assert!(text.contains("  b:\n    # on c\n    # on c again\n    c: 2\n"), "{text}");
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, migrated.object);
    }
}
