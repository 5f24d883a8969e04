//! Known tokens and keys, and the callers who presented them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::{Who, WhoKind};
use records::{DeviceBinding, DeviceRole, KeyRow, TokenRow};
use tokio_util::sync::CancellationToken;
use types::{Clock, Role, Scope, Scopes, TenantId, UnixMillis};

use crate::secret::Digest;
use crate::table::Entry;

/// How long the clock is trusted to go on as it does; a machine that slept is noticed after this.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// What the name of an operator begins with who has no key; no key's name does.
const LOCAL: &str = "local:";

/// One token in memory.
#[derive(Debug)]
pub(crate) struct TokenEntry {
    pub(crate) row: TokenRow,
    /// Whether the tenant's requests are refused.
    pub(crate) suspended: bool,
    /// When it was last presented; 0 for never.
    pub(crate) last_used: AtomicU64,
    /// What of `last_used` the records know.
    pub(crate) written: AtomicU64,
    /// Cancelled when the token is revoked or rotated, or its tenant suspended or deleted.
    pub(crate) ended: CancellationToken,
}

impl TokenEntry {
    pub(crate) fn new(row: TokenRow, suspended: bool) -> Self {
        let last_used = row.last_used_at.unwrap_or(0);
        let ended = CancellationToken::new();
        if suspended {
            ended.cancel();
        }
        Self {
            row,
            suspended,
            last_used: AtomicU64::new(last_used),
            written: AtomicU64::new(last_used),
            ended,
        }
    }

    /// The same token with more or fewer scopes: who uses it goes on.
    pub(crate) fn rescoped(&self, row: TokenRow) -> Self {
        let mut rescoped = Self::new(row, self.suspended);
        rescoped.last_used.store(self.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
        rescoped.written.store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
        rescoped.ended = self.ended.clone();
        rescoped
    }

    /// The same token, for callers who come after the tenant was suspended or resumed.
    pub(crate) fn renewed(&self, suspended: bool) -> Self {
        let renewed = Self::new(self.row.clone(), suspended);
        renewed.last_used.store(self.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
        renewed.written.store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
        renewed
    }

    pub(crate) fn used(&self, now: UnixMillis) {
        self.last_used.fetch_max(now, Ordering::Relaxed);
    }
}

impl Entry for TokenEntry {
    type Owner = TenantId;

    fn owner(&self) -> &TenantId {
        &self.row.tenant
    }

    fn digest(&self) -> &Digest {
        &self.row.digest
    }

    fn expires_at(&self) -> Option<UnixMillis> {
        self.row.expires_at
    }
}

/// One operator's key in memory.
#[derive(Debug)]
pub(crate) struct KeyEntry {
    pub(crate) row: KeyRow,
    /// Cancelled when the key is revoked.
    pub(crate) ended: CancellationToken,
}

impl Entry for KeyEntry {
    /// The operators have them together.
    type Owner = ();

    fn owner(&self) -> &() {
        &()
    }

    fn digest(&self) -> &Digest {
        &self.row.digest
    }

    fn expires_at(&self) -> Option<UnixMillis> {
        self.row.expires_at
    }
}

/// A caller with a tenant's token. Clones are the same caller.
#[derive(Debug, Clone)]
pub struct Principal {
    entry: Arc<TokenEntry>,
    clock: Arc<dyn Clock>,
    /// What of the token's authority is left, where the caller asked for less.
    held: Scopes,
}

impl Principal {
    pub(crate) fn new(entry: Arc<TokenEntry>, clock: Arc<dyn Clock>) -> Self {
        let node = entry.row.device.as_ref().is_some_and(|it| it.role == DeviceRole::Node);
        let held = entry.row.scopes;
        let principal = Self { entry, clock, held };
        if node { principal.as_node() } else { principal }
    }

    /// The same caller with what its scopes imply on a connection, which nothing else does: admin
    /// is everything of the tenant, and write is read too.
    pub fn expanded(&self) -> Self {
        Self { held: expanded(self.held), ..self.clone() }
    }

    /// The same caller with what `asked` leaves of its scopes: a connection may ask for less than
    /// its token gives.
    pub fn narrowed(&self, asked: Scopes) -> Self {
        let held = self.held.iter().filter(|scope| asked.contains(*scope)).collect();
        Self { held, ..self.clone() }
    }

    /// The same caller as a node, which may do nothing but what nodes do.
    pub fn as_node(&self) -> Self {
        Self { held: std::iter::once(Scope::Node).collect(), ..self.clone() }
    }

    /// The tenant, which no message can change.
    pub fn tenant(&self) -> &TenantId {
        &self.entry.row.tenant
    }

    /// The token's public name.
    pub fn token_id(&self) -> &str {
        &self.entry.row.id
    }

    /// What the caller may do.
    pub const fn scopes(&self) -> Scopes {
        self.held
    }

    /// The one device whose token this is; none for a tenant's token. A device's token is good for
    /// nothing but a connection on which the device has proved itself.
    pub fn device(&self) -> Option<&DeviceBinding> {
        self.entry.row.device.as_ref()
    }

    /// How often the token was rotated, plus one.
    pub fn generation(&self) -> u64 {
        self.entry.row.generation
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.entry.row.expires_at
    }

    /// Whether this caller presented the secret of which `digest` is stored.
    pub(crate) fn presented(&self, digest: &Digest) -> bool {
        self.entry.row.digest == *digest
    }

    /// Whether the tenant was suspended when the token was presented or since.
    pub(crate) fn is_suspended(&self) -> bool {
        self.entry.suspended
    }

    /// Whether the token was revoked or rotated, has expired, or its tenant is suspended or gone.
    pub fn is_revoked(&self) -> bool {
        is_over(&self.entry.ended, self.expires_at(), &*self.clock)
    }

    /// Resolves when the token is revoked or rotated, expires, or its tenant is suspended or
    /// deleted; at once where that has happened.
    pub async fn revoked(&self) {
        over(&self.entry.ended, self.expires_at(), &*self.clock).await;
    }
}

/// What scopes come to on a connection.
pub fn expanded(scopes: Scopes) -> Scopes {
    let admin = scopes.contains(Scope::Admin);
    let all = if admin { Scopes::all_of_tenant() } else { Scopes::NONE };
    let read = scopes.contains(Scope::Write).then_some(Scope::Read);
    let keeps = Scope::ALL.into_iter().chain([Scope::Node]).filter(|it| scopes.contains(*it));
    keeps.chain(all.iter()).chain(read).collect()
}

/// A caller of the control plane. Clones are the same caller.
#[derive(Debug, Clone)]
pub struct Operator {
    id: Arc<str>,
    role: Role,
    expires_at: Option<UnixMillis>,
    ended: CancellationToken,
    clock: Arc<dyn Clock>,
}

impl Operator {
    pub(crate) fn of_key(entry: &KeyEntry, clock: Arc<dyn Clock>) -> Self {
        Self {
            id: Arc::from(entry.row.id.as_str()),
            role: entry.row.role,
            expires_at: entry.row.expires_at,
            ended: entry.ended.clone(),
            clock,
        }
    }

    pub(crate) fn local(uid: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            id: Arc::from(format!("{LOCAL}{uid}")),
            role: Role::Owner,
            expires_at: None,
            ended: CancellationToken::new(),
            clock,
        }
    }

    /// Who it is, as the audit trail says it.
    pub fn who(&self) -> Who {
        match self.id.strip_prefix(LOCAL) {
            Some(uid) => Who::named(WhoKind::LocalUser, uid),
            None => Who::named(WhoKind::OperatorKey, &self.id),
        }
    }

    /// The key's public name, or `local:` and the user id on the Unix socket.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the operator may do.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// When the key ends.
    pub const fn expires_at(&self) -> Option<UnixMillis> {
        self.expires_at
    }

    /// Whether the key was revoked or has expired.
    pub fn is_revoked(&self) -> bool {
        is_over(&self.ended, self.expires_at, &*self.clock)
    }

    /// Resolves when the key is revoked or expires.
    pub async fn revoked(&self) {
        over(&self.ended, self.expires_at, &*self.clock).await;
    }
}

fn is_over(ended: &CancellationToken, expires_at: Option<UnixMillis>, clock: &dyn Clock) -> bool {
    ended.is_cancelled() || expires_at.is_some_and(|end| end <= clock.now())
}

async fn over(ended: &CancellationToken, expires_at: Option<UnixMillis>, clock: &dyn Clock) {
    let Some(end) = expires_at else { return ended.cancelled().await };
    while !is_over(ended, expires_at, clock) {
        let left = Duration::from_millis(end.saturating_sub(clock.now()));
        if tokio::time::timeout(left.min(LOOK_AGAIN), ended.cancelled()).await.is_ok() {
            return;
        }
    }
}
