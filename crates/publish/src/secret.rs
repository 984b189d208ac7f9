//! Bytes that hold a private key.

use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

/// The content of a private file: wiped from memory on drop, and it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Secret {
    fn from(content: Vec<u8>) -> Self {
        Self(Zeroizing::new(content))
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret([redacted], {} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::from(b"key".to_vec())), "Secret([redacted], 3 bytes)");
    }
}
