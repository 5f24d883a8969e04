//! Tokens that are bound to one device of a tenant and one role: made when the device proves itself
//! with a tenant's token, and over when that token is, or the device is removed.
//!
//! Whether a device may be let in is not decided here, and no signature is looked at.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use records::{DeviceBinding, DeviceRole, TokenRow};
use subtle::ConstantTimeEq as _;
use types::{Scopes, Secret, TenantId, UnixMillis};

use crate::entry::{TokenEntry, expanded};
use crate::tokens::{Issued, view};
use crate::{Auth, Denied, Error, MAX_PRESENTED, Principal, Unauthenticated, secret};

/// Tokens of one tenant's devices: each device may have two roles.
const MAX_DEVICE_TOKENS: usize = 2 * records::MAX_DEVICES;

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
    /// maker's authority. A token that the device has used is known to be with it: it is widened
    /// where need be, and nothing is given.
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
        let changing = self.0.changing.lock().await;
        check(maker, scopes)?;
        let tenant = maker.tenant();
        let binding = DeviceBinding {
            device: device.to_owned(),
            role,
            maker: maker.token_id().to_owned(),
            maker_generation: maker.generation(),
        };
        let old = self.device_entry(tenant, device, role);
        if let Some(old) = old.as_ref().filter(|old| old.row.device.as_ref() == Some(&binding))
            && old.last_used.load(Ordering::Relaxed) > 0
        {
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
        drop(changing);
        tracing::info!(%tenant, token = entry.row.id, ?scopes, "device token issued");
        Ok(Some(Issued { row: view(&entry), token }))
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
        let changing = self.0.changing.lock().await;
        let maker = self.maker_scopes(principal).ok_or(Error::NotFound)?;
        if !scopes.is_subset(expanded(maker)) {
            return Err(Denied::Wider.into());
        }
        let id = principal.token_id();
        let entry = self.entries_bound(principal.tenant()).into_iter();
        let entry = entry.into_iter().find(|it| it.row.id == id).ok_or(Error::NotFound)?;
        let entry = self.rescope(&entry, union(entry.row.scopes, scopes)).await?;
        drop(changing);
        Ok(Principal::new(entry, Arc::clone(&self.0.clock)))
    }

    /// What the token may do that introduced this device; none where the caller is not a device or
    /// that token is gone.
    pub fn maker_scopes(&self, principal: &Principal) -> Option<Scopes> {
        let binding = principal.device()?;
        let tenant = principal.tenant();
        let is_maker = |row: &TokenRow| {
            row.tenant == *tenant
                && row.id == binding.maker
                && row.generation == binding.maker_generation
        };
        self.entries(is_maker).first().map(|maker| maker.row.scopes)
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
        let changing = self.0.changing.lock().await;
        let tenant = by.tenant();
        let old = self.device_entry(tenant, device, role).ok_or(Error::NotFound)?;
        let scopes = scopes.unwrap_or(old.row.scopes);
        if !scopes.is_subset(old.row.scopes) || !old.row.scopes.is_subset(expanded(by.scopes())) {
            return Err(Denied::Wider.into());
        }
        let token = secret::token(tenant)?;
        let mut row = old.row.clone();
        row.digest = secret::digest(token.expose());
        row.generation = row.generation.saturating_add(1);
        (row.scopes, row.last_used_at) = (scopes, None);
        let entry = self.write(row).await?;
        drop(changing);
        tracing::info!(%tenant, token = entry.row.id, "device token rotated");
        Ok(Issued { row: view(&entry), token })
    }

    /// Ends the device's tokens at once, in one role or in all, with every connection that uses
    /// one; gives how many there were.
    pub async fn revoke_device_tokens(
        &self,
        tenant: &TenantId,
        device: &str,
        role: Option<DeviceRole>,
    ) -> Result<usize, Error> {
        let changing = self.0.changing.lock().await;
        let of_device = |row: &TokenRow| {
            row.tenant == *tenant
                && row.device.as_ref().is_some_and(|it| {
                    it.device == device && role.is_none_or(|role| role == it.role)
                })
        };
        let count = self.end_bound(of_device, Vec::new()).await;
        drop(changing);
        count
    }

    /// The tokens of the tenant's devices.
    pub fn device_tokens_of(&self, tenant: &TenantId) -> Vec<DeviceTokenView> {
        let entries = self.entries_bound(tenant);
        let mut views: Vec<_> = entries.iter().filter_map(|it| device_view(it)).collect();
        views.sort_by(|a, b| (&a.device, a.role.name()).cmp(&(&b.device, b.role.name())));
        views
    }

    /// Ends the tokens of devices that were introduced with the token `maker`, in memory alone; gives
    /// them, for [`Auth::end_made_by`].
    pub(crate) fn shut_out_made_by(&self, tenant: &TenantId, maker: &str) -> Vec<Arc<TokenEntry>> {
        self.shut_out(|row| is_made_by(row, tenant, maker))
    }

    /// Ends the tokens of devices that were introduced with the token `maker`, and removes them and
    /// those that are `over` already.
    pub(crate) async fn end_made_by(
        &self,
        tenant: &TenantId,
        maker: &str,
        over: Vec<Arc<TokenEntry>>,
    ) -> Result<(), Error> {
        self.end_bound(|row| is_made_by(row, tenant, maker), over).await.map(drop)
    }

    /// Ends tokens of devices in memory, then removes them. One whose removal fails is over all the
    /// same; after a restart it is still over where its maker is.
    async fn end_bound(
        &self,
        which: impl Fn(&TokenRow) -> bool,
        mut over: Vec<Arc<TokenEntry>>,
    ) -> Result<usize, Error> {
        over.extend(self.shut_out(|row| row.device.is_some() && which(row)));
        // One that was changed meanwhile is there twice.
        let ids: BTreeSet<_> = over.iter().map(|it| (&it.row.tenant, it.row.id.as_str())).collect();
        for (tenant, id) in &ids {
            match self.0.records.delete_token(tenant, id).await {
                Ok(()) | Err(records::Error::NotFound) => {}
                Err(err) => return Err(Error::Records(err)),
            }
            tracing::info!(%tenant, token = id, "device token ended");
        }
        Ok(ids.len())
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
        let held = self.0.tokens.change(|map| {
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
        self.entries(|row| row.tenant == *tenant && row.device.is_some())
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

/// The devices' tokens whose maker is still what it was.
pub(crate) fn alive(of_devices: Vec<TokenRow>, makers: &[TokenRow]) -> Vec<TokenRow> {
    let makers: HashMap<_, _> =
        makers.iter().map(|row| ((&row.tenant, row.id.as_str()), row.generation)).collect();
    let is_alive = |row: &TokenRow| {
        row.device.as_ref().is_some_and(|it| {
            makers.get(&(&row.tenant, it.maker.as_str())) == Some(&it.maker_generation)
        })
    };
    of_devices.into_iter().filter(is_alive).collect()
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

/// Whether it is a device's, introduced with the token `maker`.
fn is_made_by(row: &TokenRow, tenant: &TenantId, maker: &str) -> bool {
    row.tenant == *tenant && row.device.as_ref().is_some_and(|it| it.maker == maker)
}
