//! The custom resources of gatecert.
