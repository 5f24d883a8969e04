//! Tokens that are bound to one device of a tenant and one role: made when the device proves itself
//! with a tenant's token, and over when that token is, or the device is removed.
//!
//! Whether a device may be let in is not decided here, and no signature is looked at.

mod end;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use records::{DeviceBinding, DeviceRole, TokenRow};
use subtle::ConstantTimeEq as _;
use types::{Scopes, Secret, TenantId, UnixMillis};

pub(crate) use end::alive;

use crate::entry::{TokenEntry, expanded};
use crate::tokens::{Issued, view};
use crate::{Auth, Denied, Error, MAX_PRESENTED, Principal, Unauthenticated, secret};

/// Tokens of one tenant's devices: each device may have two roles.
const MAX_DEVICE_TOKENS: usize = 2 * records::MAX_DEVICES;

/// How long a token that was given to a device counts as being with it before it is used, in
/// milliseconds.
const GIVEN: u64 = 60_000;

/// A device's token as lists show it. It holds no secret and no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTokenView {
    /// The device.
    pub device: String,
    /// What it connects as.
    pub role: DeviceRole,
    /// What it may do; empty for a node.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was rotated, where it was.
    pub rotated: bool,
    /// When it was last presented.
    pub last_used_at: Option<UnixMillis>,
}

impl Auth {
    /// Whose token this is, where it is bound to `device`; any other token is wrong here.
    pub fn authenticate_device(
        &self,
        presented: Option<&str>,
        device: &str,
        from: IpAddr,
    ) -> Result<Principal, Unauthenticated> {
        let now = self.0.clock.now();
        let found = self.0.tokens.find(presented, now).and_then(|entry| {
            let bound = entry.row.device.as_ref().is_some_and(|it| it.device == device);
            if bound { Ok(entry) } else { Err(Unauthenticated::Wrong) }
        });
        let entry = self.judge(found, from)?;
        entry.used(now);
        Ok(Principal::new(entry, Arc::clone(&self.0.clock)))
    }

    /// Sees to it that the device has a token in this role that may do `scopes`, made with the
    /// maker's authority. A token that the device has used, or was given a moment ago, is taken to be
    /// with it: it is widened where need be, and nothing is given.
    ///
    /// # Errors
    /// When the maker is itself a device, does not have the scopes, or is over.
    pub async fn issue_device_token(
        &self,
        maker: &Principal,
        device: &str,
        role: DeviceRole,
        scopes: Scopes,
    ) -> Result<Option<Issued>, Error> {
        let tenant = maker.tenant();
        let turn = self.0.turns.of(tenant).await;
        check(maker, scopes)?;
        let binding = binding(maker, device, role);
        let old = self.device_entry(tenant, device, role);
        if let Some(old) = old.as_ref().filter(|old| self.is_with_device(old, &binding)) {
            self.rescope(old, union(old.row.scopes, scopes)).await?;
            return Ok(None);
        }
        if old.is_none() && self.entries_bound(tenant).len() >= MAX_DEVICE_TOKENS {
            return Err(Error::TooMany { max: MAX_DEVICE_TOKENS });
        }
        let token = secret::token(tenant)?;
        let row = TokenRow {
            id: old.map_or_else(|| secret::id(records::DEVICE_ID), |old| Ok(old.row.id.clone()))?,
            tenant: tenant.clone(),
            label: format!("{} device", role.name()),
            scopes,
            digest: secret::digest(token.expose()),
            created_at: self.0.clock.now(),
            expires_at: maker.expires_at(),
            generation: 1,
            last_used_at: None,
            device: Some(binding),
        };
        let entry = self.write(row).await?;
        drop(turn);
        tracing::info!(%tenant, token = entry.row.id, ?scopes, "device token issued");
        Ok(Some(Issued { row: view(&entry), token }))
    }

    /// Whether [`Auth::issue_device_token`] would write anything.
    pub fn lacks_device_token(
        &self,
        maker: &Principal,
        device: &str,
        role: DeviceRole,
        scopes: Scopes,
    ) -> bool {
        let old = self.device_entry(maker.tenant(), device, role);
        let binding = binding(maker, device, role);
        let suffices = |old: &Arc<TokenEntry>| {
            self.is_with_device(old, &binding) && scopes.is_subset(old.row.scopes)
        };
        !old.as_ref().is_some_and(suffices)
    }

    /// Whether the token is what `binding` says and need not be made anew. A client that never
    /// presents it would otherwise be given another at every handshake.
    fn is_with_device(&self, entry: &TokenEntry, binding: &DeviceBinding) -> bool {
        let age = self.0.clock.now().saturating_sub(entry.row.created_at);
        // A rotated one may have been withheld from the device.
        let given = entry.row.generation == 1 && age < GIVEN;
        entry.row.device.as_ref() == Some(binding)
            && (given || entry.last_used.load(Ordering::Relaxed) > 0)
    }

    /// Lets the device's own token do `scopes` too, if the token that introduced it may.
    ///
    /// # Errors
    /// When the introducing token may not, or the token is not a device's.
    pub async fn widen_device_token(
        &self,
        principal: &Principal,
        scopes: Scopes,
    ) -> Result<Principal, Error> {
        let tenant = principal.tenant();
        let turn = self.0.turns.of(tenant).await;
        let maker = self.maker_scopes(principal).ok_or(Error::NotFound)?;
        if !scopes.is_subset(expanded(maker)) {
            return Err(Denied::Wider.into());
        }
        // By its secret: one that was rotated meanwhile is not the token that came.
        let entry = self.0.tokens.of(tenant, |it| principal.presented(&it.row.digest));
        let entry = entry.first().ok_or(Error::NotFound)?;
        let entry = self.rescope(entry, union(entry.row.scopes, scopes)).await?;
        drop(turn);
        Ok(Principal::new(entry, Arc::clone(&self.0.clock)))
    }

    /// What the token may do that introduced this device; none where the caller is not a device or
    /// that token is gone.
    pub fn maker_scopes(&self, principal: &Principal) -> Option<Scopes> {
        let binding = principal.device()?;
        let tenant = principal.tenant();
        let is_maker = |entry: &TokenEntry| {
            entry.row.id == binding.maker && entry.row.generation == binding.maker_generation
        };
        self.0.tokens.of(tenant, is_maker).first().map(|maker| maker.row.scopes)
    }

    /// Whether [`Auth::rotate_device_token`] would do it: for what must come before it.
    ///
    /// # Errors
    /// The same.
    pub fn may_rotate_device_token(
        &self,
        by: &Principal,
        device: &str,
        role: DeviceRole,
        scopes: Option<Scopes>,
    ) -> Result<(), Error> {
        self.rotatable(by, device, role, scopes).map(drop)
    }

    /// Gives the device's token a new secret and, where `scopes` says, fewer scopes. The old secret
    /// ends, with every connection that uses it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the device has none in this role; [`Error::Denied`] when `by` does
    /// not have what the token may do, or more is asked for than it has.
    pub async fn rotate_device_token(
        &self,
        by: &Principal,
        device: &str,
        role: DeviceRole,
        scopes: Option<Scopes>,
    ) -> Result<Issued, Error> {
        let tenant = by.tenant();
        let turn = self.0.turns.of(tenant).await;
        let old = self.rotatable(by, device, role, scopes)?;
        let token = secret::token(tenant)?;
        let mut row = old.row.clone();
        row.digest = secret::digest(token.expose());
        row.generation = row.generation.saturating_add(1);
        (row.scopes, row.last_used_at) = (scopes.unwrap_or(row.scopes), None);
        let entry = self.write(row).await?;
        drop(turn);
        tracing::info!(%tenant, token = entry.row.id, "device token rotated");
        Ok(Issued { row: view(&entry), token })
    }

    fn rotatable(
        &self,
        by: &Principal,
        device: &str,
        role: DeviceRole,
        scopes: Option<Scopes>,
    ) -> Result<Arc<TokenEntry>, Error> {
        let old = self.device_entry(by.tenant(), device, role).ok_or(Error::NotFound)?;
        let narrower = scopes.is_none_or(|scopes| scopes.is_subset(old.row.scopes));
        if narrower && old.row.scopes.is_subset(expanded(by.scopes())) {
            Ok(old)
        } else {
            Err(Denied::Wider.into())
        }
    }

    /// The tokens of the tenant's devices.
    pub fn device_tokens_of(&self, tenant: &TenantId) -> Vec<DeviceTokenView> {
        let entries = self.entries_bound(tenant);
        let mut views: Vec<_> = entries.iter().filter_map(|it| device_view(it)).collect();
        views.sort_by(|a, b| (&a.device, a.role.name()).cmp(&(&b.device, b.role.name())));
        views
    }

    async fn rescope(
        &self,
        entry: &Arc<TokenEntry>,
        scopes: Scopes,
    ) -> Result<Arc<TokenEntry>, Error> {
        if scopes == entry.row.scopes {
            return Ok(Arc::clone(entry));
        }
        let row = TokenRow { scopes, ..entry.row.clone() };
        self.0.records.put_token(&row).await.map_err(Error::Records)?;
        // Inside the change, so that a suspension meanwhile is not undone.
        let held = self.0.tokens.change(&entry.row.tenant, |map| {
            let held = map.get_mut(&row.digest)?;
            *held = Arc::new(held.rescoped(row));
            Some(Arc::clone(held))
        });
        held.ok_or(Error::NotFound)
    }

    fn device_entry(
        &self,
        tenant: &TenantId,
        device: &str,
        role: DeviceRole,
    ) -> Option<Arc<TokenEntry>> {
        self.entries_bound(tenant).into_iter().find(|entry| {
            let binding = entry.row.device.as_ref();
            binding.is_some_and(|it| it.device == device && it.role == role)
        })
    }

    fn entries_bound(&self, tenant: &TenantId) -> Vec<Arc<TokenEntry>> {
        self.0.tokens.of(tenant, |entry| entry.row.device.is_some())
    }
}

/// A secret for a node of the tenant, and what is stored of it.
///
/// # Errors
/// When the system gives no random bytes.
pub fn node_secret(tenant: &TenantId) -> Result<(Secret, [u8; 32]), Error> {
    let secret = secret::token(tenant)?;
    let digest = secret::digest(secret.expose());
    Ok((secret, digest))
}

/// Whether `presented` is the secret of which `digest` is stored.
pub fn is_secret(presented: &str, digest: &[u8; 32]) -> bool {
    presented.len() <= MAX_PRESENTED && bool::from(secret::digest(presented).ct_eq(digest))
}

/// What binds a token to the device that the maker introduces.
fn binding(maker: &Principal, device: &str, role: DeviceRole) -> DeviceBinding {
    DeviceBinding {
        device: device.to_owned(),
        role,
        maker: maker.token_id().to_owned(),
        maker_generation: maker.generation(),
    }
}

/// Whether the maker may introduce a device that may do `scopes`.
fn check(maker: &Principal, scopes: Scopes) -> Result<(), Denied> {
    if maker.device().is_some() {
        return Err(Denied::Wider);
    }
    if maker.is_suspended() {
        return Err(Denied::Suspended);
    }
    if maker.is_revoked() {
        return Err(Denied::Ended);
    }
    if scopes.is_subset(expanded(maker.scopes())) { Ok(()) } else { Err(Denied::Wider) }
}

fn union(a: Scopes, b: Scopes) -> Scopes {
    a.iter().chain(b.iter()).collect()
}

fn device_view(entry: &TokenEntry) -> Option<DeviceTokenView> {
    let binding = entry.row.device.as_ref()?;
    let last_used = entry.last_used.load(Ordering::Relaxed);
    Some(DeviceTokenView {
        device: binding.device.clone(),
        role: binding.role,
        scopes: entry.row.scopes,
        created_at: entry.row.created_at,
        rotated: entry.row.generation > 1,
        last_used_at: (last_used > 0).then_some(last_used),
    })
}
