//! What somebody who will run a command asks for, checked, and made fit to be shown. Pure.

use std::time::Duration;

use api::ApiError;
use api::approvals::{Request, RequestParams, Unavailable};
use sandboxes::approvals::{Foreign, Text};

/// The longest id that a caller chooses, in bytes.
const MAX_ID: usize = 128;

/// The gateway's own word for where its commands run: a request that others make does not say it.
const OURS: &str = "sandbox";

pub(super) fn foreign(params: RequestParams) -> Result<Foreign, ApiError> {
    let plan = params.system_run_plan;
    let argv = params.command_argv.or_else(|| plan.as_ref().map(|it| it.argv.clone()));
    let text = params.command.or_else(|| plan.as_ref().map(|it| it.command_text.clone()));
    let argv = argv.filter(|it| !it.is_empty());
    let text = text.filter(|it| !it.trim().is_empty());
    if argv.is_none() && text.is_none() {
        return Err(invalid("command or commandArgv is required"));
    }
    if params.host.as_deref().is_some_and(|it| it.trim().eq_ignore_ascii_case(OURS)) {
        return Err(invalid("host is not sandbox"));
    }
    if params.id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(invalid(&format!("id has 1 to {MAX_ID} letters, digits and _ . : -")));
    }
    if params.timeout_ms == Some(0) {
        return Err(invalid("timeoutMs is at least 1"));
    }
    let always =
        !params.unavailable_decisions.is_some_and(|them| them.contains(&Unavailable::AllowAlways));
    let (mut shown, env) = (Text::default(), params.env.unwrap_or_default());
    // Words say more than a text about them: where there are any, they are what is shown.
    let command = match (&argv, &text) {
        (Some(argv), _) => shown.command(argv),
        (None, text) => shown.text(text.as_deref().unwrap_or_default()),
    };
    let request = Request {
        command,
        command_argv: shown.words(argv.as_deref().unwrap_or_default()),
        cwd: own(params.cwd).or_else(|| plan.as_ref().and_then(|it| own(it.cwd.clone()))),
        env: shown.variables(env.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())))),
        host: own(params.host),
        node_id: own(params.node_id),
        security: own(params.security),
        ask: own(params.ask),
        agent_id: own(params.agent_id),
        resolved_path: own(params.resolved_path),
        session_key: own(params.session_key),
        run_id: own(params.run_id),
        tool_call_id: own(params.tool_call_id),
        files: Vec::new(),
        warning_text: own(params.warning_text),
        allowed_decisions: Vec::new(),
    };
    Ok(Foreign {
        id: params.id,
        request: shown.finish(request, always),
        wait: params.timeout_ms.map(Duration::from_millis),
        tell: params.suppress_delivery != Some(true),
    })
}

/// Short text of the caller's, fit to be shown.
fn own(text: Option<String>) -> Option<String> {
    text.filter(|it| !it.is_empty()).map(|it| Text::word(&it))
}

fn is_id(id: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"_.:-".contains(&it);
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain) && id != "." && id != ".."
}

fn invalid(what: &str) -> ApiError {
    ApiError::invalid(format!("invalid exec.approval.request params: {what}"))
}
