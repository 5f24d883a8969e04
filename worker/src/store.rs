//! The tenant's conversations on disk, in `OpenClaw`'s classic formats.
//!
//! Nothing is kept in memory between calls and no descriptor stays open: an idle worker is small,
//! and what was acknowledged is on disk. Turns of one session never overlap (see `runs`), which is
//! what makes a transcript have one writer.

mod archive;
mod change;
mod commit;
mod dir;
mod entry;
mod provenance;
mod retention;
mod row;
mod said;
mod sessions;
mod tail;
mod transcript;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde_json::value::RawValue;
use types::{AgentId, Clock, UnixMillis};

pub(crate) use archive::{Aside, was_put_aside};
pub(crate) use change::{Change, Fields, Totals};
pub(crate) use dir::{Dir, Kind};
pub(crate) use entry::{
    Appended, Block, Compaction, Line, Stop, Stored, StoredMessage, Usage, raw_text,
};
pub(crate) use provenance::{Origin, Provenance};
pub(crate) use retention::{MAX_ENTRIES, Retention};
pub(crate) use row::{Meta, Row};
pub(crate) use said::{MAX_PREVIEW, MAX_TITLE, start_of};
pub(crate) use sessions::SessionId;
pub(crate) use tail::Tail;
pub(crate) use transcript::MAX_LINE;

use crate::Error;
use crate::settings::Live;

/// How often sessions are looked for that were not used for long, in milliseconds.
const LOOK_EVERY: u64 = 3600 * 1000;
/// Agents that one tenant may have; a listing of directories stops here.
const MAX_AGENTS: usize = 256;

/// The tenant's root. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    live: Live,
    commits: commit::Commits,
    /// Shared by everything that reads and writes, held alone while all of it is looked at.
    held: RwLock<()>,
    said: said::Waiting,
    /// When sessions that were not used for long were looked for last.
    looked_at: AtomicU64,
}

impl Store {
    /// The store under `root`, which keeps sessions as the settings say. Opens nothing.
    pub(crate) fn new(root: PathBuf, clock: Arc<dyn Clock>, live: Live) -> Self {
        let (commits, held, said, looked_at) = Default::default();
        Self(Arc::new(Inner { root, clock, live, commits, held, said, looked_at }))
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
        let job = move || {
            let _shared = store.shared();
            job(&store.open()?)
        };
        tokio::task::spawn_blocking(job).await.map_err(Error::Job)?
    }

    /// Runs `look` while nothing else reads or writes the store, and gives the root with what it
    /// has found. It holds up every turn, and so must not take long.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Dir) -> Result<T, Error> + Send + 'static,
    ) -> Result<(Dir, T), Error> {
        let store = self.clone();
        let job = move || {
            let _alone = store.0.held.write().unwrap_or_else(PoisonError::into_inner);
            let root = store.open()?;
            look(&root).map(|found| (root, found))
        };
        tokio::task::spawn_blocking(job).await.map_err(Error::Job)?
    }

    fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `messages` to a session's transcript, durably, making it where it is missing.
    pub(crate) async fn append(
        &self,
        agent: &AgentId,
        session: &SessionId,
        messages: Vec<Stored>,
    ) -> Result<Vec<Appended>, Error> {
        // Before anything is waited for: the entry is often changed at the same time.
        self.0.said.add(session, &messages);
        self.append_new(agent, session, transcript::New::Messages(messages)).await
    }

    /// Appends where a summary takes over, durably.
    pub(crate) async fn append_compaction(
        &self,
        agent: &AgentId,
        session: &SessionId,
        compaction: Compaction,
    ) -> Result<Vec<Appended>, Error> {
        self.append_new(agent, session, transcript::New::Compaction(compaction)).await
    }

    async fn append_new(
        &self,
        agent: &AgentId,
        session: &SessionId,
        new: transcript::New,
    ) -> Result<Vec<Appended>, Error> {
        let (agent, session, now) = (agent.clone(), session.clone(), self.now());
        self.job(move |root| {
            let dir = sessions::folder_of(root, &agent)?;
            let header = transcript::Header { session: &session, agent: &agent };
            transcript::append(&dir, &header, &new, now)
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
        let said = match &change {
            Change::Begin { session } | Change::End { session, .. } => self.0.said.take(session),
            Change::Set { .. } | Change::Note { .. } | Change::Reset { .. } | Change::Delete => {
                said::Said::default()
            }
        };
        let store = self.clone();
        let apply = move |changes: &[commit::Keyed]| {
            let _shared = store.shared();
            let root = store.open()?;
            sessions::apply(&root, changes, &store.retention(), store.now())
        };
        self.0.commits.commit(commit::Keyed::new(agent, key, change, said), apply).await
    }

    /// Removes a session and puts its transcript aside. Gives the session, if there was one, and
    /// where its transcript is now.
    pub(crate) async fn delete(
        &self,
        agent: &AgentId,
        key: &str,
    ) -> Result<Option<(Row, Vec<String>)>, Error> {
        let (of, wanted) = (agent.clone(), key.to_owned());
        let found = self.job(move |root| sessions::find(root, &of, &wanted)).await?;
        let Some(row) = found else { return Ok(None) };
        let session = row.session_id.clone();
        match self.commit(agent, key, Change::Delete).await {
            // The entry cannot be taken out of a file that cannot be written, so that here the
            // transcript goes first, and for good: deleting must help against a full disk.
            Err(err) if err.is_disk_full() => {
                let of = agent.clone();
                self.job(move |root| archive::make_room(root, &of, &session)).await?;
                self.commit(agent, key, Change::Delete).await?;
                Ok(Some((row, Vec::new())))
            }
            done => {
                done?;
                let aside = self.put_aside(agent, session, Aside::Deleted).await?;
                Ok(Some((row, aside)))
            }
        }
    }

    /// Puts the transcript of a session aside that no entry names any more, and gives where it is.
    pub(crate) async fn put_aside(
        &self,
        agent: &AgentId,
        session: SessionId,
        why: Aside,
    ) -> Result<Vec<String>, Error> {
        let (agent, now) = (agent.clone(), self.now());
        self.job(move |root| archive::put_aside(root, &agent, &[session], why, now)).await
    }

    /// What is kept by the next write. Old sessions are looked for once in a while only, because
    /// that means to read every entry.
    fn retention(&self) -> Retention {
        let (settings, now) = (self.0.live.now().settings, self.now());
        let maintenance = &settings.session.maintenance;
        let looked_at = self.0.looked_at.load(Ordering::Relaxed);
        let is_time = now.saturating_sub(looked_at) >= LOOK_EVERY;
        if is_time {
            self.0.looked_at.store(now, Ordering::Relaxed);
        }
        let oldest = maintenance.prune_after_ms().filter(|_| is_time);
        Retention {
            oldest: oldest.map(|after| now.saturating_sub(after)),
            max_entries: maintenance.max_entries.unwrap_or(MAX_ENTRIES),
        }
    }

    fn open(&self) -> Result<Dir, Error> {
        Dir::open(&self.0.root).map_err(Error::io("open the tenant's root"))
    }
}

/// The entry of one session, if there is one.
pub(crate) fn session(root: &Dir, agent: &AgentId, key: &str) -> Result<Option<Row>, Error> {
    sessions::find(root, agent, key)
}

/// The entry of one session as it is stored, if there is one.
pub(crate) fn entry_of(
    root: &Dir,
    agent: &AgentId,
    key: &str,
) -> Result<Option<Box<RawValue>>, Error> {
    sessions::raw(root, agent, key)
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

/// How many lines a transcript has.
pub(crate) fn lines(file: &std::fs::File) -> std::io::Result<u64> {
    transcript::count_lines(file, file.metadata()?.len())
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

/// The directory of an agent, if there is such an agent. That of `main` is made where it is
/// missing.
pub(crate) fn agent_folder(root: &Dir, agent: &AgentId) -> Result<Option<Dir>, Error> {
    let path = format!("agents/{agent}");
    let found = if *agent == AgentId::main() {
        root.sub_or_create(&path).map(Some)
    } else {
        root.sub(&path)
    };
    found.map_err(Error::io("open the agent's directory"))
}

/// The directory of an agent's sessions, beneath the tenant's root.
pub(crate) fn sessions_folder(agent: &AgentId) -> String {
    sessions::folder(agent)
}

/// Where an agent's sessions are, beneath the tenant's root.
pub(crate) fn sessions_path(agent: &AgentId) -> String {
    sessions::path(agent)
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
