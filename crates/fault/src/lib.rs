//! Fault points: places right before and right after something changes outside of the process.
//!
//! The one place through which all requests to the CA go has two, and so have that for the Kubernetes API and that for
//! files, so that no change can be forgotten. Without the feature `enabled` a point is nothing at all. With it, two
//! variables of the environment tell a process what to do:
//!
//! - [`LOG`] names a file that each point that is passed is written to, a line each, before anything else happens there;
//! - [`END_AT`] is the number of the point, from 1, at which the process ends at once: nothing is dropped, flushed or
//!   answered any more, as with `kill -9`.
//!
//! ```
//! let change = gatecert_fault::Change::begin(|| "create /etc/gatecert/www".into());
//! // … create it …
//! change.end();
//! ```

/// The variable with the path of the log.
pub const LOG: &str = "GATECERT_FAULT_LOG";

/// The variable with the number of the point at which the process ends.
pub const END_AT: &str = "GATECERT_FAULT_END_AT";

/// A change of something outside of the process, between two points. Without the feature it has no size.
#[derive(Debug)]
#[must_use = "the point behind the change is passed by `end`"]
pub struct Change {
    #[cfg(feature = "enabled")]
    name: String,
}

impl Change {
    /// The point before it. `name` says what changes; it is asked for only where somebody reads it.
    #[inline]
    pub fn begin(name: impl FnOnce() -> String) -> Self {
        #[cfg(feature = "enabled")]
        {
            let name = name();
            enabled::point("before", &name);
            Self { name }
        }
        #[cfg(not(feature = "enabled"))]
        {
            let _ = name;
            Self {}
        }
    }

    /// The point behind it.
    #[inline]
    pub fn end(self) {
        #[cfg(feature = "enabled")]
        enabled::point("after", &self.name);
    }
}

#[cfg(feature = "enabled")]
mod enabled {
    use std::env;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::{LazyLock, Mutex, PoisonError};

    struct Plan {
        log: Option<PathBuf>,
        end_at: Option<u64>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
        log: env::var_os(super::LOG).map(PathBuf::from),
        end_at: env::var(super::END_AT).ok().and_then(|number| number.parse().ok()),
    });

    static PASSED: Mutex<u64> = Mutex::new(0);

    pub(super) fn point(side: &str, name: &str) {
        if PLAN.log.is_none() && PLAN.end_at.is_none() {
            return;
        }
        // Held until the process has ended, so that no other thread gets any further.
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        *passed += 1;
        if let Some(path) = &PLAN.log {
            let file = OpenOptions::new().create(true).append(true).open(path);
            // A log that can not be written has no lines, which its reader finds.
            let _ = file.and_then(|mut file| file.write_all(format!("{side} {name}\n").as_bytes()));
        }
        if PLAN.end_at == Some(*passed) {
            std::process::abort();
        }
    }
}

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
