//! The tenant's conversations on disk, in `OpenClaw`'s classic formats.
//!
//! Nothing is kept in memory between calls and no descriptor stays open: an idle worker is small,
//! and what was acknowledged is on disk. Turns of one session never overlap (see `runs`), which is
//! what makes a transcript have one writer.

mod archive;
mod dir;
mod entry;
mod sessions;
mod tail;
mod transcript;

use std::path::PathBuf;
use std::sync::Arc;

use types::{AgentId, Clock, UnixMillis};

pub(crate) use dir::Dir;
pub(crate) use entry::{Block, Line, Stop, Stored, StoredMessage, Usage, raw_text};
pub(crate) use sessions::{Change, Row, SessionId, Totals};
pub(crate) use tail::Tail;
pub(crate) use transcript::MAX_LINE;

use crate::Error;

/// Agents that one tenant may have; a listing of directories stops here.
const MAX_AGENTS: usize = 256;

/// The tenant's root. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    commits: sessions::Commits,
}

impl Store {
    /// The store under `root`. Opens nothing.
    pub(crate) fn new(root: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { root, clock, commits: sessions::Commits::default() }))
    }

    /// Milliseconds since the epoch.
    pub(crate) fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }

    /// Runs `job` on the tenant's root in the blocking pool.
    pub(crate) async fn job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Dir) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || job(&store.open()?)).await.map_err(Error::Job)?
    }

    /// Appends `messages` to a session's transcript, durably, making it where it is missing.
    pub(crate) async fn append(
        &self,
        agent: &AgentId,
        session: &SessionId,
        messages: Vec<Stored>,
    ) -> Result<(), Error> {
        let (agent, session, now) = (agent.clone(), session.clone(), self.now());
        self.job(move |root| {
            let dir = root
                .sub_or_create(&sessions::folder(&agent))
                .map_err(Error::io("make the sessions directory"))?;
            let header = transcript::Header { session: &session, agent: &agent };
            transcript::append(&dir, &header, &messages, now)
        })
        .await
    }

    /// Changes one session's entry in `sessions.json`, durably. Changes that arrive while a
    /// write is under way share the next one.
    pub(crate) async fn commit(
        &self,
        agent: &AgentId,
        key: &str,
        change: Change,
    ) -> Result<(), Error> {
        let store = self.clone();
        let apply = move |changes: &[sessions::Keyed]| {
            let root = store.open()?;
            sessions::apply(&root, changes, store.now())
        };
        self.0.commits.commit(sessions::Keyed::new(agent, key, change), apply).await
    }

    /// Removes a session and puts its transcript aside. True when there was one.
    pub(crate) async fn delete(&self, agent: &AgentId, key: &str) -> Result<bool, Error> {
        let (of, wanted) = (agent.clone(), key.to_owned());
        let found = self.job(move |root| sessions::find(root, &of, &wanted)).await?;
        let Some(row) = found else { return Ok(false) };
        self.commit(agent, key, Change::Delete).await?;
        let (agent, now) = (agent.clone(), self.now());
        self.job(move |root| archive::put_aside(root, &agent, &[row.session_id], now)).await?;
        Ok(true)
    }

    fn open(&self) -> Result<Dir, Error> {
        Dir::open(&self.0.root).map_err(Error::io("open the tenant's root"))
    }
}

/// The entry of one session, if there is one.
pub(crate) fn session(root: &Dir, agent: &AgentId, key: &str) -> Result<Option<Row>, Error> {
    sessions::find(root, agent, key)
}

/// Every session of one agent, in no order.
pub(crate) fn sessions(root: &Dir, agent: &AgentId) -> Result<Vec<Row>, Error> {
    sessions::all(root, agent)
}

/// The transcript of a session for reading, if there is one.
pub(crate) fn transcript(
    root: &Dir,
    agent: &AgentId,
    session: &SessionId,
) -> Result<Option<std::fs::File>, Error> {
    let opened = match root.sub(&sessions::folder(agent)) {
        Ok(Some(dir)) => dir.file(&session.file_name()),
        Ok(None) => Ok(None),
        Err(err) => Err(err),
    };
    opened.map_err(Error::io("open a transcript"))
}

/// The tenant's agents: `main`, and those that have a directory.
pub(crate) fn agents(root: &Dir) -> Result<Vec<AgentId>, Error> {
    let listed = |dir: Dir| -> std::io::Result<Vec<AgentId>> {
        let ids = dir.names()?.map(|name| name.map(|name| name.parse().ok()));
        ids.filter_map(Result::transpose).take(MAX_AGENTS).collect()
    };
    let folder = root.sub("agents").map_err(Error::io("list the agents"))?;
    let agents = folder.map_or_else(|| Ok(Vec::new()), listed);
    let mut agents = agents.map_err(Error::io("list the agents"))?;
    agents.push(AgentId::main());
    agents.sort_unstable();
    agents.dedup();
    Ok(agents)
}

/// Whether the tenant has this agent.
pub(crate) fn has_agent(root: &Dir, agent: &AgentId) -> Result<bool, Error> {
    if *agent == AgentId::main() {
        return Ok(true);
    }
    let found = root.sub(&format!("agents/{agent}")).map_err(Error::io("look for the agent"))?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests;
