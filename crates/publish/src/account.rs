//! ACME accounts, kept beside the certificates.

use crate::disk::{self, PRIVATE_DIRECTORY, PRIVATE_FILE};
use crate::error::StoreError;
use crate::name::{ACCOUNTS, NameError, file_name};
use crate::reader::StoreReader;
use crate::secret::Secret;
use crate::store::FileStore;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

const ACCOUNT: &str = "account.json";
const PREVIOUS: &str = "account.json.bak";

/// The name of the directory of an account: 1 to 253 ASCII letters, digits, `.`, `_` and `-`, the first of them no
/// dot and no hyphen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountSlug(String);

impl AccountSlug {
    /// The slug for the account at a CA: host, port and path of its directory's URL, with `_` for what a slug has
    /// not. Two URLs can share a slug; so keep the URL in the account and compare it.
    ///
    /// # Errors
    /// When the URL is too long, or has no host.
    pub fn for_server(server: &Url) -> Result<Self, NameError> {
        let host = server.host_str().ok_or(NameError::Empty)?;
        let port = server.port().map(|port| format!("_{port}")).unwrap_or_default();
        let text = format!("{host}{port}{}", server.path().trim_end_matches('/'));
        text.replace(|c| !in_slug(c), "_").parse()
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn in_slug(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl FromStr for AccountSlug {
    type Err = NameError;

    fn from_str(slug: &str) -> Result<Self, NameError> {
        file_name(slug, in_slug)?;
        Ok(Self(slug.to_owned()))
    }
}

impl fmt::Display for AccountSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StoreReader {
    /// The accounts that are kept, sorted.
    ///
    /// # Errors
    /// When the directory of the accounts does not read.
    pub fn accounts(&self) -> Result<Vec<AccountSlug>, StoreError> {
        let slugs = disk::names_in(&self.directory().join(ACCOUNTS))?;
        let slugs = slugs.into_iter().filter_map(|slug| slug.parse().ok());
        Ok(slugs.filter(|slug| self.account(slug).join(ACCOUNT).is_file()).collect())
    }

    /// An account as it was saved, with its private key; none when none was.
    ///
    /// # Errors
    /// When it does not read.
    pub fn load_account(&self, slug: &AccountSlug) -> Result<Option<Secret>, StoreError> {
        Ok(disk::read(&self.account(slug).join(ACCOUNT))?.map(Secret::from))
    }

    /// The account that the last [`FileStore::save_account`] replaced: with the old key, after a key rollover whose
    /// answer got lost.
    ///
    /// # Errors
    /// When it does not read.
    pub fn load_previous_account(&self, slug: &AccountSlug) -> Result<Option<Secret>, StoreError> {
        Ok(disk::read(&self.account(slug).join(PREVIOUS))?.map(Secret::from))
    }

    fn account(&self, slug: &AccountSlug) -> PathBuf {
        self.directory().join(ACCOUNTS).join(slug.as_str())
    }
}

impl FileStore {
    /// Saves an account: mode 0600, replaced by a rename, and on the disk when this returns. A different one that it
    /// replaces is kept as `account.json.bak`; the same one is not written again.
    ///
    /// # Errors
    /// When the file system refuses; then the account before it stays.
    pub fn save_account(&self, slug: &AccountSlug, account: &[u8]) -> Result<(), StoreError> {
        let _writing = self.writing();
        let directory = self.account(slug);
        self.disk().ensure_directory(&self.directory().join(ACCOUNTS), PRIVATE_DIRECTORY)?;
        self.disk().ensure_directory(&directory, PRIVATE_DIRECTORY)?;
        match self.load_account(slug)? {
            Some(same) if *same == *account => return Ok(()),
            Some(old) => self.disk().replace_file(&directory.join(PREVIOUS), &old, PRIVATE_FILE)?,
            None => {}
        }
        self.disk().replace_file(&directory.join(ACCOUNT), account, PRIVATE_FILE)
    }

    /// Removes an account and the one before it; false when there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove_account(&self, slug: &AccountSlug) -> Result<bool, StoreError> {
        let _writing = self.writing();
        let removed = self.disk().remove_directory(&self.account(slug))?;
        if removed {
            self.disk().sync_directory(&self.directory().join(ACCOUNTS))?;
        }
        Ok(removed)
    }
}
