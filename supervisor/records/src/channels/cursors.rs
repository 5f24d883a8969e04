//! How far an account has been read, where one asks for what is new, and how a held socket is taken up
//! again. Written after what it stands for is kept, never before.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::Op;
use crate::{Error, Records, TRIES, contended, json, unchanged};

const CURSORS: &str = "channel/cursor/";

/// The longest cursor, in bytes.
pub const MAX_CURSOR: usize = 4096;

/// How far an account has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CursorRow {
    /// In the network's own words.
    pub cursor: String,
    /// When it was written.
    pub at: UnixMillis,
}

pub(super) fn prefix(owner: Option<&TenantId>) -> String {
    format!("{CURSORS}{}/", super::home(owner))
}

pub(super) fn key(owner: Option<&TenantId>, account: &str) -> String {
    format!("{}{account}", prefix(owner))
}

impl Records {
    /// How far an account has been read; none where it never was.
    pub async fn cursor(
        &self,
        owner: Option<&TenantId>,
        account: &str,
    ) -> Result<Option<CursorRow>, Error> {
        self.channel_row(&key(owner, account)).await
    }

    /// Writes how far an account has been read; none for from the beginning. The account must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not.
    pub async fn put_cursor(
        &self,
        owner: Option<&TenantId>,
        account: &str,
        row: Option<&CursorRow>,
    ) -> Result<(), Error> {
        if row.is_some_and(|row| row.cursor.len() > MAX_CURSOR) {
            return Err(Error::TooLarge { what: "a cursor", max: MAX_CURSOR });
        }
        let (key, of) = (key(owner, account), super::key(owner, account));
        for _ in 0..TRIES {
            let account = self.item(&of).await?.ok_or(Error::NotFound)?;
            let before = self.item(&key).await?;
            let guards = vec![
                crate::store::Guard::Created(account.key, account.created),
                unchanged(&key, before.as_ref()),
            ];
            let op = match row {
                Some(row) => Op::put(key.clone(), json::encode(row, None)?),
                None => Op::Delete(key.clone().into()),
            };
            if self.try_commit(guards, vec![op]).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }
}
