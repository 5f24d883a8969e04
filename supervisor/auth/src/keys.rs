//! Operators' keys: owners make, list and revoke them.

use std::sync::Arc;

use records::KeyRow;
use tokio_util::sync::CancellationToken;
use types::{Role, Secret, UnixMillis};

use crate::entry::KeyEntry;
use crate::tokens::check_label;
use crate::{Auth, Denied, Error, OperatorPermit, permit, secret};

/// Keys in all.
const MAX_KEYS: usize = 100;

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// What people call it, at most 64 characters.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// When it ends; none means never.
    pub expires_at: Option<UnixMillis>,
}

/// A key as lists show it. It holds no secret and no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// Its public name.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
}

/// A new key. The secret is nowhere else.
#[derive(Debug)]
pub struct IssuedKey {
    /// What lists show.
    pub row: KeyView,
    /// What the operator presents.
    pub key: Secret,
}

impl Auth {
    /// Makes an operator's key. Only an owner may, and no key outlives the one that made it.
    pub async fn issue_key(
        &self,
        permit: &OperatorPermit,
        spec: KeySpec,
    ) -> Result<IssuedKey, Error> {
        check_label(&spec.label)?;
        let now = self.0.clock.now();
        if spec.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Expiry);
        }
        let changing = self.0.changing_keys.lock().await;
        permit::operator(permit.operator(), Role::Owner, "key.grant")?;
        let ends = permit.operator().expires_at();
        if ends.is_some_and(|ends| spec.expires_at.is_none_or(|at| at > ends)) {
            return Err(Denied::LivesLonger.into());
        }
        if self.0.keys.of(&(), |_| true).len() >= MAX_KEYS {
            return Err(Error::TooMany { max: MAX_KEYS });
        }
        let key = secret::key()?;
        let row = KeyRow {
            id: secret::id("key_")?,
            label: spec.label,
            role: spec.role,
            digest: secret::digest(key.expose()),
            created_at: now,
            expires_at: spec.expires_at,
        };
        self.0.records.put_key(&row).await.map_err(Error::Records)?;
        let shown = view(&row);
        self.0.keys.change(&(), |map| map.insert(row.digest, entry(row)));
        drop(changing);
        tracing::info!(
            by = permit.operator().id(),
            key = shown.id,
            role = shown.role.name(),
            "key issued"
        );
        Ok(IssuedKey { row: shown, key })
    }

    /// Every operator's key, oldest first.
    pub fn keys(&self) -> Vec<KeyView> {
        let all = self.0.keys.of(&(), |_| true);
        let mut views: Vec<_> = all.iter().map(|entry| view(&entry.row)).collect();
        views.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        views
    }

    /// Ends a key at once. Only an owner may.
    pub async fn revoke_key(&self, permit: &OperatorPermit, id: &str) -> Result<(), Error> {
        let changing = self.0.changing_keys.lock().await;
        permit::operator(permit.operator(), Role::Owner, "key.revoke")?;
        let ended: Vec<_> = self.0.keys.change(&(), |map| {
            map.extract_if(|_, entry| entry.row.id == id).map(|(_, entry)| entry).collect()
        });
        for entry in &ended {
            entry.ended.cancel();
        }
        let deleted = self.0.records.delete_key(id).await;
        drop(changing);
        match deleted {
            Ok(()) => {}
            Err(records::Error::NotFound) if !ended.is_empty() => {}
            Err(records::Error::NotFound) => return Err(Error::NotFound),
            Err(err) => return Err(Error::Records(err)),
        }
        tracing::info!(by = permit.operator().id(), key = id, "key revoked");
        Ok(())
    }

    pub(crate) async fn load_keys(&self) -> Result<(), Error> {
        let rows = self.0.records.keys().await.map_err(Error::Records)?;
        self.0.keys.load(rows.into_iter().map(entry));
        Ok(())
    }
}

fn entry(row: KeyRow) -> Arc<KeyEntry> {
    Arc::new(KeyEntry { row, ended: CancellationToken::new() })
}

fn view(row: &KeyRow) -> KeyView {
    KeyView {
        id: row.id.clone(),
        label: row.label.clone(),
        role: row.role,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}
