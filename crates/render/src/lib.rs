//! Renders the Kubernetes objects of gatecert.
