//! Tenants' tokens: make, list, rotate, revoke. Records and memory change under one lock a tenant;
//! revoking takes effect in memory first, so that a failing disk cannot keep a token alive.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use records::TokenRow;
use types::{Scopes, Secret, TenantId, UnixMillis};

use crate::entry::TokenEntry;
use crate::{Auth, Error, Grant, devices, secret};

/// Tokens of one tenant.
const MAX_TOKENS: usize = 100;

/// Characters of a label.
const MAX_LABEL: usize = 64;

/// Tenants read from the records at once.
const PAGE: usize = 1000;

/// Last uses written in one commit.
const BATCH: usize = 128;

/// What a new token shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// What people call it, at most 64 characters.
    pub label: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends; none means never.
    pub expires_at: Option<UnixMillis>,
}

/// A token as lists show it. It holds no secret and no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its public name.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
    /// How often it was rotated, plus one.
    pub generation: u64,
    /// When it was last presented.
    pub last_used_at: Option<UnixMillis>,
}

/// A new token. The secret is nowhere else.
#[derive(Debug)]
pub struct Issued {
    /// What lists show.
    pub row: TokenView,
    /// What the caller presents.
    pub token: Secret,
}

impl Auth {
    /// Makes a token of `tenant`, whose authority is a subset of the maker's.
    pub async fn issue(
        &self,
        grant: &Grant<'_>,
        tenant: &TenantId,
        spec: TokenSpec,
    ) -> Result<Issued, Error> {
        check_label(&spec.label)?;
        let now = self.0.clock.now();
        if spec.scopes.is_empty() {
            return Err(Error::NoScopes);
        }
        if spec.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Expiry);
        }
        let turn = self.0.turns.of(tenant).await;
        grant.check(tenant, spec.scopes, spec.expires_at)?;
        if self.entries_of(tenant).len() >= MAX_TOKENS {
            return Err(Error::TooMany { max: MAX_TOKENS });
        }
        let token = secret::token(tenant)?;
        let row = TokenRow {
            id: secret::id("tok_")?,
            tenant: tenant.clone(),
            label: spec.label,
            scopes: spec.scopes,
            digest: secret::digest(token.expose()),
            created_at: now,
            expires_at: spec.expires_at,
            generation: 1,
            last_used_at: None,
            device: None,
        };
        let entry = self.write(row).await?;
        drop(turn);
        tracing::info!(%tenant, token = entry.row.id, scopes = ?entry.row.scopes, "token issued");
        Ok(Issued { row: view(&entry), token })
    }

    /// The tenant's tokens, oldest first.
    pub fn tokens_of(&self, tenant: &TenantId) -> Vec<TokenView> {
        let mut views: Vec<_> = self.entries_of(tenant).iter().map(|entry| view(entry)).collect();
        views.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        views
    }

    /// Gives the token a new secret. The old one ends, with every connection that uses it.
    ///
    /// The maker must have the whole authority of the token, because it learns the secret.
    pub async fn rotate(
        &self,
        grant: &Grant<'_>,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Issued, Error> {
        let turn = self.0.turns.of(tenant).await;
        let old = self.entry(tenant, id).ok_or(Error::NotFound)?;
        grant.check(tenant, old.row.scopes, old.row.expires_at)?;
        let token = secret::token(tenant)?;
        let mut row = old.row.clone();
        row.digest = secret::digest(token.expose());
        row.generation = row.generation.saturating_add(1);
        row.last_used_at = match old.last_used.load(Ordering::Relaxed) {
            0 => None,
            at => Some(at),
        };
        // Whoever holds the old secret may have introduced devices with it. They end first: nothing is
        // waited for between the end of the old secret and this answer, so that whoever rotates its
        // own token still hears of the new one.
        self.end_made_by(tenant, id, Vec::new()).await?;
        let entry = self.write(row).await?;
        drop(turn);
        tracing::info!(%tenant, token = id, generation = entry.row.generation, "token rotated");
        Ok(Issued { row: view(&entry), token })
    }

    /// Ends one token at once, with every connection that uses it.
    pub async fn revoke(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        let named = |row: &TokenRow| row.id == id && row.device.is_none();
        // At once, whoever is changing tokens, and however slow the disk is.
        let ended = self.end(tenant, named);
        let orphans = self.shut_out_made_by(tenant, id);
        let turn = self.0.turns.of(tenant).await;
        // Again: a change that was under way may have let it in anew.
        let known = ended + self.end(tenant, named) > 0;
        let deleted = self.0.records.delete_token(tenant, id).await;
        let orphans = self.end_made_by(tenant, id, orphans).await;
        drop(turn);
        match deleted {
            Ok(()) => orphans?,
            Err(records::Error::NotFound) if known => orphans?,
            Err(records::Error::NotFound) => return Err(Error::NotFound),
            Err(err) => return Err(Error::Records(err)),
        }
        tracing::info!(%tenant, token = id, "token revoked");
        Ok(())
    }

    /// Ends every token of the tenant at once.
    pub async fn revoke_all(&self, tenant: &TenantId) -> Result<(), Error> {
        let ended = self.end(tenant, |_| true);
        let turn = self.0.turns.of(tenant).await;
        let count = ended + self.end(tenant, |_| true);
        let deleted = self.0.records.delete_tokens_of(tenant).await;
        drop(turn);
        deleted.map_err(Error::Records)?;
        tracing::info!(%tenant, count, "every token revoked");
        Ok(())
    }

    /// Writes down when tokens were last used. A failure leaves the rest for the next time.
    pub async fn flush_last_used(&self) -> Result<(), Error> {
        let is_used = |entry: &TokenEntry| {
            entry.last_used.load(Ordering::Relaxed) > entry.written.load(Ordering::Relaxed)
        };
        let used: Vec<_> = self
            .0
            .tokens
            .all(is_used)
            .into_iter()
            .map(|entry| (Arc::clone(&entry), entry.last_used.load(Ordering::Relaxed)))
            .collect();
        for batch in used.chunks(BATCH) {
            let rows: Vec<_> = batch
                .iter()
                .map(|(entry, at)| (&entry.row.tenant, entry.row.id.as_str(), *at))
                .collect();
            self.0.records.touch_tokens(&rows).await.map_err(Error::Records)?;
            for (entry, at) in batch {
                entry.written.store(*at, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    pub(crate) async fn load_tokens(&self) -> Result<(), Error> {
        let mut suspended = HashSet::new();
        let mut after: Option<TenantId> = None;
        loop {
            let page = self.0.records.tenants(after.as_ref(), PAGE).await;
            let page = page.map_err(Error::Records)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            suspended.extend(page.into_iter().filter(|row| row.suspended).map(|row| row.id));
        }
        let mut rows = self.0.records.tokens().await.map_err(Error::Records)?;
        let of_devices = self.0.records.device_tokens().await.map_err(Error::Records)?;
        rows.extend(self.paired(devices::alive(of_devices, &rows)).await?);
        self.0.tokens.load(rows.into_iter().map(|row| {
            let suspended = suspended.contains(&row.tenant);
            Arc::new(TokenEntry::new(row, suspended))
        }));
        self.0.suspended.change(|tenants| tenants.extend(suspended));
        Ok(())
    }

    /// Lets in the tokens of a tenant that the records have and this does not: they came with a restore.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn adopt(&self, tenant: &TenantId) -> Result<(), Error> {
        let turn = self.0.turns.of(tenant).await;
        let of_tenant = |row: &TokenRow| &row.tenant == tenant;
        let mut rows = self.0.records.tokens_of(tenant).await.map_err(Error::Records)?;
        let of_devices = self.0.records.device_tokens_of(tenant).await.map_err(Error::Records)?;
        rows.extend(self.paired(devices::alive(of_devices, &rows)).await?);
        self.0.tokens.change(tenant, |map| {
            let suspended = self.0.suspended.contains(tenant);
            for row in rows.into_iter().filter(of_tenant) {
                let entry = || Arc::new(TokenEntry::new(row.clone(), suspended));
                map.entry(row.digest).or_insert_with(entry);
            }
        });
        drop(turn);
        Ok(())
    }

    /// Writes the row, then lets its secret in and shuts out an earlier one of the same token.
    pub(crate) async fn write(&self, row: TokenRow) -> Result<Arc<TokenEntry>, Error> {
        self.0.records.put_token(&row).await.map_err(|err| {
            let gone = matches!(err, records::Error::NotFound);
            if gone { Error::NoTenant } else { Error::Records(err) }
        })?;
        let tenant = row.tenant.clone();
        let (entry, ended) = self.0.tokens.change(&tenant, |map| {
            let ended: Vec<_> = map.extract_if(|_, old| old.row.id == row.id).collect();
            let suspended = self.0.suspended.contains(&row.tenant);
            let entry = Arc::new(TokenEntry::new(row, suspended));
            map.insert(entry.row.digest, Arc::clone(&entry));
            (entry, ended)
        });
        for (_, old) in &ended {
            old.ended.cancel();
        }
        Ok(entry)
    }

    /// Forgets the tenant's tokens that `which` chooses and wakes whoever uses one.
    pub(crate) fn end(&self, tenant: &TenantId, which: impl Fn(&TokenRow) -> bool) -> usize {
        self.shut_out(tenant, which).len()
    }

    /// Like [`Auth::end`]; gives what it forgot.
    pub(crate) fn shut_out(
        &self,
        tenant: &TenantId,
        which: impl Fn(&TokenRow) -> bool,
    ) -> Vec<Arc<TokenEntry>> {
        let ended: Vec<_> = self.0.tokens.change(tenant, |map| {
            map.extract_if(|_, entry| which(&entry.row)).map(|(_, entry)| entry).collect()
        });
        for entry in &ended {
            entry.ended.cancel();
        }
        ended
    }

    /// The tenant's own tokens, without those of its devices.
    fn entries_of(&self, tenant: &TenantId) -> Vec<Arc<TokenEntry>> {
        self.0.tokens.of(tenant, |entry| entry.row.device.is_none())
    }

    fn entry(&self, tenant: &TenantId, id: &str) -> Option<Arc<TokenEntry>> {
        self.entries_of(tenant).into_iter().find(|entry| entry.row.id == id)
    }
}

pub(crate) fn check_label(label: &str) -> Result<(), Error> {
    let shown = label.chars().count() <= MAX_LABEL && !label.chars().any(char::is_control);
    if shown { Ok(()) } else { Err(Error::Label { max: MAX_LABEL }) }
}

pub(crate) fn view(entry: &TokenEntry) -> TokenView {
    let row = &entry.row;
    let last_used = entry.last_used.load(Ordering::Relaxed);
    TokenView {
        id: row.id.clone(),
        tenant: row.tenant.clone(),
        label: row.label.clone(),
        scopes: row.scopes,
        created_at: row.created_at,
        expires_at: row.expires_at,
        generation: row.generation,
        last_used_at: (last_used > 0).then_some(last_used),
    }
}
