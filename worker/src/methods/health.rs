//! `health`, and what `status` has in common with it.

use std::collections::BTreeMap;

use api::ApiError;
use api::health::{
    AgentHealth, Health, HealthParams, HealthReport, HeartbeatSummary, ModelRuntime, Plugins,
    RecentSession, SessionsHealth,
};
use types::{AgentId, UnixMillis};

use super::{Call, storage};
use crate::Error;
use crate::agents::{self, Agent};
use crate::store::{self, Dir, Row};

/// Sessions of each agent that are named.
const RECENT: usize = 5;

impl Health for Call<'_> {
    async fn health(&self, _params: HealthParams) -> Result<HealthReport, ApiError> {
        let core = self.core;
        let ts = core.store.now();
        let found = core.store.job(everything).await.map_err(|err| storage(&err))?;
        let of_main = heartbeat(self, &AgentId::main());
        let all = sessions(&AgentId::main(), found.iter().flat_map(|(_, rows)| rows).collect(), ts);
        let agent = |(agent, rows): &Kept| AgentHealth {
            agent_id: agent.id.clone(),
            name: agent.settings.name.clone(),
            is_default: agent.id == AgentId::main(),
            heartbeat: heartbeat(self, &agent.id),
            sessions: sessions(&agent.id, rows.iter().collect(), ts),
        };
        Ok(HealthReport {
            ok: true,
            ts,
            duration_ms: core.store.now().saturating_sub(ts),
            uptime_ms: ts.saturating_sub(core.started_at),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runs: core.runs.count(),
            plugins: Plugins::default(),
            channels: BTreeMap::new(),
            channel_order: [],
            channel_labels: BTreeMap::new(),
            heartbeat_seconds: of_main.every_ms.unwrap_or(0) / 1000,
            default_agent_id: AgentId::main(),
            agents: found.iter().map(agent).collect(),
            sessions: all,
            model_runtime: ModelRuntime { degraded: false, pending_agents: [] },
        })
    }
}

/// An agent and its sessions.
pub(super) type Kept = (Agent, Vec<Row>);

/// Every agent with its sessions, most recently used first.
pub(super) fn everything(root: &Dir) -> Result<Vec<Kept>, Error> {
    let with_sessions = |agent: Agent| {
        let mut rows = store::sessions(root, &agent.id)?;
        rows.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
        Ok((agent, rows))
    };
    agents::list(root)?.into_iter().map(with_sessions).collect()
}

/// The heartbeat of an agent. Only `main` has one.
pub(super) fn heartbeat(call: &Call<'_>, agent: &AgentId) -> HeartbeatSummary {
    let settings = call.core.live.now().settings;
    let heartbeat = &settings.agents.defaults.heartbeat;
    let every_ms = heartbeat.every_ms().filter(|_| *agent == AgentId::main());
    HeartbeatSummary {
        enabled: every_ms.is_some(),
        every: heartbeat.every().filter(|_| every_ms.is_some()).unwrap_or("0m").to_owned(),
        every_ms,
        prompt: heartbeat.prompt().map(str::to_owned),
        target: heartbeat.target().unwrap_or("none").to_owned(),
        ack_max_chars: u32::try_from(heartbeat.ack_chars()).unwrap_or(u32::MAX),
    }
}

fn sessions(agent: &AgentId, mut rows: Vec<&Row>, now: UnixMillis) -> SessionsHealth {
    rows.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
    let recent = |row: &&Row| RecentSession {
        key: row.key.clone(),
        updated_at: row.updated_at,
        age: now.saturating_sub(row.updated_at),
    };
    SessionsHealth {
        path: store::sessions_path(agent),
        count: rows.len(),
        recent: rows.iter().take(RECENT).map(recent).collect(),
    }
}
