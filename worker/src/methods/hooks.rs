//! `hooks.status`.

use api::ApiError;
use api::hooks::{Hooks, Mapping, Status, StatusParams};

use super::Call;
use crate::hooks::{Action, MAX_BODY};

impl Hooks for Call<'_> {
    async fn status(&self, _params: StatusParams) -> Result<Status, ApiError> {
        let settings = self.core.live.now().settings;
        let mappings = settings.hooks.mappings().enumerate().map(|(index, mapping)| Mapping {
            id: mapping.id.clone().unwrap_or_else(|| format!("mapping-{}", index + 1)),
            path: mapping.r#match.path.clone(),
            action: match mapping.action() {
                Action::Wake => "wake",
                Action::Agent => "agent",
            },
        });
        Ok(Status {
            enabled: settings.hooks.is_on(),
            path: "/hooks",
            max_body_bytes: MAX_BODY,
            allow_request_session_key: settings.hooks.request_chooses(),
            mappings: mappings.collect(),
        })
    }
}
