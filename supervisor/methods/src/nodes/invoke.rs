//! Asking a node: what must hold before it is asked, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use api::nodes::{InvokeParams, InvokeResultParams, Invoked, Taken};
use api::{ApiError, Code};
use auth::Principal;
use hub::{Connection, Invocation, InvokeError, NodeError, Outcome};
use serde_json::json;
use serde_json::value::RawValue;
use types::Scope;

use super::{Nodes, may_pair, own_id};
use crate::devices::require;

/// How long a node may take where the caller does not say.
const USUAL_TIMEOUT: u64 = 30_000;

/// How long a node may take at most, in milliseconds.
const MAX_TIMEOUT: u64 = 600_000;

/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 256;

/// The longest sentence of a node that is passed on, in characters.
const MAX_SENTENCE: usize = 1024;

/// The longest result of a node, in bytes: it is kept for a while, and its caller is told it twice,
/// as JSON and as text.
const MAX_PAYLOAD: usize = 1 << 20;

/// What the caller is told where it is longer.
const TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";

/// What is never asked through `node.invoke`: it would change what a node's user has to approve.
const NEVER: &str = "system.execApprovals.";

impl Nodes<'_> {
    pub(crate) async fn invoke(
        &self,
        by: &Principal,
        params: InvokeParams,
    ) -> Result<Invoked, ApiError> {
        checked(&params)?;
        if params.command == "browser.proxy" {
            require(by, std::iter::once(Scope::Admin).collect())?;
        }
        let live = self.live(&params.node_id).ok_or_else(not_connected)?;
        self.may_ask(by, &live, &params).await?;
        drop(live);
        // A node may take minutes: what is kept meanwhile is what it is asked, once.
        let InvokeParams { node_id, command, params, timeout_ms, idempotency_key, .. } = params;
        let invocation = Invocation {
            command: command.clone(),
            params_json: params.map(text_of),
            timeout: Duration::from_millis(timeout_ms.unwrap_or(USUAL_TIMEOUT)),
            idempotency_key,
        };
        let outcome = self.hub.invoke(self.tenant, &node_id, invocation).await;
        let outcome = outcome.map_err(failed)?;
        if !outcome.ok {
            return Err(refused(outcome.error));
        }
        let text = outcome.payload_json;
        let payload = text.as_ref().and_then(|text| RawValue::from_string(text.clone()).ok());
        Ok(Invoked { ok: true, node_id, command, payload, payload_json: text })
    }

    /// Whether the node is approved for the command, declares it, and the tenant allows it.
    async fn may_ask(
        &self,
        by: &Principal,
        live: &Connection,
        params: &InvokeParams,
    ) -> Result<(), ApiError> {
        let (id, command) = (&params.node_id, &params.command);
        let Some(row) = self.paired(id).await? else {
            return Err(self.awaiting(by, id).await?);
        };
        if !live.commands().contains(command) {
            return Err(not_allowed(command, "command not declared by node", None));
        }
        if !row.about.commands.contains(command) {
            return Err(self.awaiting(by, id).await?);
        }
        match self.policy().await?.refuses(command) {
            Some(why) => Err(not_allowed(command, "command not allowlisted", Some(&why))),
            None => Ok(()),
        }
    }

    /// What is said of a node that waits for approval. The request's id is for those who may
    /// approve it.
    pub(super) async fn awaiting(&self, by: &Principal, id: &str) -> Result<ApiError, ApiError> {
        let request = self.request_of(id).await?.map(|row| row.id).filter(|_| may_pair(by));
        let how = request.as_ref().map(|id| format!("; run: openclaw nodes approve {id}"));
        let message = format!(
            "node capability surface is awaiting operator approval{}",
            how.unwrap_or_default()
        );
        let details = json!({ "code": "PAIRING_REQUIRED", "nodeId": id, "requestId": request });
        Ok(ApiError::unavailable(message).with_details(details))
    }

    pub(crate) fn result(
        &self,
        connection: Option<&Arc<Connection>>,
        params: InvokeResultParams,
    ) -> Result<Taken, ApiError> {
        let id = own_id(connection)?;
        if params.node_id != id {
            return Err(ApiError::invalid("nodeId mismatch"));
        }
        let complete =
            |outcome| connection.is_some_and(|it| self.hub.complete(it, &params.id, outcome));
        let payload = params.payload_json.or_else(|| params.payload.map(text_of));
        let bytes = payload.as_ref().map_or(0, String::len);
        if bytes > MAX_PAYLOAD {
            let wants = format!("the payload has at most {MAX_PAYLOAD} bytes, {bytes} given");
            let (code, message) = (Some(TOO_LARGE.to_owned()), Some(wants.clone()));
            let error = Some(NodeError { code, message });
            complete(Outcome { ok: false, payload_json: None, error });
            return Err(ApiError::invalid(format!("invalid node.invoke.result params: {wants}")));
        }
        // Cut here: outcomes are kept for a while.
        let cut = |text: String| text.chars().take(MAX_SENTENCE).collect::<String>();
        let error = params.error;
        let error =
            error.map(|it| NodeError { code: it.code.map(cut), message: it.message.map(cut) });
        let payload_json = payload.filter(|_| params.ok);
        let taken = complete(Outcome { ok: params.ok, payload_json, error });
        Ok(Taken { ok: true, ignored: !taken })
    }
}

/// The text of a JSON value, without another copy of it.
fn text_of(value: Box<RawValue>) -> String {
    Box::<str>::from(value).into_string()
}

fn checked(params: &InvokeParams) -> Result<(), ApiError> {
    let invalid = |what: &str| ApiError::invalid(format!("invalid node.invoke params: {what}"));
    if params.node_id.trim().is_empty() || params.command.trim().is_empty() {
        return Err(ApiError::invalid("nodeId and command required"));
    }
    if params.idempotency_key.is_empty() || params.idempotency_key.len() > MAX_KEY {
        return Err(invalid(&format!("idempotencyKey has 1 to {MAX_KEY} bytes")));
    }
    if params.timeout_ms.is_some_and(|it| it > MAX_TIMEOUT) {
        return Err(invalid(&format!("timeoutMs is at most {MAX_TIMEOUT}")));
    }
    let thread = params.turn_source_thread_id.as_ref();
    // What begins so is text or a number: it has been read as JSON already.
    let starts = |it: char| it == '"' || it == '-' || it.is_ascii_digit();
    if thread.is_some_and(|it| !it.get().starts_with(starts)) {
        return Err(invalid("turnSourceThreadId is text or a number"));
    }
    if params.command.starts_with(NEVER) {
        let message = "node.invoke does not allow system.execApprovals.*";
        return Err(ApiError::invalid(message).with_details(json!({ "command": params.command })));
    }
    Ok(())
}

fn not_connected() -> ApiError {
    ApiError::unavailable("node not connected").with_details(json!({ "code": "NOT_CONNECTED" }))
}

fn not_allowed(command: &str, reason: &str, why: Option<&str>) -> ApiError {
    let why = why.unwrap_or(reason);
    ApiError::invalid(format!("node command not allowed: {why}"))
        .with_details(json!({ "reason": reason, "command": command }))
}

fn failed(err: InvokeError) -> ApiError {
    let code = match err {
        InvokeError::NotConnected => return not_connected(),
        InvokeError::Busy => {
            return ApiError::new(Code::ResourceExhausted, err.to_string())
                .with_details(json!({ "code": "BUSY" }));
        }
        InvokeError::Gone => "NOT_CONNECTED",
        InvokeError::TimedOut => "TIMEOUT",
        InvokeError::NotKept => "RESULT_NOT_KEPT",
    };
    ApiError::unavailable(err.to_string()).with_details(json!({
        "code": code,
        "nodeError": { "code": code, "message": err.to_string() },
    }))
}

/// What a node says went wrong.
fn refused(error: Option<NodeError>) -> ApiError {
    let (code, message) = error.map_or((None, None), |it| (it.code, it.message));
    let said = match (&code, &message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (None, Some(message)) => message.clone(),
        (Some(code), None) => code.clone(),
        (None, None) => "node invoke failed".to_owned(),
    };
    ApiError::unavailable(said).with_details(json!({
        "code": code,
        "nodeError": { "code": code, "message": message },
    }))
}
