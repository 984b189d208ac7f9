//! Puts a certificate where a gateway reads it: files for Envoy's file SDS.
