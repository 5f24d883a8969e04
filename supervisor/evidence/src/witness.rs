//! What others know that a report is to tie itself to: where the ledger and the audit log stood.

use std::fmt;
use std::pin::Pin;

use types::TenantId;

use crate::report::AuditHead;

/// An answer that may take a moment.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever keeps the books and the audit log.
pub trait Witness: fmt::Debug + Send + Sync {
    /// SHA-256 over the ledger of the tenant's closed days, in hex.
    fn ledger_digest<'a>(&'a self, tenant: &'a TenantId) -> Pending<'a, Option<String>>;

    /// The last entry of the audit log.
    fn audit_head(&self) -> Pending<'_, Option<AuditHead>>;
}

/// Knows of neither.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Witness for Nobody {
    fn ledger_digest<'a>(&'a self, _: &'a TenantId) -> Pending<'a, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn audit_head(&self) -> Pending<'_, Option<AuditHead>> {
        Box::pin(std::future::ready(None))
    }
}
