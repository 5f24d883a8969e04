//! What each tenant has set, merged over what the operator has set, and checked; and the secrets
//! that tenants entrust to the gateway, sealed.
//!
//! Applies nothing itself, and lets nobody read a secret but whoever uses it for its tenant.

mod change;
mod channel;
mod effective;
mod merge;
pub mod overlay;
mod pace;
mod portable;
mod redact;
mod schema;
mod skill;
mod vault;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use records::Records;
use serde_json::{Map, Value};
use types::{Secret, TenantId};

pub use change::Changed;
pub use channel::MAX_CHANNEL_SECRET;
pub use effective::{Effective, Snapshot};
pub use pace::{Pace, Turn, WRITES, WRITES_WINDOW};
pub use portable::MAX_SECRETS;
pub use redact::SENTINEL;
pub use schema::{Hint, Issue, Lookup, LookupChild, check, document, hints, lookup};
pub use skill::{SkillChange, SkillSecrets, SkillView, is_skill, is_variable};
pub use vault::{Error as VaultError, MAX_SECRET, SealKey, Sealer};

use vault::Vault;

/// What clients know a tenant's settings by: a name, and no path of any file.
pub const NAME: &str = "openclaw.json";

/// Skills of the platform.
pub const MAX_SKILLS: usize = 64;

/// Bytes of one `SKILL.md` of the platform.
pub const MAX_SKILL: usize = 64 << 10;

/// Bytes of every `SKILL.md` of the platform together: all go to each worker at its start.
pub const MAX_SKILLS_BYTES: usize = 1 << 20;

/// Everybody's settings. Clones are the same.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Records,
    platform: Platform,
    vault: Vault,
    pace: Mutex<pace::Windows>,
    turns: Mutex<pace::Turns>,
}

/// What the operator has set for all tenants.
#[derive(Debug, Clone)]
pub struct Platform {
    /// What holds where a tenant has set nothing else; an object that [`check`] finds nothing in.
    pub defaults: Value,
    /// Folder name and `SKILL.md` of each skill.
    pub skills: Vec<(String, Bytes)>,
    /// The keys of skills, by the key of the skill.
    pub keys: BTreeMap<String, PlatformKeys>,
}

/// The operator's keys for one skill: every tenant may use them, and none may read them.
#[derive(Debug, Clone, Default)]
pub struct PlatformKeys {
    /// The skill's key.
    pub api_key: Option<Secret>,
    /// Its variables.
    pub env: BTreeMap<String, Secret>,
    /// Whether what a tenant sets takes their place for that tenant.
    pub tenant_may_replace: bool,
}

/// Settings that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records failed.
    #[error("the records of settings failed")]
    Records(#[source] records::Error),
    /// A secret could not be sealed or opened.
    #[error("a secret cannot be sealed or opened")]
    Vault(#[source] vault::Error),
    /// The text cannot be read.
    #[error(transparent)]
    Malformed(#[from] overlay::Malformed),
    /// A placeholder stands for nothing.
    #[error(transparent)]
    Placeholder(#[from] redact::Unknown),
    /// What the text says is not allowed.
    #[error("invalid config: {}", told(.0))]
    Invalid(Vec<Issue>),
    /// The caller has not said what the change is based on.
    #[error("config base hash required; re-run config.get and retry")]
    NeedsHash,
    /// The change is based on something older.
    #[error("config changed since last load; re-run config.get and retry")]
    Stale,
    /// A name or value of a skill that cannot be kept.
    #[error("{path}: {problem}")]
    Skill {
        /// Which.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The operator has set it, and keeps it.
    #[error("{path} is set by the platform and cannot be replaced")]
    Platform {
        /// Which.
        path: String,
    },
}

impl Error {
    /// Whether it is the caller's mistake, whose sentence it may read; else it is ours.
    pub const fn is_callers(&self) -> bool {
        match self {
            Self::Records(err) => {
                matches!(err, records::Error::TooLarge { .. })
            }
            Self::Vault(vault::Error::Records(err)) => {
                matches!(err, records::Error::TooLarge { .. })
            }
            Self::Vault(_) => false,
            Self::Malformed(_)
            | Self::Placeholder(_)
            | Self::Invalid(_)
            | Self::NeedsHash
            | Self::Stale
            | Self::Skill { .. }
            | Self::Platform { .. } => true,
        }
    }

    /// Whether the tenant is gone.
    pub const fn is_gone(&self) -> bool {
        use records::Error::NotFound;
        matches!(self, Self::Records(NotFound) | Self::Vault(vault::Error::Records(NotFound)))
    }
}

/// The first mistakes, for people.
fn told(issues: &[Issue]) -> String {
    /// More than these nobody reads at once; all are in the details.
    const TOLD: usize = 3;
    let one = |it: &Issue| {
        let named = it.path.is_empty() || it.message.contains(&it.path);
        if named { it.message.clone() } else { format!("{}: {}", it.path, it.message) }
    };
    let mut told: Vec<_> = issues.iter().take(TOLD).map(one).collect();
    if let Some(more) = issues.len().checked_sub(TOLD).filter(|it| *it > 0) {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

impl Default for Platform {
    fn default() -> Self {
        let defaults = Value::Object(Map::new());
        Self { defaults, skills: Vec::new(), keys: BTreeMap::new() }
    }
}

impl Settings {
    /// Settings over `records`, with secrets sealed under `key`.
    pub fn new(records: Records, platform: Platform, key: SealKey) -> Self {
        let vault = Vault::new(key, records.clone());
        let (pace, turns) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { records, platform, vault, pace, turns }))
    }

    /// What seals with a tenant's own key, which is made where there is none.
    ///
    /// # Errors
    /// When the tenant is gone, the records fail, or the key does not open.
    pub async fn sealer(&self, tenant: &TenantId) -> Result<Sealer, VaultError> {
        self.0.vault.sealer(tenant).await
    }
}

#[cfg(test)]
mod tests;
