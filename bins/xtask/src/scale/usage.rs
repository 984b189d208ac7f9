//! What processes use, as the kernel counts it.

use anyhow::{Context as _, Result};
use procfs::process::Process;
use std::collections::BTreeMap;

/// The use of one process.
#[derive(Clone, Copy, Default)]
pub(super) struct Used {
    /// Seconds of CPU, of all threads.
    pub(super) cpu: f64,
    /// Resident memory now, in MB.
    pub(super) memory: f64,
    /// The most that was resident so far, in MB.
    pub(super) peak: f64,
}

/// The use of several processes, by their names.
#[derive(Default)]
pub(super) struct Usage(pub(super) BTreeMap<&'static str, Used>);

impl Usage {
    /// What these processes have used so far.
    pub(super) fn of(processes: &[(&'static str, i32)]) -> Result<Self> {
        let used = processes.iter().map(|&(name, id)| Ok((name, of(id).with_context(|| name)?)));
        Ok(Self(used.collect::<Result<_>>()?))
    }

    /// The CPU since then; memory as it is.
    pub(super) fn since(mut self, before: &Self) -> Self {
        for (name, used) in &mut self.0 {
            used.cpu -= before.0.get(name).map_or(0.0, |before| before.cpu);
        }
        self
    }

    /// Of one process.
    pub(super) fn process(&self, name: &str) -> Used {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[allow(clippy::cast_precision_loss, reason = "these counts are far below 2^52")]
fn of(id: i32) -> Result<Used> {
    let process = Process::new(id)?;
    let (stat, status) = (process.stat()?, process.status()?);
    let megabytes = |kibibytes: Option<u64>| kibibytes.unwrap_or_default() as f64 * 1024.0 / 1e6;
    Ok(Used {
        cpu: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
        memory: megabytes(status.vmrss),
        peak: megabytes(status.vmhwm),
    })
}
