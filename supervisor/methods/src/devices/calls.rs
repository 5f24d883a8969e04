//! `device.*` as methods: who calls, and how often what makes or changes something. What ends
//! something waits for nobody's pace, and what answers a request is as rare as requests are.

use api::ApiError;
use api::devices::{
    Approved, DeviceParams, PairList, PairListParams, Rejected, Removed, RenameParams, Renamed,
    RequestParams, Revoked, RotateParams, Rotated, TokenParams,
};

use super::manage::Manager;
use crate::Call;
use crate::config::pace;

impl Call<'_> {
    fn manager(&self) -> Manager<'_> {
        let at = self.caller.connection.and_then(|it| it.device_id());
        let via = self.caller.connection.map(|it| it.id());
        Manager { devices: self.parts.devices(), by: self.caller.permit.principal(), at, via }
    }
}

impl api::devices::Devices for Call<'_> {
    async fn pair_list(&self, _: PairListParams) -> Result<PairList, ApiError> {
        self.manager().list().await
    }

    async fn pair_approve(&self, params: RequestParams) -> Result<Approved, ApiError> {
        self.manager().approve(&params.request_id).await
    }

    async fn pair_reject(&self, params: RequestParams) -> Result<Rejected, ApiError> {
        self.manager().reject(&params.request_id).await
    }

    async fn pair_remove(&self, params: DeviceParams) -> Result<Removed, ApiError> {
        self.manager().remove(&params.device_id).await
    }

    async fn pair_rename(&self, params: RenameParams) -> Result<Renamed, ApiError> {
        pace(self.parts, self.tenant())?;
        self.manager().rename(&params.device_id, &params.label).await
    }

    async fn token_rotate(&self, params: RotateParams) -> Result<Rotated, ApiError> {
        pace(self.parts, self.tenant())?;
        self.manager().rotate(&params).await
    }

    async fn token_revoke(&self, params: TokenParams) -> Result<Revoked, ApiError> {
        self.manager().revoke(&params.device_id, &params.role).await
    }
}
