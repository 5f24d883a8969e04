//! Failures as a client of the OpenAI-compatible surface is told them.
//!
//! The one table from our errors and from gRPC statuses to HTTP statuses and `OpenAI`'s words.

use proto::worker::{Head, ServePart};
use serde::Serialize;
use tonic::{Code, Status};
use types::{Chain, Limited};

use crate::Error;
use crate::runs::Busy;

const INVALID: &str = "invalid_request_error";
const RATE: &str = "rate_limit_error";
const SERVER: &str = "server_error";

/// Bytes of a message that came from elsewhere.
const MAX_MESSAGE: usize = 2000;

/// A failed request: the HTTP status and `OpenAI`'s error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: u32,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
    pub(crate) retry_after_s: u32,
    /// The limit that was met, where it was one.
    pub(crate) limit: Option<Box<Limited>>,
}

impl Fault {
    fn new(status: u32, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, kind, code: None, param: None, message, retry_after_s: 0, limit: None }
    }

    /// The request is not allowed in this form.
    pub(crate) fn invalid(param: Option<&str>, message: impl Into<String>) -> Self {
        Self { param: param.map(str::to_owned), ..Self::new(400, INVALID, message) }
    }

    /// A field has a type or a value that it must not have.
    pub(crate) fn unprocessable(param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(422, INVALID, message) }
    }

    /// A field that nobody knows.
    pub(crate) fn unrecognized(param: &str) -> Self {
        Self::invalid(Some(param), format!("Unrecognized request argument supplied: {param}"))
    }

    /// A field that is known and would change the answer, and that is not served here.
    pub(crate) fn unsupported(param: &str) -> Self {
        Self {
            code: Some("unsupported_parameter"),
            ..Self::invalid(Some(param), format!("Unsupported parameter: '{param}'."))
        }
    }

    /// No model of this name.
    pub(crate) fn no_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist.");
        let code = Some("model_not_found");
        Self { code, param: Some("model".to_owned()), ..Self::new(404, INVALID, message) }
    }

    /// No response of this id that a conversation could go on from.
    pub(crate) fn no_response(id: &str) -> Self {
        let message = format!("Previous response with id '{id}' not found.");
        let code = Some("previous_response_not_found");
        Self { code, ..Self::invalid(Some("previous_response_id"), message) }
    }

    /// No agent of this name.
    pub(crate) fn no_agent(agent: &str) -> Self {
        let code = Some("agent_not_found");
        Self { code, ..Self::new(404, INVALID, format!("Unknown agent '{agent}'.")) }
    }

    /// The run was stopped by somebody else; trying again is not what they want.
    pub(crate) fn stopped() -> Self {
        Self { code: Some("run_aborted"), ..Self::new(499, SERVER, "The run was stopped.") }
    }

    /// The run took longer than it may.
    pub(crate) fn timed_out() -> Self {
        let message = "The run took too long.";
        Self { code: Some("run_timeout"), ..Self::new(504, SERVER, message) }
    }

    /// A run that repeats itself.
    pub(crate) fn looping(tool: &str, times: usize) -> Self {
        let message = format!(
            "The run was stopped because it repeated itself: the same call of `{tool}` gave the \
             same result {times} times."
        );
        Self { code: Some("tool_loop"), ..Self::invalid(None, message) }
    }

    /// A run that has used as many tokens as it may.
    pub(crate) fn spent(used: u64) -> Self {
        let message = format!(
            "The run was stopped because it has used {used} tokens; `agents.defaults.\
             maxTokensPerRun` allows no further step."
        );
        Self { code: Some("run_budget_exceeded"), ..Self::invalid(None, message) }
    }

    /// A run that has taken all its steps and has no answer.
    pub(crate) fn no_answer(steps: usize) -> Self {
        let message = format!("The run has taken {steps} steps, as many as it may, and no answer.");
        Self { code: Some("run_steps_exceeded"), ..Self::invalid(None, message) }
    }

    /// Too many messages wait in one session.
    pub(crate) fn queue_full(cap: usize) -> Self {
        let message = format!("{cap} messages wait in this session; try again.");
        Self { code: Some("busy"), retry_after_s: 1, ..Self::new(429, RATE, message) }
    }

    /// The process ends.
    pub(crate) fn shutting_down() -> Self {
        let message = "The tenant's process is shutting down; try again.";
        Self { code: Some("unavailable"), retry_after_s: 1, ..Self::new(503, SERVER, message) }
    }

    /// Why a run of an earlier process has failed.
    pub(crate) fn earlier(why: impl Into<String>) -> Self {
        Self { code: Some("run_failed"), ..Self::new(502, SERVER, why) }
    }

    /// The reply grew beyond what is kept of one.
    pub(crate) fn too_long(max: usize) -> Self {
        let message = format!("The reply is longer than {max} bytes; ask for a stream.");
        Self { code: Some("reply_too_long"), ..Self::new(502, SERVER, message) }
    }

    /// The host's stream ended without its last event.
    pub(crate) fn cut_short() -> Self {
        let message = "The model's reply ended early.";
        Self { code: Some("upstream_error"), ..Self::new(502, SERVER, message) }
    }

    /// A request that cannot be answered because of our own files. Logs the cause.
    pub(crate) fn storage(error: &Error) -> Self {
        if let Error::TooLong { max } = error {
            let message = format!("The message is longer than a stored line of {max} bytes.");
            return Self::unprocessable("messages", message);
        }
        tracing::error!(error = %Chain(error), "storage failed");
        if error.is_disk_full() {
            let message = "The tenant's disk is full; nothing of this turn was lost or kept half.";
            return Self { code: Some("disk_full"), ..Self::new(507, SERVER, message) };
        }
        let message = "The conversation could not be read or stored.";
        Self { code: Some("storage_error"), ..Self::new(500, SERVER, message) }
    }

    /// `OpenAI`'s error document.
    pub(crate) fn json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            message: &'a str,
            r#type: &'a str,
            param: Option<&'a str>,
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            limit: Option<serde_json::Value>,
        }
        let error = Inner {
            message: &self.message,
            r#type: self.kind,
            param: self.param.as_deref(),
            code: self.code,
            limit: self.limit.as_deref().map(api::limited::details),
        };
        serde_json::to_vec(&Document { error }).unwrap_or_default()
    }

    /// The whole reply where nothing has been sent yet.
    pub(crate) fn part(&self) -> ServePart {
        let (status, retry_after_s) = (self.status, self.retry_after_s);
        let head = Head { status, event_stream: false, retry_after_s };
        ServePart { head: Some(head), data: self.json().into() }
    }
}

impl From<Busy> for Fault {
    fn from(busy: Busy) -> Self {
        let message = format!("{busy}; try again.");
        Self { code: Some("busy"), retry_after_s: 1, ..Self::new(429, RATE, message) }
    }
}

impl From<Limited> for Fault {
    fn from(limited: Limited) -> Self {
        let words = api::limited::words(&limited);
        let retry_after_s = u32::try_from(limited.retry_after_seconds).unwrap_or(u32::MAX);
        Self {
            code: Some(words.code),
            retry_after_s,
            limit: Some(Box::new(limited.clone())),
            ..Self::new(words.status.into(), words.kind, limited.to_string())
        }
    }
}

impl From<&Status> for Fault {
    fn from(status: &Status) -> Self {
        if let Some(limited) = api::limited::read(status.details()) {
            return limited.into();
        }
        let message = cut(status.message());
        let fault = |http, kind, code| Self { code: Some(code), ..Self::new(http, kind, message) };
        match status.code() {
            Code::NotFound => fault(404, INVALID, "model_not_found"),
            Code::InvalidArgument => fault(400, INVALID, "upstream_rejected"),
            Code::ResourceExhausted => Self {
                retry_after_s: retry_after(status),
                ..fault(429, RATE, "rate_limit_exceeded")
            },
            Code::DeadlineExceeded => fault(504, SERVER, "timeout"),
            Code::Unavailable => {
                Self { retry_after_s: retry_after(status), ..fault(503, SERVER, "unavailable") }
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => {
                tracing::warn!(code = %status.code(), "a model call failed without a public reason");
                let message = "The model could not be called.";
                Self { code: Some("upstream_error"), ..Self::new(502, SERVER, message) }
            }
        }
    }
}

/// Seconds of the host's `retry-after`, 0 for none.
fn retry_after(status: &Status) -> u32 {
    let value = status.metadata().get("retry-after");
    value.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_MESSAGE)).unwrap_or_default()
}
