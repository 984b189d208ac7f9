//! `sds.yaml`: the file that Envoy's `path_config_source` takes as it is.
//!
//! It is a `DiscoveryResponse` with one `Secret` that names files. Envoy reads those again when something is moved
//! into the watched directory, which the renaming of `current` is.

use crate::entry::CertificateFiles;
use crate::name::CertificateName;
use serde::Serialize;
use std::path::Path;

const HEADER: &str = "# Written by gatecert; a change made here is lost.\n";
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

#[derive(Serialize)]
struct DiscoveryResponse<'a> {
    resources: [Secret<'a>; 1],
}

#[derive(Serialize)]
struct Secret<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'a str,
    tls_certificate: TlsCertificate<'a>,
}

#[derive(Serialize)]
struct TlsCertificate<'a> {
    certificate_chain: DataSource<'a>,
    private_key: DataSource<'a>,
    watched_directory: WatchedDirectory<'a>,
}

#[derive(Serialize)]
struct DataSource<'a> {
    filename: &'a Path,
}

#[derive(Serialize)]
struct WatchedDirectory<'a> {
    path: &'a Path,
}

/// The text of `sds.yaml`; fails only where a path is not UTF-8.
pub(crate) fn document(
    name: &CertificateName,
    files: &CertificateFiles,
) -> Result<String, serde_saphyr::ser::Error> {
    let secret = Secret {
        kind: SECRET,
        name: name.as_str(),
        tls_certificate: TlsCertificate {
            certificate_chain: DataSource { filename: &files.certificate },
            private_key: DataSource { filename: &files.key },
            watched_directory: WatchedDirectory { path: &files.directory },
        },
    };
    // Quoted: a host named `no` or `1e3` is no string to Envoy otherwise.
    let options = serde_saphyr::ser_options! { quote_all: true, prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(&DiscoveryResponse { resources: [secret] }, options)?;
    Ok(format!("{HEADER}{yaml}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn written(directory: &str, name: &str) -> String {
        let name: CertificateName = name.parse().unwrap();
        document(&name, &Entry::new(Path::new(directory), &name).files()).unwrap()
    }

    #[test]
    fn the_document_is_what_envoy_takes() {
        let expected = "\
# Written by gatecert; a change made here is lost.
resources:
- \"@type\": 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret'
  name: 'www.example.com'
  tls_certificate:
    certificate_chain:
      filename: '/certs/www.example.com/tls.crt'
    private_key:
      filename: '/certs/www.example.com/tls.key'
    watched_directory:
      path: '/certs/www.example.com'
";
        assert_eq!(written("/certs", "www.example.com"), expected);
    }

    #[test]
    fn any_name_and_path_stay_strings() {
        let long = format!("/{}/it's a \"long\" one: # {{x}}/\n\\tail", "x y ".repeat(40));
        for (directory, name) in
            [("/c", "no"), ("/c", "1e3"), ("/c", "0x10"), ("/c", "2001_db8__1"), (&long, "192.0.2.1")]
        {
            let value: serde_json::Value = serde_saphyr::from_str(&written(directory, name)).unwrap();
            let secret = &value["resources"][0];
            assert_eq!(secret["name"], name);
            assert_eq!(secret["tls_certificate"]["watched_directory"]["path"], format!("{directory}/{name}"));
        }
    }
}
