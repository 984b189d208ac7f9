//! The annotations and labels that gatecert reads and writes.

/// On a Gateway, ListenerSet or Ingress: the Issuer of its namespace that its certificates come from.
pub const ISSUER: &str = "gatecert.dev/issuer";

/// On a Gateway, ListenerSet or Ingress: the ClusterIssuer that its certificates come from.
pub const CLUSTER_ISSUER: &str = "gatecert.dev/cluster-issuer";

/// On a source: the ACME profile, as [`CertificateSpec::profile`](crate::CertificateSpec::profile).
pub const PROFILE: &str = "gatecert.dev/profile";

/// On a source: `ECDSA` or `RSA`.
pub const PRIVATE_KEY_ALGORITHM: &str = "gatecert.dev/private-key-algorithm";

/// On a source: the size of the key in bits.
pub const PRIVATE_KEY_SIZE: &str = "gatecert.dev/private-key-size";

/// On a source: `Always` or `Never`.
pub const PRIVATE_KEY_ROTATION_POLICY: &str = "gatecert.dev/private-key-rotation-policy";

/// On a source: the common name.
pub const COMMON_NAME: &str = "gatecert.dev/common-name";

/// On a source: a duration such as `360h`.
pub const RENEW_BEFORE: &str = "gatecert.dev/renew-before";

/// On a Certificate: `now` asks for a new certificate, whatever is there. It is taken away when it is done.
pub const RENEW: &str = "gatecert.dev/renew";

/// On a Secret that is not gatecert's: `true` allows gatecert to take it over.
pub const ADOPT: &str = "gatecert.dev/adopt";

/// On a published Secret: the names in it, sorted, with commas between.
pub const ALT_NAMES: &str = "gatecert.dev/alt-names";

/// On a published Secret: the addresses in it, sorted, with commas between.
pub const IP_SANS: &str = "gatecert.dev/ip-sans";

/// On a published Secret: the Certificate, by name.
pub const CERTIFICATE_NAME: &str = "gatecert.dev/certificate-name";

/// On a published Secret: the issuer, by name.
pub const ISSUER_NAME: &str = "gatecert.dev/issuer-name";

/// On a published Secret: the kind of the issuer.
pub const ISSUER_KIND: &str = "gatecert.dev/issuer-kind";

/// On a published Secret: the directory of the CA.
pub const DIRECTORY: &str = "gatecert.dev/acme-directory";

/// On a published Secret: the profile that was asked for.
pub const ACME_PROFILE: &str = "gatecert.dev/acme-profile";

/// On a published Secret: when it was issued.
pub const ISSUED_AT: &str = "gatecert.dev/issued-at";

/// On a published Secret: a fingerprint of the template that its other annotations and labels come from.
pub const SECRET_TEMPLATE: &str = "gatecert.dev/secret-template";

/// Label on everything that gatecert makes: [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`], and the field manager of every write.
pub const MANAGER: &str = "gatecert";

/// Label on what is made for one Certificate: its uid.
pub const CERTIFICATE_UID: &str = "gatecert.dev/certificate-uid";

/// Label on what is made for a Certificate of another namespace: that namespace.
pub const CERTIFICATE_NAMESPACE: &str = "gatecert.dev/certificate-namespace";

/// Label that says what a Secret or route is for: [`PART_CERTIFICATE`], [`PART_PENDING_KEY`], [`PART_ACCOUNT_KEY`],
/// [`PART_CHALLENGE`] or [`PART_PLACEHOLDER`].
pub const PART: &str = "gatecert.dev/part";

/// A published certificate.
pub const PART_CERTIFICATE: &str = "certificate";

/// The key and the order of an issuance under way.
pub const PART_PENDING_KEY: &str = "pending-key";

/// The key of an account.
pub const PART_ACCOUNT_KEY: &str = "account-key";

/// A challenge route.
pub const PART_CHALLENGE: &str = "challenge";

/// A self-signed certificate that stands in until the first one is issued.
pub const PART_PLACEHOLDER: &str = "placeholder";
