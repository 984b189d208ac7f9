//! An HTTP-01 responder: a token store, a tower service and a server for port 80.
