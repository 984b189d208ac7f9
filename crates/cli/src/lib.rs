//! The commands of gatecert as a library.
