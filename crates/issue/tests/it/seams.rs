//! A solver and a journal that can be cut and can fail.

use crate::cut::Cut;
use async_trait::async_trait;
use gatecert_http01::TokenStore;
use gatecert_issue::{Entry, Journal, JournalError, MemoryJournal, Presentation, Solver, SolverError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub struct StoreSolver {
    store: TokenStore,
    pub cut: Option<Arc<Cut>>,
    pub fails_at: Option<&'static str>,
    pub clean_ups: AtomicUsize,
    presented: Mutex<Vec<Presentation>>,
}

impl StoreSolver {
    pub fn new(store: TokenStore) -> Self {
        Self { store, cut: None, fails_at: None, clean_ups: AtomicUsize::new(0), presented: Mutex::default() }
    }

    /// Loses all answers, as a responder that ends.
    pub fn forget(&self) {
        self.remove(&std::mem::take(&mut *self.presented.lock().unwrap()));
    }

    fn remove(&self, presentations: &[Presentation]) {
        for Presentation { identifier, token, .. } in presentations {
            self.store.remove(&identifier.value(), token);
        }
    }

    async fn step(&self, step: &'static str, work: impl FnOnce()) -> Result<(), SolverError> {
        point(self.cut.as_ref()).await;
        work();
        point(self.cut.as_ref()).await;
        match self.fails_at {
            Some(at) if at == step => Err(SolverError::general(format!("{step} fails"))),
            _ => Ok(()),
        }
    }
}

async fn point(cut: Option<&Arc<Cut>>) {
    if let Some(cut) = cut {
        cut.point().await;
    }
}

#[async_trait]
impl Solver for StoreSolver {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        self.step("present", || {
            self.presented.lock().unwrap().extend_from_slice(presentations);
            for Presentation { identifier, token, key_authorization } in presentations {
                self.store.insert(&identifier.value(), token, key_authorization).unwrap();
            }
        })
        .await
    }

    async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
        self.step("ready", || ()).await
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        self.clean_ups.fetch_add(1, Ordering::SeqCst);
        self.step("clean_up", || {
            self.remove(presentations);
        })
        .await
    }
}

/// A journal whose every step is a point.
pub struct CutJournal<'a> {
    pub inner: &'a MemoryJournal,
    pub cut: Arc<Cut>,
}

#[async_trait]
impl Journal for CutJournal<'_> {
    async fn load(&self) -> Result<Option<Entry>, JournalError> {
        self.cut.point().await;
        self.inner.load().await
    }

    async fn save(&self, entry: &Entry) -> Result<(), JournalError> {
        self.cut.point().await;
        self.inner.save(entry).await?;
        self.cut.point().await;
        Ok(())
    }

    async fn clear(&self) -> Result<(), JournalError> {
        self.cut.point().await;
        self.inner.clear().await
    }
}

/// A journal on a full disk.
pub struct FullJournal;

#[async_trait]
impl Journal for FullJournal {
    async fn load(&self) -> Result<Option<Entry>, JournalError> {
        Ok(None)
    }

    async fn save(&self, _: &Entry) -> Result<(), JournalError> {
        Err(JournalError::new("writing the journal", "no space left"))
    }

    async fn clear(&self) -> Result<(), JournalError> {
        Ok(())
    }
}
