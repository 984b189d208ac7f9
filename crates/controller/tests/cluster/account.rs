//! The account of an issuer follows what the issuer says.

use crate::Outcome;
use crate::harness::World;
use crate::manifest::external_key;
use gatecert_acme::{AccountKey, Client, HttpTransport};
use gatecert_api::{AcmeStatus, ClusterIssuer};
use gatecert_testkit::cluster::delete;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "followed";

/// Another contact is told to the CA. Another external account is not for an account that is there: it stays, in use, and
/// the issuer says what to do.
pub(crate) async fn it_follows_its_issuer(world: &World) -> Outcome {
    let issuer = world.issuer(NAME);
    world.apply(&issuer).await?;
    let first =
        until(world, NAME, |acme| acme.last_registered_email.as_deref() == Some("ops@example.com")).await?;
    assert_eq!(contacts(world).await?, ["mailto:ops@example.com"]);
    assert_eq!(first.external_account_key_id, None);

    let issuer = issuer.replace("ops@example.com", "others@example.com");
    world.apply(&issuer).await?;
    let second =
        until(world, NAME, |acme| acme.last_registered_email.as_deref() == Some("others@example.com"))
            .await?;
    assert_eq!(
        (contacts(world).await?, &second.uri),
        (vec!["mailto:others@example.com".to_owned()], &first.uri)
    );

    world.apply(&external_key("gatecert-system")).await?;
    let reference = "keySecretRef: {name: external-key}";
    for (email, key_secret) in
        [("third@example.com", reference), ("fourth@example.com", "keySecretRef: {name: missing}")]
    {
        let binding = format!("externalAccountBinding: {{keyID: one, {key_secret}}}, email:");
        world.apply(&issuer.replace("others@example.com", email).replace("email:", &binding)).await?;
        let message = ready(world).await?;
        assert!(message.contains("delete Secret gatecert-system/followed-account-key"), "{message}");
        let kept = until(world, NAME, |_| true).await?;
        assert_eq!((kept.uri, kept.external_account_key_id), (first.uri.clone(), None));
        assert_eq!(contacts(world).await?, [format!("mailto:{email}")]);
    }
    delete(&world.cluster.client, &issuer).await?;
    Ok(())
}

/// Waits until the account of a ClusterIssuer is as it should be.
pub(crate) async fn until(
    world: &World,
    issuer: &str,
    is_so: impl Fn(&AcmeStatus) -> bool,
) -> Result<AcmeStatus, Box<dyn Error + Send + Sync>> {
    let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let acme = issuers.get(issuer).await?.status.and_then(|status| status.acme);
            if let Some(acme) = acme.filter(|acme| is_so(acme)) {
                return Ok::<_, kube::Error>(acme);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    Ok(waited.await.map_err(|_| "the account is not as its issuer says")??)
}

/// What the issuer says when it is ready as it is now.
async fn ready(world: &World) -> Result<String, Box<dyn Error + Send + Sync>> {
    let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let issuer = issuers.get(NAME).await?;
            let conditions = issuer.status.unwrap_or_default().conditions;
            let found = conditions.into_iter().find(|found| {
                found.status == "True" && found.observed_generation == issuer.metadata.generation
            });
            if let Some(found) = found {
                return Ok::<_, kube::Error>(found.message);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    Ok(waited.await.map_err(|_| "the issuer is not ready")??)
}

/// The contacts that the CA knows.
async fn contacts(world: &World) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), "gatecert-system");
    let secret = secrets.get(&format!("{NAME}-account-key")).await?;
    let key = secret.data.unwrap_or_default().remove("tls.key").ok_or("no key")?;
    let pebble = &world.cluster.pebble;
    let transport = HttpTransport::builder().root_certificates_pem(pebble.ca_pem()).build()?;
    let client = Client::builder(pebble.directory_url()).transport(Arc::new(transport)).build().await?;
    let account = client.find_account(AccountKey::from_pem(str::from_utf8(&key.0)?)?).await?;
    Ok(account.details().await?.contacts)
}
