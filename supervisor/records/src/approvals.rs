//! The table of what tenants let their agents run: the file of approvals. What it says is not known
//! here.

use types::TenantId;

use crate::documents::Table;
use crate::store::Op;
use crate::{Document, Error, Records};

pub(crate) const TABLE: Table = Table { prefix: "approvals/", name: "the file of approvals" };

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> Op {
    TABLE.deletions(tenant)
}

impl Records {
    /// The tenant's file of approvals, if there is one.
    pub async fn approvals(&self, tenant: &TenantId) -> Result<Option<Document>, Error> {
        self.document(TABLE, tenant).await
    }

    /// Replaces the tenant's file of approvals, if its hash is still `expected`. False where it is
    /// not. It is durable when this answers.
    pub async fn replace_approvals(
        &self,
        tenant: &TenantId,
        expected: Option<&str>,
        new: &Document,
    ) -> Result<bool, Error> {
        self.replace_document(TABLE, tenant, expected, new).await
    }
}

#[cfg(test)]
mod tests {
    use types::Limits;

    use super::*;

    #[tokio::test]
    async fn a_file_of_approvals_is_one_tenants_and_goes_with_it() {
        let records = Records::in_memory();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        for tenant in [&a, &b] {
            records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
        }
        let file =
            |hash: &str| Document { raw: "{}".to_owned(), hash: hash.to_owned(), updated_at: 7 };
        assert!(records.replace_approvals(&a, None, &file("one")).await.unwrap());
        assert!(!records.replace_approvals(&a, None, &file("two")).await.unwrap());
        assert_eq!(records.approvals(&a).await.unwrap(), Some(file("one")));
        assert_eq!(records.approvals(&b).await.unwrap(), None);
        assert_eq!(records.overlay(&a).await.unwrap(), None);
        records.delete_tenant(&a).await.unwrap();
        records.replace_approvals(&a, None, &file("one")).await.unwrap_err();
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        assert_eq!(records.approvals(&a).await.unwrap(), None);
    }
}
