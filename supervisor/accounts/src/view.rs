//! An account as its owner sees it: without a credential.

use records::{AccountRow, CursorRow};
use types::UnixMillis;

use crate::health::Health;
use crate::secrets::TOKEN;
use crate::{Accounts, Error};

/// An account.
#[derive(Debug, Clone)]
pub struct View {
    /// The account, as it is kept.
    pub row: AccountRow,
    /// Whether anything runs for it: always so where the network calls.
    pub is_connected: bool,
    /// Whether it has the credential that calls are made with.
    pub has_credential: bool,
    /// How it has gone since the gateway started.
    pub health: Health,
    /// When it was last written how far it has been read, where one asks.
    pub cursor_at: Option<UnixMillis>,
}

/// What the network says of an account.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Whether it knows it.
    pub ok: bool,
    /// What it says.
    pub detail: String,
}

/// A stranger who waits to be let in.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// At which network.
    pub channel: String,
    /// At which account.
    pub account: String,
    /// Who, by an id of the network's.
    pub id: String,
    /// Since when, in milliseconds since the epoch.
    pub at: UnixMillis,
    /// Until when.
    pub expires_at: UnixMillis,
}

impl View {
    /// One word for how it is: `connected`, `stopped`, `shut`, or `failing` where it is connected and the
    /// last thing went wrong.
    pub fn state(&self) -> &'static str {
        match (&self.row.shut, self.row.running, &self.health.last_error) {
            (Some(_), _, _) => "shut",
            (None, false, _) => "stopped",
            (None, true, Some(_)) => "failing",
            (None, true, None) => "connected",
        }
    }

    /// One word for its credential: `missing`, `refused` or `ok`.
    pub const fn credential(&self) -> &'static str {
        match (self.has_credential, &self.row.shut) {
            (false, _) => "missing",
            (true, Some(_)) => "refused",
            (true, None) => "ok",
        }
    }
}

impl Accounts {
    pub(crate) async fn view(&self, row: &AccountRow) -> Result<View, Error> {
        let (inner, owner) = (&self.0, row.owner.as_ref());
        let cursor: Option<CursorRow> = inner.records.cursor(owner, &row.id).await?;
        let secret = inner.settings.channel_secret(owner, &row.id, TOKEN).await?;
        Ok(View {
            row: row.clone(),
            is_connected: self.runs(&row.id),
            has_credential: secret.is_some(),
            health: inner.watch.of(&row.id),
            cursor_at: cursor.map(|it| it.at),
        })
    }
}
