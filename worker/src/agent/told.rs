//! A run told as events: `chat` for those who read the conversation, `agent` for those who watch
//! the run.
//!
//! What the model says goes out a few times a second, not with every token, and all of it.

mod tool;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use proto::host::Usage as Used;
use proto::host::llm_event::Event;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use types::UnixMillis;

use super::key::SessionKey;
use super::run::{RunOutcome, RunRequest, RunStatus, Source};
use super::turn::Failed;
use crate::openai::Fold;
use crate::service::Core;
use crate::store::{SessionId, Usage};
use wire::{Agent, Chat, ErrorDetail, Life, Message, Text};

pub(super) use tool::ToolEvent;

/// The shortest time between two pieces of one answer.
pub(super) const PACE: Duration = Duration::from_millis(100);
/// Bytes of an answer beyond which pieces no longer carry all of it; the history does.
const MAX_WHOLE: usize = 128 << 10;

/// One run on its way to whoever listens.
#[derive(Debug)]
pub(super) struct Told {
    core: Core,
    key: SessionKey,
    run_id: String,
    source: Source,
    session: Option<SessionId>,
    seq: u64,
    /// What the model has said.
    text: String,
    /// Where in it the answer begins that the model gives now.
    answer: usize,
    /// Bytes of it that have gone out.
    sent: usize,
    /// When the next piece may go.
    next: Instant,
    started_at: UnixMillis,
    outcome: watch::Sender<Option<Arc<RunOutcome>>>,
    /// Whether the next process goes on with it where this one ends.
    is_event: bool,
    growing: Option<watch::Sender<String>>,
}

impl Told {
    pub(super) fn new(
        core: &Core,
        request: &RunRequest,
        outcome: watch::Sender<Option<Arc<RunOutcome>>>,
    ) -> Self {
        Self {
            core: core.clone(),
            key: request.key.clone(),
            run_id: request.run_id.clone(),
            source: request.source,
            session: None,
            seq: 0,
            text: String::new(),
            answer: 0,
            sent: 0,
            next: Instant::now(),
            started_at: core.store.now(),
            outcome,
            is_event: !request.event.is_empty(),
            growing: request.growing.clone(),
        }
    }

    /// When a piece that is held back is to go; `None` where there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.sent < self.text.len()).then_some(self.next)
    }

    pub(super) fn phase(&mut self, phase: &'static str) {
        self.chat("status", Chat { phase: Some(phase), ..Chat::default() });
    }

    pub(super) fn started(&mut self, session: &SessionId) {
        self.session = Some(session.clone());
        self.started_at = self.core.store.now();
        let data = Life { phase: "start", started_at: Some(self.started_at), ..Life::default() };
        self.agent("lifecycle", &data);
    }

    pub(super) fn compacting(&mut self, phase: &'static str, completed: Option<bool>) {
        #[derive(Serialize)]
        struct Data {
            phase: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            completed: Option<bool>,
        }
        self.agent("compaction", &Data { phase, completed });
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Started(started) => {
                let (provider, model) = (started.provider.as_str(), started.model.as_str());
                let by = Some((provider, model));
                let data = Life {
                    phase: "model",
                    provider: by.map(|by| by.0),
                    model: by.map(|by| by.1),
                    ..Life::default()
                };
                self.agent("lifecycle", &data);
            }
            Event::Text(text) => self.text.push_str(text),
            Event::ToolCall(_) | Event::Finished(_) => {}
        }
    }

    /// What the model says from here on is another answer.
    pub(super) fn next_answer(&mut self) {
        self.answer = self.text.len();
    }

    /// What becomes of a call of a tool, after everything that has been said before it.
    pub(super) fn tool(&mut self, event: &ToolEvent) {
        if self.sent < self.text.len() {
            self.piece();
        }
        self.emit(&["agent.tool", "session.tool"], "tool", event);
    }

    /// Sends what has been said since the last piece, if its time has come.
    pub(super) fn flush(&mut self) {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            self.piece();
        }
    }

    pub(super) fn finish(&mut self, fold: &Fold) {
        let used = fold.usage().copied();
        let outcome = RunOutcome {
            provider: fold.started().provider.clone(),
            model: fold.started().model.clone(),
            usage: used,
            stop_reason: stop_reason(fold),
            ..self.outcome(RunStatus::Ok)
        };
        self.end(outcome);
    }

    /// Ends with the answer to a command.
    pub(super) fn said(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.sent = self.text.len();
        let outcome = self.outcome(RunStatus::Ok);
        self.end(outcome);
    }

    pub(super) fn fail(&mut self, failed: &Failed) {
        let outcome = RunOutcome {
            error: Some(failed.fault.clone()),
            stop_reason: match failed.status {
                RunStatus::Aborted => "rpc",
                RunStatus::Timeout => "timeout",
                RunStatus::Error | RunStatus::Ok => "error",
            },
            ..self.outcome(failed.status)
        };
        if self.is_event && failed.status == RunStatus::Error && self.core.runs.is_stopping() {
            self.outcome.send_replace(Some(Arc::new(outcome)));
            return;
        }
        self.end(outcome);
    }

    /// Ends as the run did that took this one's message.
    pub(super) fn join(&mut self, leader: &RunOutcome) {
        let outcome = RunOutcome { started_at: self.started_at, ..leader.clone() };
        self.end(outcome);
    }

    fn outcome(&self, status: RunStatus) -> RunOutcome {
        // What it says between its steps is for those who watch.
        let last = self.text.get(self.answer..).unwrap_or_default().trim_start();
        let text = if last.is_empty() { self.text.as_str() } else { last };
        RunOutcome {
            status,
            text: text.to_owned(),
            usage: None,
            error: None,
            provider: String::new(),
            model: String::new(),
            session_id: self.session.as_ref().map(|session| session.as_str().to_owned()),
            stop_reason: "stop",
            started_at: self.started_at,
            ended_at: self.core.store.now(),
        }
    }

    /// The last events, and then the outcome: who waits for it has been told everything before.
    fn end(&mut self, outcome: RunOutcome) {
        if self.sent < self.text.len() {
            self.piece();
        }
        if let Some(used) = outcome.usage {
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Data {
                output_tokens: u64,
            }
            self.agent("usage", &Data { output_tokens: used.output_tokens });
        }
        self.last_of_life(&outcome);
        let text = self.text.clone();
        let message = (!text.is_empty()).then(|| self.message(&text));
        let usage = outcome.usage.map(|used: Used| {
            Usage::new(used.input_tokens, used.output_tokens, used.cached_tokens)
        });
        let error = outcome.error.as_ref();
        let is_error = matches!(outcome.status, RunStatus::Error | RunStatus::Timeout);
        let state = match outcome.status {
            RunStatus::Ok => "final",
            RunStatus::Aborted => "aborted",
            RunStatus::Error | RunStatus::Timeout => "error",
        };
        let chat = Chat {
            message,
            usage: usage.filter(|_| outcome.status != RunStatus::Aborted),
            stop_reason: Some(outcome.stop_reason),
            error_message: error.filter(|_| is_error).map(|fault| fault.message.as_str()),
            error_kind: error.filter(|_| is_error).map(|fault| error_kind(&outcome, fault)),
            error_detail: error.filter(|_| is_error).and_then(error_detail),
            ..Chat::default()
        };
        self.chat(state, chat);
        self.outcome.send_replace(Some(Arc::new(outcome)));
    }

    fn last_of_life(&mut self, outcome: &RunOutcome) {
        let aborted = outcome.status == RunStatus::Aborted;
        let data = Life {
            stop_reason: Some(outcome.stop_reason),
            aborted: Some(aborted),
            ended_at: Some(outcome.ended_at),
            ..Life::default()
        };
        self.agent("lifecycle", &Life { phase: "finishing", ..data });
        let fault = outcome.error.as_ref();
        let error = fault.map(|fault| fault.message.as_str());
        match outcome.status {
            RunStatus::Error | RunStatus::Timeout => {
                let limit = fault.and_then(|it| it.limit.as_deref()).map(api::limited::details);
                let limit = limit.as_ref();
                self.agent("lifecycle", &Life { phase: "error", error, limit, ..data });
            }
            RunStatus::Ok | RunStatus::Aborted => {
                let started_at = Some(outcome.started_at);
                let status = aborted.then_some("cancelled");
                self.agent("lifecycle", &Life { phase: "end", started_at, status, ..data });
            }
        }
    }

    /// Sends what has been said since the last piece.
    fn piece(&mut self) {
        #[derive(Serialize)]
        struct Data<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
            delta: &'a str,
        }
        let text = std::mem::take(&mut self.text);
        let delta = text.get(self.sent..).unwrap_or_default();
        let whole = (text.len() <= MAX_WHOLE).then_some(text.as_str());
        self.agent("assistant", &Data { text: whole, delta });
        let message = whole.map(|whole| self.message(whole));
        self.chat("delta", Chat { delta_text: Some(delta), message, ..Chat::default() });
        if let Some(growing) = &self.growing {
            let answer = text.get(self.answer..).unwrap_or_default().trim_start();
            growing.send_replace(answer.to_owned());
        }
        self.sent = text.len();
        self.text = text;
        self.next = Instant::now() + PACE;
    }

    fn message<'a>(&self, text: &'a str) -> Message<'a> {
        let text = text.get(..text.floor_char_boundary(MAX_WHOLE)).unwrap_or_default();
        let content = [Text { r#type: "text", text }];
        Message { role: "assistant", content, timestamp: self.core.store.now() }
    }

    fn chat(&mut self, state: &'static str, chat: Chat<'_>) {
        if matches!(self.source, Source::Heartbeat | Source::Wake) {
            // A heartbeat is told by its own event; what it says to somebody is a message.
            return;
        }
        self.seq += 1;
        let (run_id, seq) = (self.run_id.as_str(), self.seq);
        let (session_key, agent_id) = (self.key.as_str(), self.key.agent());
        let chat = Chat { run_id, session_key, agent_id: Some(agent_id), seq, state, ..chat };
        self.core.events.emit("chat", self.key.as_str(), &chat);
    }

    fn agent(&mut self, stream: &'static str, data: &impl Serialize) {
        self.emit(&["agent"], stream, data);
    }

    /// Sends one event to those who get the events of each of these names.
    fn emit(&mut self, names: &[&'static str], stream: &'static str, data: &impl Serialize) {
        self.seq += 1;
        let event = Agent {
            run_id: &self.run_id,
            seq: self.seq,
            stream,
            ts: self.core.store.now(),
            data,
            session_key: self.key.as_str(),
            session_id: self.session.as_ref().map(SessionId::as_str),
            agent_id: self.key.agent(),
            is_heartbeat: matches!(self.source, Source::Heartbeat | Source::Wake).then_some(true),
        };
        for name in names {
            self.core.events.emit(name, self.key.as_str(), &event);
        }
    }
}

fn stop_reason(fold: &Fold) -> &'static str {
    match fold.reason() {
        "length" => "length",
        "tool_calls" => "toolUse",
        "content_filter" => "error",
        _ => "stop",
    }
}

/// The protocol's word for a failure.
fn error_kind(outcome: &RunOutcome, fault: &crate::openai::Fault) -> &'static str {
    match fault.status {
        _ if outcome.status == RunStatus::Timeout => "timeout",
        429 => "rate_limit",
        504 => "timeout",
        _ if super::compact::is_overflow(fault) => "context_length",
        _ => "unknown",
    }
}

/// Which limit it was, where it was one.
fn error_detail(fault: &crate::openai::Fault) -> Option<ErrorDetail> {
    let limited = fault.limit.as_deref()?;
    let words = api::limited::words(limited);
    let failover_reason = if words.kind == "insufficient_quota" { "billing" } else { "rate_limit" };
    let (provider_error_type, http_status) = (words.code, words.status);
    Some(ErrorDetail { failover_reason, provider_error_type, http_status })
}
