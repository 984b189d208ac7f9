//! One ACME issuance from order to verified bundle, resumable; and when to issue.
