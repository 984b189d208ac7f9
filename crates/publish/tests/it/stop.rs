//! Stops a sequence of operations at a chosen one, as a crash would.

use gatecert_publish::{Action, FileStore, Observer};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Watched {
    armed: bool,
    left: usize,
    seen: Vec<(Action, PathBuf)>,
    stopped: bool,
}

/// Lets a number of operations pass and fails all behind them.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Mutex<Watched>>);

/// What a run left behind.
pub(crate) struct Outcome<T> {
    pub(crate) directory: PathBuf,
    pub(crate) result: T,
    /// The operations that were done.
    pub(crate) done: Vec<(Action, PathBuf)>,
    /// Where it stopped, for messages.
    pub(crate) place: String,
}

impl Stop {
    /// A store whose operations are counted, and stopped, from [`Self::after`] on.
    pub(crate) fn open(&self, directory: &Path) -> FileStore {
        let stop = self.clone();
        let observer: Observer = Arc::new(move |action, path| stop.observe(action, path));
        FileStore::open_observed(directory, observer).unwrap()
    }

    pub(crate) fn after(&self, operations: usize) {
        *self.0.lock().unwrap() = Watched { armed: true, left: operations, ..Watched::default() };
    }

    pub(crate) fn seen(&self) -> Vec<(Action, PathBuf)> {
        self.0.lock().unwrap().seen.clone()
    }

    fn stopped(&self) -> bool {
        self.0.lock().unwrap().stopped
    }

    fn observe(&self, action: Action, path: &Path) -> io::Result<()> {
        let mut watched = self.0.lock().unwrap();
        if !watched.armed {
            return Ok(());
        }
        if watched.left == 0 {
            if action == Action::WriteFile && !watched.stopped {
                fs::write(path, "-----BEGIN torn")?;
            }
            watched.stopped = true;
            return Err(io::Error::other("stopped here"));
        }
        watched.left -= 1;
        watched.seen.push((action, path.to_owned()));
        Ok(())
    }
}

/// Runs `act` on a directory that `set_up` filled, again and again, stopped one operation later each time, until it
/// is not stopped any more; `check` sees each outcome. Returns how many operations there are.
pub(crate) fn at_every_operation<T>(
    set_up: impl Fn(&FileStore),
    act: impl Fn(&FileStore) -> T,
    check: impl Fn(Outcome<T>),
) -> usize {
    for operations in 0.. {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("certificates");
        set_up(&FileStore::open(&directory).unwrap());
        let stop = Stop::default();
        let store = stop.open(&directory);
        stop.after(operations);
        let result = act(&store);
        drop(store);
        let done = stop.seen();
        let place = format!("stopped after {operations} operations, the last {:?}", done.last());
        check(Outcome { directory, result, done, place });
        if !stop.stopped() {
            return operations;
        }
    }
    unreachable!("the loop has no end")
}
