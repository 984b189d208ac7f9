//! What `docs/migrate.md` shows is what happens.

use gatecert_migrate::{Document, Options, migrate};

#[test]
fn the_example_is_what_comes_out() {
    let guide = include_str!("../../../../docs/migrate.md");
    // What stands behind the language says where the block belongs.
    let blocks: Vec<_> = guide
        .split("```yaml")
        .skip(1)
        .filter_map(|rest| rest.split("```").next()?.split_once('\n').map(|(_, text)| text))
        .collect();
    let [before, after] = blocks[..] else { panic!("two blocks of YAML, not {}", blocks.len()) };
    let migration =
        migrate(&Document::read("manifests/cert-manager.yaml", before).unwrap(), &Options::default());
    assert!(migration.errors.is_empty() && migration.is_complete(), "{migration:?}");
    let text = migration.to_yaml().unwrap();
    assert!(text == after, "write this into docs/migrate.md:\n{text}");
}

#[test]
fn the_error_is_the_one_that_is_told() {
    let text = "apiVersion: certmanager.k8s.io/v1alpha1
kind: Issuer
metadata: {name: letsencrypt}
spec:
  acme:
    srver: https://acme-v01.api.letsencrypt.org/directory
    privateKeySecretRef: {name: letsencrypt}
";
    let errors = migrate(&Document::read("issuer.yaml", text).unwrap(), &Options::default()).errors;
    let [error] = &errors[..] else { panic!("{errors:?}") };
    let guide = include_str!("../../../../docs/migrate.md");
    let told = format!("error: {error}\nhint: {}\n", error.hint.as_ref().unwrap());
    assert!(guide.contains(&told), "{told}");
}
