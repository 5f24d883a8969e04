//! What signed evidence ties itself to: where the books and the audit trail stood when it was made.

use audit::{Audit, Digest};
use books::{Books, Month};
use evidence::{AuditHead, Pending, Witness};
use types::{Chain, TenantId};

/// Asks both.
#[derive(Debug)]
pub(crate) struct Keepers {
    pub(crate) books: Books,
    pub(crate) audit: Audit,
}

impl Keepers {
    /// Over the days of this month and the last that are closed, in the form in which months are.
    async fn closed_days(&self, tenant: &TenantId) -> Option<String> {
        let last = self.books.last_closed()?;
        let first = Month::of(last).previous().first();
        let days = self.books.days(tenant, first, last).await;
        let days = days
            .inspect_err(|err| {
                tracing::error!(%tenant, error = %Chain(err), "the books cannot be read for evidence");
            })
            .ok()?;
        let closed = days.iter().filter_map(|row| Some((row.day, row.digest.as_ref()?)));
        let lines = closed.flat_map(|(day, digest)| [day.to_string(), format!(" {digest}\n")]);
        let lines: String = lines.collect();
        (!lines.is_empty()).then(|| Digest::of(lines.as_bytes()).to_string())
    }
}

impl Witness for Keepers {
    fn ledger_digest<'a>(&'a self, tenant: &'a TenantId) -> Pending<'a, Option<String>> {
        Box::pin(self.closed_days(tenant))
    }

    fn audit_head(&self) -> Pending<'_, Option<AuditHead>> {
        let head = self.audit.head();
        let head = head.map(|head| AuditHead { seq: head.seq, hash: head.hash.to_string() });
        Box::pin(std::future::ready(head))
    }
}
