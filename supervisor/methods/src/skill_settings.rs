//! `skills.update`: keys and variables are sealed by `settings`; what comes back says what is set and
//! not to what.

use std::collections::BTreeMap;

use api::ApiError;
use api::skill_settings::{Entry, UpdateParams, Updated};
use settings::{SENTINEL, SkillChange, SkillView};

use crate::Call;
use crate::config::{failed, pace, tell};

impl api::skill_settings::SkillSettings for Call<'_> {
    async fn skills_update(&self, params: UpdateParams) -> Result<Updated, ApiError> {
        let (skill, change) = asked(params)?;
        let (settings, now) = (&self.parts.settings, self.parts.clock.now());
        pace(self.parts, self.tenant())?;
        let turn = settings.turn(self.tenant()).await;
        let changed = settings.update_skill(self.tenant(), &skill, change, now).await;
        let changed = changed.map_err(|err| failed(&err))?;
        tell(self, &changed).await;
        drop(turn);
        let view = settings.skill(self.tenant(), &skill).await.map_err(|err| failed(&err))?;
        Ok(Updated { ok: true, skill_key: skill, config: entry(view) })
    }
}

/// Which skill, and what of it.
fn asked(params: UpdateParams) -> Result<(String, SkillChange), ApiError> {
    let UpdateParams { skill_key, enabled, api_key, env, agent_id, source, slug, all, force } =
        params;
    let invalid = |what: &str| ApiError::invalid(format!("invalid skills.update params: {what}"));
    let elsewhere = agent_id.is_some() || slug.is_some() || all.is_some() || force.is_some();
    match (skill_key, source.as_deref()) {
        (Some(skill), None) if !elsewhere => {
            Ok((skill, SkillChange { enabled, api_key, env: env.unwrap_or_default() }))
        }
        (None, Some("clawhub")) if enabled.is_none() && api_key.is_none() && env.is_none() => {
            let message = "skills cannot be fetched: this gateway has no way to ClawHub";
            Err(ApiError::unavailable(message))
        }
        (None, Some("clawhub")) => Err(invalid("enabled, apiKey and env go with skillKey")),
        (None, Some(_)) => Err(invalid("source must be clawhub")),
        (Some(_), _) => Err(invalid("skillKey goes with enabled, apiKey and env alone")),
        (None, None) => Err(invalid("skillKey is required")),
    }
}

fn entry(view: SkillView) -> Entry {
    let env: BTreeMap<_, _> = view.env.into_iter().map(|name| (name, SENTINEL)).collect();
    Entry { enabled: view.enabled, api_key: view.has_api_key.then_some(SENTINEL), env }
}
