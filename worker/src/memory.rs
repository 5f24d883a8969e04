//! What an agent wrote down, searched by words and, where there is a model for it, by meaning.
//!
//! The files of the workspace are the truth. The index beside them follows them before each search,
//! is made anew where it is damaged, and is closed when nobody has searched for a minute.

mod chunk;
mod corpus;
mod database;
mod rank;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::host::EmbedRequest;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tonic::Status;
use types::AgentId;

use self::database::{Database, Hit};
use crate::Error;
use crate::service::Core;
use crate::store::{self, Dir};
use crate::upcalls;

pub(crate) use corpus::is_memory;

/// Where the indexes are, beneath the tenant's root: no program in a sandbox sees them.
pub(crate) const FOLDER: &str = "memory";
/// How long the index of an agent stays open that nobody searches.
const QUIET: Duration = Duration::from_mins(1);
/// Candidates that each kind of search gives.
const CANDIDATES: usize = 50;
/// Texts of one request for vectors, and of one search: what is left over waits for the next one.
const BATCH: usize = 64;
const MAX_EMBEDDED: usize = 512;

/// The open index. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Waited for by tasks, never by a thread: one search at a time.
    open: Arc<Mutex<Open>>,
    used: Notify,
    /// Whether somebody waits to close it.
    has_closer: AtomicBool,
}

/// The index that is open.
#[derive(Debug, Default)]
struct Open(Option<(AgentId, Database)>);

/// The right to use the index, which goes along with every job.
type Held = OwnedMutexGuard<Open>;

/// What is searched for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) max: usize,
    pub(crate) min_score: f64,
    /// The model of the vectors; words alone count where there is none.
    pub(crate) model: Option<String>,
}

/// What was found, and what could not be done on the way.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hits: Vec<Hit>,
    pub(crate) notes: Vec<String>,
}

/// Vectors, or why there are none.
type Vectors = Result<Vec<Vec<f32>>, String>;

impl Memory {
    /// Searches what `agent` wrote down.
    pub(crate) async fn search(
        &self,
        core: &Core,
        agent: &AgentId,
        query: Query,
    ) -> Result<Found, Error> {
        let found = match self.search_once(core, agent, &query).await {
            // What was damaged is gone.
            Err(err @ Error::Index(_)) if !err.is_disk_full() => {
                tracing::warn!(error = %types::Chain(&err), "a memory index is made anew");
                self.search_once(core, agent, &query).await
            }
            done => done,
        };
        self.close_when_quiet(core);
        found
    }

    async fn search_once(
        &self,
        core: &Core,
        agent: &AgentId,
        query: &Query,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        let held = Arc::clone(&self.0.open).lock_owned().await;
        let plan = |workspace: &Dir, database: &mut Database| database.plan(workspace);
        let (mut held, (plan, is_whole)) = with(core, agent, held, plan).await?;
        if !is_whole {
            found.notes.push("some files are left out: there are too many".to_owned());
        }
        // Other jobs have their turn between the slices.
        for slice in database::slices(plan) {
            let follow =
                move |workspace: &Dir, database: &mut Database| database.follow(workspace, &slice);
            (held, ()) = with(core, agent, held, follow).await?;
        }
        let (mut wanted, mut vectors) = (None, Vec::new());
        if let Some(model) = query.model.clone() {
            let of = model.clone();
            let look = move |_: &Dir, database: &mut Database| database.missing(&of, MAX_EMBEDDED);
            let missing;
            (held, missing) = with(core, agent, held, look).await?;
            match embed(core, agent, (&model, &query.text), &missing).await {
                Ok((of_query, of_chunks)) => (wanted, vectors) = (Some(of_query), of_chunks),
                Err(why) => found.notes.push(format!("searched by words only: {why}")),
            }
        }
        let Query { text, max, min_score, model } = query.clone();
        let look = move |_: &Dir, database: &mut Database| {
            if let Some(model) = &model {
                database.put_vectors(model, &vectors)?;
            }
            let mut lists = vec![database.by_words(&text, CANDIDATES)?];
            if let Some(wanted) = &wanted {
                lists.push(database.by_meaning(wanted, CANDIDATES)?);
            }
            database.hits(&rank::fused(&lists), max, min_score)
        };
        let (held, hits) = with(core, agent, held, look).await?;
        drop(held);
        found.hits = hits;
        Ok(found)
    }

    /// Closes the index.
    pub(crate) async fn close(&self, core: &Core) {
        let held = Arc::clone(&self.0.open).lock_owned().await;
        let closed = core.store.job(move |_root| {
            let mut held = held;
            *held = Open::default();
            Ok(())
        });
        if let Err(err) = closed.await {
            tracing::error!(error = %types::Chain(&err), "a memory index was not closed");
        }
    }

    /// Closes and removes the index of an agent. Its files stay.
    pub(crate) async fn forget(&self, core: &Core, agent: &AgentId) -> Result<(), Error> {
        let (held, agent) = (Arc::clone(&self.0.open).lock_owned().await, agent.clone());
        let gone = core.store.job(move |root| {
            let mut held = held;
            held.0.take_if(|(of, _)| *of == agent);
            remove(root, &agent)
        });
        gone.await
    }

    fn close_when_quiet(&self, core: &Core) {
        self.0.used.notify_one();
        if self.0.has_closer.swap(true, Ordering::Relaxed) {
            return;
        }
        let (memory, of) = (self.clone(), core.clone());
        core.tasks.spawn_until_stopped(async move {
            while tokio::time::timeout(QUIET, memory.0.used.notified()).await.is_ok() {}
            memory.0.has_closer.store(false, Ordering::Relaxed);
            memory.close(&of).await;
        });
    }
}

/// Runs `job` on the index of `agent`, which is made where there is none, and removed where it is
/// damaged.
async fn with<T: Send + 'static>(
    core: &Core,
    agent: &AgentId,
    mut held: Held,
    job: impl FnOnce(&Dir, &mut Database) -> Result<T, Error> + Send + 'static,
) -> Result<(Held, T), Error> {
    let agent = agent.clone();
    let done = core.store.job(move |root| {
        let Some(folder) = store::agent_folder(root, &agent)? else {
            return Err(Error::io("open the agent")(std::io::ErrorKind::NotFound.into()));
        };
        let workspace = crate::agent::seed_workspace(&folder)?;
        match held.on(root, &agent).and_then(|database| job(&workspace, database)) {
            Ok(value) => Ok((held, value)),
            Err(err @ Error::Index(_)) if !err.is_disk_full() => {
                *held = Open::default();
                remove(root, &agent)?;
                Err(err)
            }
            Err(err) => Err(err),
        }
    });
    done.await
}

impl Open {
    /// The index of `agent`, open.
    fn on(&mut self, root: &Dir, agent: &AgentId) -> Result<&mut Database, Error> {
        let open = if let Some(open) = self.0.take().filter(|(of, _)| of == agent) {
            open
        } else {
            let folder = root.sub_or_create(FOLDER);
            let folder = folder.map_err(Error::io("make the directory of the indexes"))?;
            (agent.clone(), Database::open(&folder.path_of(&file_of(agent)))?)
        };
        Ok(&mut self.0.insert(open).1)
    }
}

/// Removes the index of an agent.
fn remove(root: &Dir, agent: &AgentId) -> Result<(), Error> {
    let gone = || -> std::io::Result<()> {
        let Some(folder) = root.sub(FOLDER)? else { return Ok(()) };
        folder.remove(&file_of(agent))?;
        // SQLite's own name for what it has begun.
        folder.remove(&format!("{}-journal", file_of(agent)))
    };
    gone().map_err(Error::io("remove a memory index"))
}

fn file_of(agent: &AgentId) -> String {
    format!("{agent}.sqlite")
}

/// The vector of the query and those of chunks that have none yet.
async fn embed(
    core: &Core,
    agent: &AgentId,
    (model, query): (&str, &str),
    missing: &[(i64, String)],
) -> Result<(Vec<f32>, Vec<(i64, Vec<f32>)>), String> {
    let mut of_query = vectors(core, agent, model, vec![query.to_owned()]).await?;
    let mut of_chunks = Vec::with_capacity(missing.len());
    for batch in missing.chunks(BATCH) {
        let texts = batch.iter().map(|(_, text)| text.clone()).collect();
        let vectors = vectors(core, agent, model, texts).await?;
        of_chunks.extend(batch.iter().map(|(id, _)| *id).zip(vectors));
    }
    let of_query = of_query.pop().ok_or("the model gave no vector")?;
    Ok((of_query, of_chunks))
}

async fn vectors(core: &Core, agent: &AgentId, model: &str, input: Vec<String>) -> Vectors {
    let count = input.len();
    let request = EmbedRequest {
        model: model.to_owned(),
        input,
        request_id: upcalls::own_id(),
        agent: agent.to_string(),
        ..EmbedRequest::default()
    };
    let reply = core.llm.embed(request).await;
    let reply = reply.map_err(|status: Status| status.message().to_owned())?;
    if reply.vectors.len() != count {
        return Err("the model gave another number of vectors than was asked for".to_owned());
    }
    Ok(reply.vectors.into_iter().map(|vector| rank::unit(vector.values)).collect())
}
