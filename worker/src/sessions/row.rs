//! A session as clients see it.

use std::collections::HashMap;
use std::sync::Arc;

use api::sessions::{Resolved, RunStatus, SessionRow};
use types::{AgentId, UnixMillis};

use super::kind::Kind;
use crate::service::Core;
use crate::settings::Settings;
use crate::store::{Meta, Row};

/// What rows are made with: taken once for a whole list.
#[derive(Debug)]
pub(crate) struct View {
    settings: Arc<Settings>,
    /// The tenant's default model, if it has any.
    default_model: Option<String>,
    running: HashMap<String, Vec<String>>,
    now: UnixMillis,
}

/// One session as clients see it.
pub(crate) fn session_row(core: &Core, row: &Row) -> SessionRow {
    View::new(core).row(row)
}

impl View {
    /// What holds now.
    pub(crate) fn new(core: &Core) -> Self {
        let settings = core.live.now().settings;
        let chosen = settings.agents.defaults.model.as_ref();
        let chosen = chosen.and_then(|model| model.names().next().map(str::to_owned));
        let of_agents = core.models().of_agents();
        let default_model =
            chosen.or_else(|| (!of_agents.is_empty()).then(|| of_agents.to_owned()));
        let running = core.runs.by_session();
        Self { settings, default_model, running, now: core.store.now() }
    }

    /// When this was taken.
    pub(crate) const fn now(&self) -> UnixMillis {
        self.now
    }

    /// The model of an agent that has none of its own.
    pub(crate) fn default_model(&self) -> Option<&str> {
        self.default_model.as_deref()
    }

    /// The models that are asked when the default fails.
    pub(crate) fn fallbacks(&self) -> Vec<String> {
        let chain = self.settings.agents.defaults.model.as_ref();
        chain.map_or_else(Vec::new, |chain| chain.names().skip(1).map(str::to_owned).collect())
    }

    /// Tokens that models take at once.
    pub(crate) fn context_tokens(&self) -> u64 {
        self.settings.agents.defaults.context_tokens()
    }

    /// What the next turn of a session uses.
    pub(crate) fn resolved(&self, row: &Row) -> Resolved {
        let chosen = row.model_override();
        let last = || {
            let model = row.model.clone()?;
            Some(match &row.meta.model_provider {
                Some(provider) => format!("{provider}/{model}"),
                None => model,
            })
        };
        split(chosen.or_else(last).as_deref().or_else(|| self.default_model()))
    }

    /// One session as clients see it.
    pub(crate) fn row(&self, row: &Row) -> SessionRow {
        let kind = Kind::of_key(&row.key);
        let active_run_ids = self.running.get(&row.key).cloned().unwrap_or_default();
        let has_active_run = !active_run_ids.is_empty();
        let Resolved { model_provider, model } = self.resolved(row);
        let ([input_tokens, output_tokens, total_tokens], meta) = (row.totals, row.meta.clone());
        SessionRow {
            key: row.key.clone(),
            kind: kind.word(),
            classification: kind.classification(),
            agent_id: agent_of(&row.key),
            is_main: kind == Kind::Main,
            session_id: row.session_id.as_str().to_owned(),
            updated_at: row.updated_at,
            snapshot_at: self.now,
            input_tokens,
            output_tokens,
            total_tokens,
            total_tokens_fresh: true,
            has_active_run,
            active_run_ids,
            archived: meta.archived == Some(true),
            pinned: meta.pinned == Some(true),
            unread: meta.unread == Some(true),
            visibility: "shared",
            label: meta.label,
            display_name: meta.display_name,
            derived_title: meta.derived_title.filter(|title| !title.is_empty()),
            last_message_preview: meta.last_message_preview,
            chat_type: meta.chat_type,
            channel: channel_of(&kind, row),
            subject: meta.subject,
            icon: meta.icon,
            color: meta.color,
            category: meta.category,
            status_note: meta.status_note,
            thinking_level: meta.thinking_level,
            verbose_level: meta.verbose_level,
            reasoning_level: meta.reasoning_level,
            elevated_level: meta.elevated_level,
            trace_level: meta.trace_level,
            send_policy: meta.send_policy,
            group_activation: meta.group_activation,
            response_usage: meta.response_usage,
            effective_queue_mode: Some(self.queue_mode(meta.queue_mode.as_deref())),
            spawned_by: meta.spawned_by,
            parent_session_key: meta.parent_session_key,
            model_provider,
            model,
            context_tokens: Some(self.context_tokens()),
            last_turn_tokens: meta.last_turn_tokens,
            compaction_count: meta.compaction_count,
            status: status(row, has_active_run),
            started_at: meta.started_at,
            ended_at: meta.ended_at.filter(|_| !has_active_run),
            runtime_ms: runtime(&row.meta),
            last_run_id: meta.last_run_id,
            last_read_at: meta.last_read_at,
            last_interaction_at: meta.last_interaction_at,
            last_activity_at: Some(row.updated_at),
        }
    }

    fn queue_mode(&self, of_session: Option<&str>) -> String {
        self.settings.messages.queue.mode_of(of_session).name().to_owned()
    }
}

/// A model's name by its parts; no provider where it names none.
pub(crate) fn split(model: Option<&str>) -> Resolved {
    match model.map(|model| model.split_once('/').ok_or(model)) {
        Some(Ok((provider, model))) => {
            Resolved { model_provider: Some(provider.to_owned()), model: Some(model.to_owned()) }
        }
        Some(Err(model)) => Resolved { model_provider: None, model: Some(model.to_owned()) },
        None => Resolved { model_provider: None, model: None },
    }
}

/// The channel of a session: as its entry says, or else its key.
fn channel_of(kind: &Kind<'_>, row: &Row) -> Option<String> {
    let Meta { channel, last_channel, .. } = &row.meta;
    let stored = channel.as_deref().or(last_channel.as_deref());
    stored.or_else(|| kind.channel()).map(str::to_owned)
}

/// How the last run of a session ended, as far as its entry says, unless one is under way.
fn status(row: &Row, is_running: bool) -> Option<RunStatus> {
    if is_running {
        return Some(RunStatus::Running);
    }
    match row.meta.status.as_deref() {
        Some("done") => return Some(RunStatus::Done),
        Some("failed") => return Some(RunStatus::Failed),
        Some("killed") => return Some(RunStatus::Killed),
        Some("timeout") => return Some(RunStatus::Timeout),
        Some(_) | None => {}
    }
    let aborted = row.meta.aborted_last_run?;
    Some(if aborted { RunStatus::Killed } else { RunStatus::Done })
}

/// How long a run took that has ended.
fn runtime(meta: &Meta) -> Option<u64> {
    meta.ended_at?.checked_sub(meta.started_at?)
}

/// The agent that a stored key names; `main` where another program has left out the prefix.
fn agent_of(key: &str) -> AgentId {
    let rest = key.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
    let agent = rest.and_then(|(agent, _)| agent.parse().ok());
    agent.unwrap_or_else(AgentId::main)
}
