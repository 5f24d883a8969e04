//! `status`.

use std::collections::BTreeMap;

use api::ApiError;
use api::health::HeartbeatSummary;
use api::status::{
    AgentHeartbeat, AgentSessions, Heartbeats, RecentStatus, SessionDefaults, SessionsStatus,
    Status, StatusParams, StatusReport, Tasks,
};
use types::AgentId;

use super::health::{Kept, everything, heartbeat};
use super::{Call, storage};
use crate::sessions::{Kind, View, split};
use crate::store::{self, Row};

/// Sessions of each agent, and of all, that are told.
const RECENT: usize = 10;

impl Status for Call<'_> {
    async fn status(&self, _params: StatusParams) -> Result<StatusReport, ApiError> {
        let found = self.core.store.job(everything).await.map_err(|err| storage(&err))?;
        let of_agent = |(agent, _): &Kept| {
            let HeartbeatSummary { enabled, every, every_ms, .. } = heartbeat(self, &agent.id);
            AgentHeartbeat { agent_id: agent.id.clone(), enabled, every, every_ms }
        };
        let agents = found.iter().map(of_agent).collect();
        let active = self.core.runs.count();
        Ok(StatusReport {
            runtime_version: env!("CARGO_PKG_VERSION"),
            heartbeat: Heartbeats { default_agent_id: AgentId::main(), agents },
            channel_summary: [],
            queued_system_events: [],
            tasks: Tasks {
                total: active,
                active,
                terminal: 0,
                failures: 0,
                by_status: BTreeMap::from([("running", active)]),
                by_runtime: BTreeMap::new(),
            },
            sessions: sessions(&View::new(self.core), &found),
            degraded_secret_owners: [],
            degraded_plugins: [],
        })
    }
}

fn sessions(view: &View, found: &[Kept]) -> SessionsStatus {
    let by_agent = |(agent, rows): &Kept| AgentSessions {
        agent_id: agent.id.clone(),
        path: store::sessions_path(&agent.id),
        count: rows.len(),
        recent: rows.iter().take(RECENT).map(|row| recent(view, &agent.id, row)).collect(),
    };
    let by_agent: Vec<AgentSessions> = found.iter().map(by_agent).collect();
    let mut all: Vec<RecentStatus> =
        by_agent.iter().flat_map(|agent| agent.recent.iter().cloned()).collect();
    all.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
    all.truncate(RECENT);
    let default = split(view.default_model());
    SessionsStatus {
        paths: by_agent.iter().map(|agent| agent.path.clone()).collect(),
        count: by_agent.iter().map(|agent| agent.count).sum(),
        defaults: SessionDefaults {
            model: default.model,
            context_tokens: Some(view.context_tokens()),
        },
        recent: all,
        by_agent,
    }
}

fn recent(view: &View, agent: &AgentId, row: &Row) -> RecentStatus {
    let kind = Kind::of_key(&row.key);
    let context = view.context_tokens();
    let used = row.meta.last_turn_tokens;
    let [input_tokens, output_tokens, _] = row.totals;
    let flags = [
        ("think", &row.meta.thinking_level),
        ("verbose", &row.meta.verbose_level),
        ("reasoning", &row.meta.reasoning_level),
    ];
    let flags = flags
        .into_iter()
        .filter_map(|(name, level)| level.as_ref().map(|level| format!("{name}:{level}")));
    RecentStatus {
        agent_id: agent.clone(),
        key: row.key.clone(),
        kind: if kind.classification() == "cron" { "cron" } else { kind.word() },
        session_id: row.session_id.as_str().to_owned(),
        updated_at: row.updated_at,
        age: view.now().saturating_sub(row.updated_at),
        input_tokens,
        output_tokens,
        total_tokens: used,
        remaining_tokens: used.map(|used| context.saturating_sub(used)),
        percent_used: used.map(|used| (used.saturating_mul(100) / context.max(1)).min(999)),
        model: view.resolved(row).model,
        context_tokens: Some(context),
        flags: flags.collect(),
    }
}
