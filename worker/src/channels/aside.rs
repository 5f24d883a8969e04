//! Files that wait to be sent: copies that no program of the tenant reaches, so that what is sent is what the
//! answer meant. They go when the supervisor has nothing to send of their message any more.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use proto::worker::{OutboundPart, OutboundRequest};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tonic::Status;
use types::{AgentId, Chain};

use crate::Error;
use crate::service::Core;
use crate::store::Dir;
use crate::tools;

/// Where they are, beneath the tenant's root.
const FOLDER: &str = "outbound";

/// How many of them there are at most, and how many bytes they have: what several answers send.
const MAX_FILES: usize = 64;
const MAX_BYTES: u64 = 128 << 20;

/// Bytes of one that are read: more than any network takes.
const MAX_FILE: u64 = 32 << 20;

/// The longest id of one.
const MAX_ID: usize = 128;

/// Bytes of one part.
const PART: usize = 256 << 10;

/// The parts of a file.
pub(crate) type Parts = tokio_stream::Iter<std::vec::IntoIter<Result<OutboundPart, Status>>>;

/// Who sets files aside, and who removes them: not both at once. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aside(Arc<RwLock<()>>);

impl Aside {
    /// Nothing is removed that is set aside until this is dropped: its message is not handed over yet.
    pub(super) async fn begin(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0).read_owned().await
    }
}

/// Sets a file of the agent's workspace aside; gives how many bytes it has. The same id again is the same
/// file, whatever has become of it in the workspace.
pub(super) async fn set(
    core: &Core,
    (agent, path): (&AgentId, &str),
    id: &str,
    max: u64,
) -> Result<u64, String> {
    let (agent, path, id) = (agent.clone(), path.to_owned(), id.to_owned());
    let set = core.store.job(move |root| copy(root, (&agent, &path), &id, max)).await;
    set.map_err(|err| {
        tracing::warn!(error = %Chain(&err), "a file that is to be sent could not be copied");
        "it could not be copied".to_owned()
    })?
}

type Copied = Result<Result<u64, String>, Error>;

fn copy(root: &Dir, (agent, path): (&AgentId, &str), id: &str, max: u64) -> Copied {
    let io = Error::io("set a file aside");
    let folder = root.sub_or_create(FOLDER).map_err(io)?;
    if let Some(size) = size(&folder, id)? {
        return Ok(Ok(size));
    }
    let bytes = match tools::take(root, agent, path, max.min(MAX_FILE)) {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why)),
    };
    if bytes.is_empty() {
        return Ok(Err("it is empty".to_owned()));
    }
    let (mut files, mut sum) = (0, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let taken = sum;
    for name in names(&folder)? {
        files += 1;
        sum = sum.saturating_add(size(&folder, &name)?.unwrap_or(0));
    }
    if files >= MAX_FILES || sum > MAX_BYTES {
        return Ok(Err("too many files wait to be sent".to_owned()));
    }
    folder.replace(id, &bytes).map_err(Error::io("set a file aside"))?;
    Ok(Ok(taken))
}

fn size(folder: &Dir, id: &str) -> Result<Option<u64>, Error> {
    let file = folder.file(id).map_err(Error::io("look at a file that is set aside"))?;
    let size = file.map(|file| file.metadata().map(|it| it.len())).transpose();
    size.map_err(Error::io("look at a file that is set aside"))
}

/// What is set aside, and what was left half written. No more than a few beyond what there may be.
fn names(folder: &Dir) -> Result<Vec<String>, Error> {
    let names = folder.names().and_then(|it| it.take(2 * MAX_FILES).collect());
    names.map_err(Error::io("list the files that are set aside"))
}

/// Removes what is not waited for any more.
pub(super) async fn tidy(core: &Core) {
    let _alone = core.aside.0.write().await;
    if let Err(why) = remove(core).await {
        tracing::warn!(why, "files that were sent are still there");
    }
}

async fn remove(core: &Core) -> Result<(), String> {
    let there = core.store.job(|root| match root.sub(FOLDER) {
        Ok(Some(folder)) => names(&folder),
        Ok(None) => Ok(Vec::new()),
        Err(err) => Err(Error::io("open the files that are set aside")(err)),
    });
    let there = there.await.map_err(|err| Chain(&err).to_string())?;
    if there.is_empty() {
        return Ok(());
    }
    let waiting = core.outbox.waiting().await.map_err(|status| status.message().to_owned())?;
    let waiting: HashSet<_> = waiting.iter().map(String::as_str).collect();
    let over = move |name: &String| !waiting.contains(&*intent(name));
    let over: Vec<_> = there.into_iter().filter(over).collect();
    let removed = core.store.job(move |root| {
        let Some(folder) = root.sub(FOLDER).map_err(Error::io("open what is set aside"))? else {
            return Ok(());
        };
        let mut all = over.iter().map(|name| folder.remove(name));
        all.try_for_each(|it| it).map_err(Error::io("remove what is set aside"))
    });
    removed.await.map_err(|err| Chain(&err).to_string())
}

/// What the n-th file of an intent is called.
pub(super) fn id(intent: &str, at: usize) -> String {
    // No colon: it is a file's name.
    format!("{}.{at}", intent.replace(':', "-"))
}

/// Of which intent a file is.
fn intent(name: &str) -> String {
    let intent = name.rsplit_once('.').map_or(name, |(intent, _)| intent);
    intent.replacen('-', ":", 1)
}

/// A file that the supervisor is about to send.
///
/// # Errors
/// `NOT_FOUND` where there is none, `UNAVAILABLE` where it cannot be read.
pub(crate) async fn outbound(core: &Core, request: OutboundRequest) -> Result<Parts, Status> {
    let OutboundRequest { id } = request;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !(1..=MAX_ID).contains(&id.len()) || !id.bytes().all(plain) || id.starts_with('.') {
        return Err(Status::not_found("no file has such a name"));
    }
    let read = core.store.job(move |root| {
        let folder = root.sub(FOLDER).map_err(Error::io("open what is set aside"))?;
        let read = folder.map(|it| it.read_start(&id, MAX_FILE)).transpose();
        Ok(read.map_err(Error::io("read what is set aside"))?.flatten())
    });
    let read = read.await.map_err(|err| {
        tracing::error!(error = %Chain(&err), "a file cannot be read that is to be sent");
        Status::unavailable("it cannot be read now")
    })?;
    let mut rest = Bytes::from(read.ok_or_else(|| Status::not_found("it is not there"))?);
    let mut parts = Vec::with_capacity(rest.len() / PART + 1);
    while !rest.is_empty() {
        parts.push(Ok(OutboundPart { data: rest.split_to(rest.len().min(PART)) }));
    }
    Ok(tokio_stream::iter(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_intent() {
        let of = id("channel:0a1b.3", 2);
        assert_eq!(of, "channel-0a1b.3.2");
        assert_eq!(intent(&of), "channel:0a1b.3");
        assert_eq!(intent(".channel-0a.tmp"), ".channel:0a", "half written: of none");
    }
}
