//! Short texts that stand for longer ones.

use ring::digest::{SHA256, digest};

/// A text of 16 hexadecimal digits that changes when `text` does: the begin of its SHA-256. It tells versions of a thing
/// apart, and is no protection from somebody who looks for two texts with the same one.
pub fn fingerprint(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
