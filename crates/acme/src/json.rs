//! JSON of a CA, which costs no more to read than it may say.

use serde::de::{DeserializeOwned, Error as _};

/// The most items of one JSON text: commas and opening brackets. An order of a hundred names has some 400, a problem
/// with a hundred subproblems 1,000. A text of two bytes an item would become seventy times as large in memory.
const MAX_ITEMS: usize = 10_000;

/// Reads a JSON text.
///
/// # Errors
/// What is no JSON, or not of this type; more than 10,000 items.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    match items(text) {
        ..=MAX_ITEMS => serde_json::from_slice(text),
        count => Err(serde_json::Error::custom(format_args!("{count} items, more than {MAX_ITEMS}"))),
    }
}

/// Those outside of strings.
fn items(text: &[u8]) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b',' | b'[' | b'{' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_outside_of_texts() {
        for (text, wanted) in [
            ("{}", 1),
            (r#"{"a": [1, 2, 3], "b": {}}"#, 6),
            (r#""a,b[c{""#, 0),
            (r#"["a\",[", "\\", "b"]"#, 3),
        ] {
            assert_eq!(items(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn there_are_at_most_so_many() {
        let of = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert_eq!(read::<Vec<u8>>(of(MAX_ITEMS).as_bytes()).map(|all| all.len()).ok(), Some(MAX_ITEMS));
        assert!(read::<Vec<u8>>(of(MAX_ITEMS + 1).as_bytes()).is_err());
    }
}
