//! x
pub mod facts;
pub mod key;
pub mod plan;
pub mod renewal;
pub mod retry;
pub mod verify;
