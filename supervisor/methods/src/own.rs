//! `tenants.*`: what a tenant may learn of itself and do to itself.

mod backups;
pub(crate) mod usage;

use api::ApiError;
use api::tenants::{
    BackedUp, BackupParams, Backups, DeleteParams, Deleted, History, HistoryParams, QuotaStatus,
    RestoreParams, Restored, Rotated, Tenant, TenantParams, Usage, UsageParams,
};
use audit::{Repeated, Who, WhoKind};
use auth::{Denied, Grant};
use tenants::State;
use types::Chain;

use crate::config::pace;
use crate::{Call, failed};

impl api::tenants::Tenants for Call<'_> {
    async fn get(&self, params: TenantParams) -> Result<Tenant, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        let view = self.parts.tenants.peek(self.tenant()).map_err(|err| failed(&err))?;
        Ok(Tenant {
            display_name: view.id.clone(),
            tenant_id: view.id,
            created_at: view.created_at,
            last_seen_at: view.last_active_at,
            disabled: view.state == State::Suspended,
            limits: view.limits,
        })
    }

    async fn rotate(&self, params: TenantParams) -> Result<Rotated, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        pace(self.parts, self.tenant())?;
        let (permit, tenant) = (self.caller.permit, self.tenant());
        let id = permit.principal().token_id();
        let issued = self.parts.auth.rotate(&Grant::Tenant(permit), tenant, id).await;
        let issued = issued.map_err(|err| refused(&err))?;
        Ok(Rotated { tenant_id: tenant.clone(), token: issued.token })
    }

    async fn delete(&self, params: DeleteParams) -> Result<Deleted, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        if params.confirm != Some(true) {
            let message = "Self-delete requires confirm: true; everything of the tenant is deleted";
            return Err(ApiError::invalid(message));
        }
        let tenant_id = self.tenant().clone();
        tracing::info!(
            tenant = %tenant_id,
            token = self.caller.permit.principal().token_id(),
            request = self.caller.request_id,
            "a tenant deletes itself"
        );
        let by = format!("the tenant's token {}", self.caller.permit.principal().token_id());
        let deleted = self.parts.tenants.delete_itself(&tenant_id, &self.parts.auth, &by).await;
        deleted.map_err(|err| failed(&err))?;
        Ok(Deleted { deleted: true, tenant_id })
    }

    async fn usage(&self, params: UsageParams) -> Result<Usage, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        usage::current(self)
    }

    async fn usage_history(&self, params: HistoryParams) -> Result<History, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        usage::history(self, params.months)
    }

    async fn quota_status(&self, params: TenantParams) -> Result<QuotaStatus, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        usage::quota(self)
    }

    async fn backup(&self, params: BackupParams) -> Result<BackedUp, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        backups::create(self, &params).await
    }

    async fn backups_list(&self, params: BackupParams) -> Result<Backups, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        backups::list(self, &params).await
    }

    async fn restore(&self, params: RestoreParams) -> Result<Restored, ApiError> {
        self.own(params.tenant_id.as_deref())?;
        backups::restore(self, params).await
    }
}

impl Call<'_> {
    /// Whether a tenant that is named is the caller's own. Any other is answered in the same way,
    /// whether there is one or not.
    fn own(&self, named: Option<&str>) -> Result<(), ApiError> {
        if named.is_none_or(|it| it == self.tenant().as_str()) {
            return Ok(());
        }
        let principal = self.caller.permit.principal();
        let who = Who::named(WhoKind::TenantToken, principal.token_id());
        let act = self.caller.permit.action().name;
        let refused = Repeated::refused(who, act, "other_tenant");
        self.parts.audit.repeated(refused.of_tenant(self.tenant().as_str()));
        Err(ApiError::not_found("Tenant not found"))
    }
}

/// What a caller is told whose token was not rotated.
fn refused(err: &auth::Error) -> ApiError {
    match err {
        auth::Error::Denied(Denied::Wider) => ApiError::invalid(
            "this connection has fewer scopes than its token, or the token is a device's; rotate it with all of its scopes",
        ),
        auth::Error::Denied(why) => ApiError::new(api::Code::Unauthorized, why.to_string()),
        auth::Error::NotFound | auth::Error::NoTenant => ApiError::not_found("Tenant not found"),
        auth::Error::Records(_)
        | auth::Error::NoScopes
        | auth::Error::Label { .. }
        | auth::Error::Expiry
        | auth::Error::TooMany { .. }
        | auth::Error::Random(_) => {
            tracing::error!(error = %Chain(err), "a token was not rotated");
            ApiError::unavailable("the gateway's records failed")
        }
    }
}
