//! Accounts of other ACME clients.
