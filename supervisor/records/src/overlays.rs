//! The table of what tenants have set. What may be set is not decided here.

use types::TenantId;

use crate::documents::Table;
use crate::store::Op;
use crate::{Document, Error, MAX_DOCUMENT, Records};

pub(crate) const TABLE: Table = Table { prefix: "overlay/", name: "the overlay" };

/// The longest overlay, in bytes.
pub const MAX_OVERLAY: usize = MAX_DOCUMENT;

/// What a tenant has set: JSON5, as the tenant wrote it.
pub type Overlay = Document;

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> Op {
    TABLE.deletions(tenant)
}

impl Records {
    /// What the tenant has set, if anything.
    pub async fn overlay(&self, tenant: &TenantId) -> Result<Option<Overlay>, Error> {
        self.document(TABLE, tenant).await
    }

    /// Replaces what the tenant has set, if its hash is still `expected`. False where it is not.
    pub async fn replace_overlay(
        &self,
        tenant: &TenantId,
        expected: Option<&str>,
        new: &Overlay,
    ) -> Result<bool, Error> {
        self.replace_document(TABLE, tenant, expected, new).await
    }
}

#[cfg(test)]
mod tests {
    use types::Limits;

    use super::*;

    #[tokio::test]
    async fn an_overlay_is_replaced_as_a_whole_and_goes_with_its_tenant() {
        let records = Records::in_memory();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        for tenant in [&a, &b] {
            records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
        }
        let overlay =
            |raw: String, hash: &str| Overlay { raw, hash: hash.to_owned(), updated_at: 7 };
        let long = overlay("\u{1}é".repeat(MAX_OVERLAY / 3), "one");
        assert!(records.replace_overlay(&a, None, &long).await.unwrap());
        assert_eq!(records.overlay(&a).await.unwrap().as_ref(), Some(&long));
        assert_eq!(records.overlay(&b).await.unwrap(), None);
        let short = overlay("{}".to_owned(), "two");
        assert!(!records.replace_overlay(&a, None, &short).await.unwrap());
        assert!(!records.replace_overlay(&a, Some("other"), &short).await.unwrap());
        assert!(records.replace_overlay(&a, Some("one"), &short).await.unwrap());
        assert_eq!(records.overlay(&a).await.unwrap(), Some(short));
        let long = overlay("x".repeat(MAX_OVERLAY + 1), "three");
        records.replace_overlay(&a, Some("two"), &long).await.unwrap_err();
        records.delete_tenant(&a).await.unwrap();
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        assert_eq!(records.overlay(&a).await.unwrap(), None);
    }
}
