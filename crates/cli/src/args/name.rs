//! Names of objects, as Kubernetes has them.

/// The name of an object: a DNS subdomain, as RFC 1123 has it, of at most 253 characters.
pub(super) fn object(text: &str) -> Result<String, String> {
    match text.len() <= 253 && text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err(
            "a name has up to 253 small letters, digits, hyphens and dots, a letter or a digit at both ends"
                .to_owned(),
        ),
    }
}

/// The name of a namespace: a DNS label, as RFC 1123 has it, of at most 63 characters.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    match text.len() <= 63 && is_label(text) {
        true => Ok(text.to_owned()),
        false => Err(
            "a namespace has up to 63 small letters, digits and hyphens, a letter or a digit at both ends"
                .to_owned(),
        ),
    }
}

/// The name of an image, with a tag or a digest or without: what of it a registry takes is the registry's to say.
pub(super) fn image(text: &str) -> Result<String, String> {
    match (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("the name of an image has no spaces, such as registry.example.com/name:tag".to_owned()),
    }
}

fn is_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_allowed) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_no_space() {
        assert!(image("registry.example.com:5000/a/b@sha256:00").is_ok());
        for wrong in ["", "a b", "a\n", "ä"] {
            assert!(image(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_api_server_takes() {
        let longest = "a".repeat(63);
        for name in ["a", "www", "www-example.com", "0", &longest] {
            assert_eq!(object(name).as_deref(), Ok(name));
        }
        assert!(object(&["a"; 127].join(".")).is_ok() && object(&["a"; 128].join(".")).is_err());
        for name in ["", "Www", "a_b", "-a", "a-", "a..b", ".a", "a.", "ä", "a b"] {
            assert!(object(name).is_err() && namespace(name).is_err(), "{name}");
        }
        assert!(namespace(&longest).is_ok());
        assert!(namespace(&format!("{longest}a")).is_err() && namespace("a.b").is_err());
    }
}
