//! `models.*`.

use api::ApiError;
use api::models::{
    AuthStatus, AuthStatusParams, ListParams, ModelChoice, ModelList, Models, ProviderStatus,
    THINKING_DEFAULT, THINKING_LEVELS,
};

use super::Call;
use crate::sessions::View;

impl Models for Call<'_> {
    async fn list(&self, _params: ListParams) -> Result<ModelList, ApiError> {
        let view = View::new(self.core);
        let default = view.default_model();
        let choice = |(provider, name): (&str, &str)| {
            let is_default =
                default.is_some_and(|it| it == name || it == format!("{provider}/{name}"));
            ModelChoice {
                id: name.to_owned(),
                name: name.to_owned(),
                provider: provider.to_owned(),
                tags: if is_default { vec!["default"] } else { Vec::new() },
                available: true,
                context_window: Some(view.context_tokens()),
                reasoning: false,
                thinking_levels: THINKING_LEVELS,
                thinking_default: THINKING_DEFAULT,
                input: &["text", "image"],
            }
        };
        Ok(ModelList { models: self.core.models().all().map(choice).collect() })
    }

    async fn auth_status(&self, _params: AuthStatusParams) -> Result<AuthStatus, ApiError> {
        let mut names: Vec<&str> = self.core.models().all().map(|(provider, _)| provider).collect();
        names.sort_unstable();
        names.dedup();
        let status = |name: &str| ProviderStatus {
            provider: name.to_owned(),
            display_name: name.to_owned(),
            status: "static",
            profiles: [],
        };
        let providers = names.into_iter().map(status).collect();
        Ok(AuthStatus { ts: self.core.store.now(), providers, provider_capabilities: [] })
    }
}
