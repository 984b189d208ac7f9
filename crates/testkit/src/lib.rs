//! Starts the real servers that gatecert is tested against.
