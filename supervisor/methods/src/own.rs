//! `tenants.*`: what a tenant may learn of itself and do to itself.

use api::ApiError;
use api::tenants::{GetParams, QuotaStatus, Tenant};

use crate::{Call, failed};

impl api::tenants::Tenants for Call<'_> {
    async fn get(&self, _: GetParams) -> Result<Tenant, ApiError> {
        let view = self.parts.tenants.peek(self.caller.permit.tenant());
        let view = view.map_err(|err| failed(&err))?;
        Ok(Tenant { tenant_id: view.id, created_at: view.created_at, limits: view.limits })
    }

    async fn quota_status(&self, _: GetParams) -> Result<QuotaStatus, ApiError> {
        let usage = self.parts.tenants.usage(self.caller.permit.tenant());
        let usage = usage.map_err(|err| failed(&err))?;
        Ok(QuotaStatus {
            window: usage.window,
            requests: usage.used.requests,
            input_tokens: usage.used.input_tokens,
            output_tokens: usage.used.output_tokens,
            cost_micros: usage.used.cost_micros,
            limits: usage.limits,
        })
    }
}
