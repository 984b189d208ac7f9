//! Answers as files below the root of a web server.

use crate::error::Failure;
use async_trait::async_trait;
use gatecert_fault::Change;
use gatecert_issue::{Presentation, Solver, SolverError};
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Files below `<webroot>/.well-known/acme-challenge/`. What it made goes when this is dropped: when a signal ends the
/// program nobody calls `clean_up`.
#[derive(Debug)]
pub(crate) struct WebrootSolver {
    challenges: PathBuf,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    files: BTreeSet<PathBuf>,
    /// The deepest last.
    directories: Vec<PathBuf>,
}

impl WebrootSolver {
    pub(crate) fn open(webroot: &Path) -> Result<Self, Failure> {
        if !webroot.is_dir() {
            return Err(Failure::usage(format!("`{}` is not a directory", webroot.display()))
                .hint("the webroot is the directory that a web server serves on port 80"));
        }
        let challenges = webroot.join(".well-known/acme-challenge");
        check_writable(&challenges)?;
        Ok(Self { challenges, made: Mutex::default() })
    }

    fn present_one(&self, presentation: &Presentation) -> io::Result<()> {
        self.make_directories()?;
        let path = self.challenges.join(&presentation.token);
        // A run that was killed may have left it, and what somebody else put in its place is not written through.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Nobody asks for it before all of it is there.
        let change = Change::begin(|| format!("write {}", path.display()));
        self.made().files.insert(path.clone());
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(presentation.key_authorization.as_bytes())?;
        // The web server is another user.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        change.end();
        Ok(())
    }

    fn make_directories(&self) -> io::Result<()> {
        let well_known = self.challenges.parent().unwrap_or(&self.challenges);
        for directory in [well_known, &self.challenges] {
            match fs::create_dir(directory) {
                Ok(()) => {
                    // Not by its name: whoever the webroot belongs to may have put a link there.
                    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
                    let made = fs::OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
                    made.set_permissions(fs::Permissions::from_mode(0o755))?;
                    self.made().directories.push(directory.to_owned());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries to write where the answers will be, or to the nearest directory above that there is: found out later, it would
/// cost an order.
fn check_writable(challenges: &Path) -> Result<(), Failure> {
    let directory = challenges.ancestors().find(|path| path.is_dir()).unwrap_or(challenges);
    match tempfile::tempfile_in(directory) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Failure::usage(format!("no file can be put into `{}`: {error}", directory.display()))
                .hint("the webroot is a directory that this user can write to"))
        }
    }
}

#[async_trait]
impl Solver for WebrootSolver {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        for presentation in presentations {
            self.present_one(presentation).map_err(|error| {
                let path = self.challenges.display();
                SolverError::of(presentation.identifier.clone(), format!("no file can be put into `{path}`"))
                    .with_source(error)
            })?;
        }
        Ok(())
    }

    async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
        Ok(())
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let mut made = self.made();
        let mut stay = Vec::new();
        for Presentation { identifier, token, .. } in presentations {
            let path = self.challenges.join(token);
            made.files.remove(&path);
            // One that is not there was left to somebody tidy, or never made.
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                stay.push((identifier.clone(), format!("`{}` stays: {error}", path.display())));
            }
        }
        if stay.is_empty() { Ok(()) } else { Err(SolverError::all(stay)) }
    }
}

impl Drop for WebrootSolver {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made());
        for file in made.files {
            let _ = fs::remove_file(file);
        }
        // One that others use meanwhile is not empty, and stays.
        for directory in made.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
