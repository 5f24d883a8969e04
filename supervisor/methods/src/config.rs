//! `config.*`: what the tenant sets is checked and stored by `settings`; here it is paced, logged,
//! told to the tenant's worker and to its clients.

use std::collections::BTreeMap;

use api::ApiError;
use api::config::{
    ApplyParams, GetParams, Issue, LookupParams, PatchParams, SchemaResult, SetParams, Snapshot,
    Written,
};
use serde_json::json;
use serde_json::value::to_raw_value;
use settings::{Changed, Settings};
use types::{Chain, TenantId, UnixMillis};

use crate::devices::publish;
use crate::{Call, Parts};

/// Paths of lists that one patch replaces, as in `OpenClaw`.
const MAX_REPLACED: usize = 256;

/// Characters of a path that is looked up.
const MAX_PATH: usize = 1024;

impl api::config::Config for Call<'_> {
    async fn config_get(&self, _: GetParams) -> Result<Snapshot, ApiError> {
        let snapshot = self.parts.settings.snapshot(self.tenant()).await;
        let snapshot = snapshot.map_err(|err| failed(&err))?;
        let issue = |it: settings::Issue| Issue { path: it.path, message: it.message };
        Ok(Snapshot {
            path: settings::NAME,
            exists: snapshot.exists,
            raw: snapshot.raw,
            source_config: snapshot.parsed.clone(),
            parsed: snapshot.parsed,
            resolved: snapshot.config.clone(),
            runtime_config: snapshot.config.clone(),
            config: snapshot.config,
            valid: snapshot.issues.is_empty(),
            config_revision_hash: snapshot.hash.clone(),
            applied_config_hash: snapshot.hash.clone(),
            hash: snapshot.hash,
            issues: snapshot.issues.into_iter().map(issue).collect(),
            warnings: Vec::new(),
            legacy_issues: Vec::new(),
            included_paths: Vec::new(),
            include_provenance: Vec::new(),
            is_tenant_overlay: true,
        })
    }

    async fn config_set(&self, params: SetParams) -> Result<Written, ApiError> {
        self.replace(&params.raw, params.base_hash.as_deref()).await
    }

    async fn config_apply(&self, params: ApplyParams) -> Result<Written, ApiError> {
        self.replace(&params.raw, params.base_hash.as_deref()).await
    }

    async fn config_patch(&self, params: PatchParams) -> Result<Written, ApiError> {
        let replaced = params.replace_paths.unwrap_or_default();
        if replaced.len() > MAX_REPLACED {
            let message =
                format!("invalid config.patch params: at most {MAX_REPLACED} replacePaths");
            return Err(ApiError::invalid(message));
        }
        let (settings, now) = (&self.parts.settings, self.parts.clock.now());
        pace(self.parts, self.tenant())?;
        let turn = settings.turn(self.tenant()).await;
        let (replaced, base) = (replaced.into_iter().collect(), params.base_hash.as_deref());
        let changed = settings.patch(self.tenant(), &params.raw, replaced, base, now).await;
        let changed = changed.map_err(|err| failed(&err))?;
        tell(self, &changed).await;
        drop(turn);
        self.written(changed).await
    }

    async fn config_schema(&self, _: GetParams) -> Result<SchemaResult, ApiError> {
        let hint = |(path, hint)| to_raw_value(&hint).map(|hint| (path, hint));
        let hints = settings::hints().into_iter().map(hint);
        let hints: Result<BTreeMap<_, _>, _> = hints.collect();
        let started = i64::try_from(self.parts.started_at).unwrap_or(i64::MAX);
        let started = jiff::Timestamp::from_millisecond(started).unwrap_or(jiff::Timestamp::MAX);
        Ok(SchemaResult {
            schema: settings::document(),
            ui_hints: hints.map_err(|err| ApiError::unavailable(err.to_string()))?,
            version: env!("CARGO_PKG_VERSION"),
            generated_at: started.to_string(),
        })
    }

    async fn config_schema_lookup(
        &self,
        params: LookupParams,
    ) -> Result<serde_json::Value, ApiError> {
        let path = params.path;
        let plain = |it: char| it.is_ascii_alphanumeric() || "_./[]-*".contains(it);
        if path.is_empty() || path.len() > MAX_PATH || !path.chars().all(plain) {
            let message = format!(
                "invalid config.schema.lookup params: path has 1 to {MAX_PATH} letters, digits and _ . / [ ] - *"
            );
            return Err(ApiError::invalid(message));
        }
        let found = settings::lookup(&path);
        let found = found.ok_or_else(|| ApiError::invalid("config schema path not found"))?;
        serde_json::to_value(found).map_err(|err| ApiError::unavailable(err.to_string()))
    }
}

impl Call<'_> {
    pub(crate) fn tenant(&self) -> &TenantId {
        self.caller.permit.tenant()
    }

    async fn replace(&self, raw: &str, base: Option<&str>) -> Result<Written, ApiError> {
        let (settings, now) = (&self.parts.settings, self.parts.clock.now());
        pace(self.parts, self.tenant())?;
        let turn = settings.turn(self.tenant()).await;
        let changed = settings.set(self.tenant(), raw, base, now).await;
        let changed = changed.map_err(|err| failed(&err))?;
        tell(self, &changed).await;
        drop(turn);
        self.written(changed).await
    }

    async fn written(&self, changed: Changed) -> Result<Written, ApiError> {
        let snapshot = self.parts.settings.snapshot(self.tenant()).await;
        Ok(Written {
            ok: true,
            path: settings::NAME,
            noop: changed.is_noop().then_some(true),
            hash: changed.hash,
            config: snapshot.map_err(|err| failed(&err))?.config,
            changed_paths: changed.paths,
            restart: None,
            sentinel: None,
        })
    }
}

/// Counts one change of the tenant's.
pub(crate) fn pace(parts: &Parts, tenant: &TenantId) -> Result<(), ApiError> {
    paced(&parts.settings, tenant, parts.clock.now())
}

/// Counts one change of the tenant's, whatever it changes.
pub(crate) fn paced(
    settings: &Settings,
    tenant: &TenantId,
    now: UnixMillis,
) -> Result<(), ApiError> {
    settings.pace(tenant, now).map_err(|err| ApiError {
        retry_after_ms: Some(u32::try_from(err.retry_after_ms).unwrap_or(u32::MAX)),
        ..ApiError::unavailable(err.to_string())
    })
}

/// Logs what was set, tells the tenant's worker, if it is awake, and the tenant's clients.
pub(crate) async fn tell(call: &Call<'_>, changed: &Changed) {
    let (parts, tenant) = (call.parts, call.tenant());
    tracing::info!(
        %tenant,
        token = call.caller.permit.principal().token_id(),
        request = call.caller.request_id,
        keys = ?changed.patterns,
        "a tenant's settings changed"
    );
    if let Err(err) = parts.tenants.configure(tenant).await {
        // What is stored holds; the worker reads it when it starts next.
        tracing::warn!(%tenant, error = %Chain(&err), "a worker was not told of new settings");
    }
    let (hash, ts) = (&changed.hash, parts.clock.now());
    publish(
        &parts.hub,
        tenant,
        "config.changed",
        &json!({"path": settings::NAME, "hash": hash, "ts": ts}),
    );
}

/// What a caller is told of a failure of settings.
pub(crate) fn failed(err: &settings::Error) -> ApiError {
    if err.is_gone() {
        return ApiError::not_found("there is no such tenant");
    }
    if !err.is_callers() {
        tracing::error!(error = %Chain(err), "settings failed");
        return ApiError::unavailable("the gateway's records failed");
    }
    match err {
        settings::Error::Invalid(issues) => {
            ApiError::invalid(err.to_string()).with_details(json!({"issues": issues}))
        }
        settings::Error::Records(cause) => ApiError::invalid(cause.to_string()),
        settings::Error::Vault(_) => ApiError::invalid(format!("{}", Chain(err))),
        settings::Error::Malformed(_)
        | settings::Error::Placeholder(_)
        | settings::Error::NeedsHash
        | settings::Error::Stale
        | settings::Error::Skill { .. }
        | settings::Error::Platform { .. } => ApiError::invalid(err.to_string()),
    }
}

#[cfg(test)]
mod tests;
