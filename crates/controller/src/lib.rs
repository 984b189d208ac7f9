//! The controller of gatecert, as a library.
