//! The methods that the supervisor serves itself, because the answer is its own records.

use api::ApiError;
use api::tenants::{GetParams, QuotaStatus, Tenant};
use auth::Permit;

use crate::{Error, Tenants};

/// One caller of one method.
struct Caller<'a> {
    tenants: &'a Tenants,
    permit: &'a Permit,
}

impl Tenants {
    /// One method of the method table that the supervisor serves: JSON in, JSON out.
    ///
    /// # Errors
    /// When the parameters are not the method's or the tenant is gone.
    pub async fn own(
        &self,
        permit: &Permit,
        method: &str,
        params: &[u8],
    ) -> Result<Vec<u8>, ApiError> {
        api::supervisor::dispatch(&Caller { tenants: self, permit }, method, params).await
    }
}

impl api::tenants::Tenants for Caller<'_> {
    async fn get(&self, _: GetParams) -> Result<Tenant, ApiError> {
        let view = self.tenants.peek(self.permit.tenant()).map_err(|err| public(&err))?;
        Ok(Tenant { tenant_id: view.id, created_at: view.created_at, limits: view.limits })
    }

    async fn quota_status(&self, _: GetParams) -> Result<QuotaStatus, ApiError> {
        let usage = self.tenants.usage(self.permit.tenant()).map_err(|err| public(&err))?;
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

fn public(err: &Error) -> ApiError {
    if matches!(err, Error::NotFound) {
        ApiError::not_found(err.public())
    } else {
        ApiError::unavailable(err.public())
    }
}
