//! `skills.*`: what the agents have been taught. What the tenant sets of a skill is the supervisor's.

use std::time::Duration;

use api::ApiError;
use api::skills::{
    BinsParams, BinsReport, InstallParams, InstallReport, Skills, StatusParams, StatusReport,
};
use types::AgentId;

use super::Call;
use crate::openai;
use crate::skills;

/// Why nothing is installed from elsewhere.
const NO_SOURCE: &str =
    "this gateway asks no registry of skills and takes no uploads; nothing was installed";

/// How long an installation may take where nothing is said, in milliseconds; the operator's bound on
/// programs holds in any case.
const TIMEOUT_MS: u64 = 300_000;

/// The shortest time that an installation may be given, in milliseconds.
const MIN_TIMEOUT_MS: u64 = 1000;

impl Skills for Call<'_> {
    async fn status(&self, params: StatusParams) -> Result<StatusReport, ApiError> {
        let agent = match (params.agent_id, params.session_key) {
            (Some(id), _) => agent(&id)?,
            (None, Some(key)) => super::session_key(&key)?.agent().clone(),
            (None, None) => AgentId::main(),
        };
        let known = openai::known_agent(self.core, &agent).await;
        known.map_err(|fault| ApiError::invalid(fault.message))?;
        skills::status(self.core, &agent).await.map_err(|err| super::storage(&err))
    }

    async fn bins(&self, _params: BinsParams) -> Result<BinsReport, ApiError> {
        let bins = skills::bins(self.core, &AgentId::main()).await;
        Ok(BinsReport { bins: bins.map_err(|err| super::storage(&err))? })
    }

    async fn install(&self, params: InstallParams) -> Result<InstallReport, ApiError> {
        check(&params)
            .map_err(|what| ApiError::invalid(format!("invalid skills.install params: {what}")))?;
        let (Some(name), Some(way)) = (&params.name, &params.install_id) else {
            return Ok(InstallReport::failed(NO_SOURCE));
        };
        let agent = params.agent_id.as_deref().map_or_else(|| Ok(AgentId::main()), agent)?;
        let timeout = Duration::from_millis(params.timeout_ms.unwrap_or(TIMEOUT_MS));
        let installed = skills::install(self.core, &agent, (name, way), timeout).await;
        installed.map_err(|err| super::storage(&err))
    }
}

fn agent(id: &str) -> Result<AgentId, ApiError> {
    let lower = id.trim().to_ascii_lowercase();
    lower.parse().map_err(|_invalid| ApiError::invalid("agentId names no agent"))
}

/// Whether the fields are those of one of the three forms.
fn check(params: &InstallParams) -> Result<(), &'static str> {
    let InstallParams { name, install_id, source, slug, version, upload_id, sha256, .. } = params;
    let given = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
    if [&params.agent_id, name, install_id, slug, version, upload_id]
        .into_iter()
        .any(|field| field.as_ref().is_some_and(String::is_empty))
    {
        return Err("a field is empty");
    }
    if params.timeout_ms.is_some_and(|timeout| timeout < MIN_TIMEOUT_MS) {
        return Err("timeoutMs must be at least 1000");
    }
    let hex = |text: &String| text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    if sha256.as_ref().is_some_and(|text| !hex(text)) {
        return Err("sha256 must have 64 hexadecimal digits");
    }
    let of_skill =
        given(name) || given(install_id) || params.dangerously_force_unsafe_install.is_some();
    let of_upload = given(upload_id) || sha256.is_some();
    match source.as_deref() {
        None if !given(name) || !given(install_id) => Err("name and installId are required"),
        None if given(slug) || given(version) || of_upload || params.force.is_some() => {
            Err("slug, version, force, uploadId and sha256 belong to a source")
        }
        Some("clawhub" | "upload") if of_skill => {
            Err("name, installId and dangerouslyForceUnsafeInstall belong to no source")
        }
        Some("clawhub" | "upload") if !given(slug) => Err("slug is required"),
        Some("clawhub") if of_upload => Err("uploadId and sha256 belong to the source upload"),
        Some("upload") if given(version) => Err("version belongs to the source clawhub"),
        Some("upload") if !given(upload_id) => Err("uploadId is required"),
        None | Some("clawhub" | "upload") => Ok(()),
        Some(_) => Err("source must be clawhub or upload"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_forms_of_an_installation() {
        let check = |fields: Value, ok: bool| {
            let params = serde_json::from_value(fields.clone());
            let found = params.is_ok_and(|params: InstallParams| check(&params).is_ok());
            assert_eq!(found, ok, "{fields}");
        };
        check(json!({"name": "a", "installId": "b"}), true);
        check(json!({"name": "a", "installId": "b", "timeoutMs": 1000, "agentId": "x"}), true);
        check(json!({"name": "a", "installId": "b", "timeoutMs": 999}), false);
        check(json!({"name": "a"}), false);
        check(json!({"name": "a", "installId": ""}), false);
        check(json!({"name": "a", "installId": "b", "slug": "c"}), false);
        check(json!({"name": "a", "installId": "b", "tenant": "c"}), false);
        check(json!({"source": "clawhub", "slug": "a", "version": "1", "force": true}), true);
        check(json!({"source": "clawhub", "slug": "a", "uploadId": "1"}), false);
        check(json!({"source": "clawhub"}), false);
        check(
            json!({"source": "upload", "slug": "a", "uploadId": "1", "sha256": "0".repeat(64)}),
            true,
        );
        check(json!({"source": "upload", "slug": "a", "uploadId": "1", "sha256": "0"}), false);
        check(json!({"source": "upload", "slug": "a"}), false);
        check(json!({"source": "git", "slug": "a"}), false);
        check(json!({}), false);
    }
}
