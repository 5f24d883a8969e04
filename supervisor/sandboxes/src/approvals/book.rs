//! The tenant's file of approvals in the records: read, replaced by whoever knows what it replaces,
//! added to by decisions. It is durable before anybody is told so.

use api::approvals::{Agent, Entry, File, VERSION};
use records::{Document, Records};
use ring::digest::{SHA256, digest};
use types::{AgentId, TenantId, UnixMillis};

use super::{rules, show};

/// Entries of one agent's list.
const MAX_ENTRIES: usize = 1024;

/// Agents that a file can have rules for.
const MAX_AGENTS: usize = 512;

/// Bytes of an id or another short text.
const MAX_TEXT: usize = 1024;

/// What an entry's last use is written down for at most: every command would be a write to the disk.
const USED_EVERY: UnixMillis = 10 * 60 * 1000;

/// How often a change is tried while others make theirs.
const TRIES: usize = 8;

/// The name of all agents.
const ALL: &str = "*";

/// A file of approvals that could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The records failed, or it is too large.
    #[error("the file of approvals could not be read or written")]
    Records(#[source] records::Error),
    /// Another version wrote it; until it is replaced nothing may run.
    #[error("the file of approvals cannot be read; replace it")]
    Unreadable(#[source] serde_json::Error),
    /// It cannot be written as JSON.
    #[error("the file of approvals has no JSON form")]
    Unwritable(#[source] serde_json::Error),
    /// What it says is out of bounds.
    #[error("invalid exec.approvals.set params: {0}")]
    Invalid(String),
    /// Whoever replaces it does not say what.
    #[error("exec approvals base hash required; re-run exec.approvals.get and retry")]
    NeedsHash,
    /// It has changed meanwhile.
    #[error("exec approvals changed since last load; re-run exec.approvals.get and retry")]
    Stale,
}

/// A file as it is stored.
#[derive(Debug, Clone)]
pub struct Book {
    /// What it says.
    pub file: File,
    /// What names this state of it, but for when entries were of use.
    pub hash: String,
    /// Whether there is one.
    pub exists: bool,
}

/// The files of all tenants.
#[derive(Debug, Clone)]
pub(crate) struct Books(pub(crate) Records);

impl Books {
    pub(crate) async fn read(&self, tenant: &TenantId) -> Result<Book, BookError> {
        let found = self.0.approvals(tenant).await.map_err(BookError::Records)?;
        let Some(document) = found else {
            let file = File::default();
            return Ok(Book { hash: hash(&file)?, file, exists: false });
        };
        let file = serde_json::from_str(&document.raw).map_err(BookError::Unreadable)?;
        Ok(Book { file, hash: document.hash, exists: true })
    }

    /// Replaces the file.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        file: File,
        base: Option<&str>,
        now: UnixMillis,
    ) -> Result<Book, BookError> {
        check(&file).map_err(BookError::Invalid)?;
        // One that cannot be read is replaced by its hash as well.
        let found = self.0.approvals(tenant).await.map_err(BookError::Records)?;
        let found = found.map(|it| it.hash);
        match (&found, base) {
            (Some(_), None) => return Err(BookError::NeedsHash),
            (Some(found), Some(base)) if found != base => return Err(BookError::Stale),
            _ => {}
        }
        let file = File { socket: None, ..numbered(file) };
        let hash = hash(&file)?;
        if self.write(tenant, found.as_deref(), &file, &hash, now).await? {
            Ok(Book { file, hash, exists: true })
        } else {
            Err(BookError::Stale)
        }
    }

    /// Adds an entry to an agent's list, unless it is there.
    pub(crate) async fn add(
        &self,
        tenant: &TenantId,
        agent: &str,
        entry: &Entry,
        now: UnixMillis,
    ) -> Result<(), BookError> {
        for _ in 0..TRIES {
            let Book { mut file, hash: before, exists } = self.read(tenant).await?;
            let rules: &mut Agent = file.agents.entry(agent.to_owned()).or_default();
            let same = |it: &Entry| {
                it.pattern == entry.pattern
                    && it.arg_pattern == entry.arg_pattern
                    && it.cwd == entry.cwd
            };
            if rules.allowlist.iter().any(same) {
                return Ok(());
            }
            rules.allowlist.push(entry.clone());
            check(&file).map_err(BookError::Invalid)?;
            let after = hash(&file)?;
            let before = exists.then_some(before.as_str());
            if self.write(tenant, before, &file, &after, now).await? {
                return Ok(());
            }
        }
        Err(BookError::Stale)
    }

    /// Notes that an entry was of use, if that is news.
    pub(crate) async fn used(
        &self,
        tenant: &TenantId,
        book: &Book,
        used: &Entry,
        command: &str,
        now: UnixMillis,
    ) -> Result<(), BookError> {
        let at = number(now);
        if used.last_used_at.is_some_and(|last| at - last < number(USED_EVERY)) {
            return Ok(());
        }
        let mut file = book.file.clone();
        let entries = file.agents.values_mut().flat_map(|it| &mut it.allowlist);
        for entry in entries.filter(|it| *it == used) {
            entry.last_used_at = Some(at);
            entry.last_used_command = Some(show::cut(command, MAX_TEXT / 2).0);
        }
        // Where somebody else was faster, the next use is noted.
        self.write(tenant, Some(&book.hash), &file, &book.hash, now).await.map(|_written| ())
    }

    async fn write(
        &self,
        tenant: &TenantId,
        before: Option<&str>,
        file: &File,
        hash: &str,
        now: UnixMillis,
    ) -> Result<bool, BookError> {
        let raw = serde_json::to_string(file).map_err(BookError::Unwritable)?;
        let new = Document { raw, hash: hash.to_owned(), updated_at: now };
        self.0.replace_approvals(tenant, before, &new).await.map_err(BookError::Records)
    }
}

impl Book {
    /// The lists that hold for an agent.
    pub(crate) fn entries<'a>(&'a self, agent: &AgentId) -> impl Iterator<Item = &'a Entry> {
        let lists = [agent.as_str(), ALL].map(|name| self.file.agents.get(name));
        lists.into_iter().flatten().flat_map(|it| &it.allowlist)
    }
}

/// Milliseconds as JSON has them.
fn number(at: UnixMillis) -> f64 {
    // Exact until the year 2106, and no decision depends on it.
    u32::try_from(at / 1000).map_or(f64::MAX, f64::from) * 1000.0
}

/// Every entry has a name.
fn numbered(mut file: File) -> File {
    let entries = file.agents.values_mut().flat_map(|it| &mut it.allowlist);
    for entry in entries.filter(|it| it.id.as_ref().is_none_or(String::is_empty)) {
        entry.id = Some(uuid::Uuid::new_v4().to_string());
    }
    file
}

/// What names a file: everything of it but when its entries were of use.
fn hash(file: &File) -> Result<String, BookError> {
    let mut file = file.clone();
    for entry in file.agents.values_mut().flat_map(|it| &mut it.allowlist) {
        (entry.last_used_at, entry.last_used_command, entry.last_resolved_path) =
            (None, None, None);
    }
    let text = serde_json::to_vec(&file).map_err(BookError::Unwritable)?;
    Ok(show::hex(digest(&SHA256, &text).as_ref()))
}

/// Which bound a file breaks.
fn check(file: &File) -> Result<(), String> {
    if file.version != VERSION {
        return Err(format!("file.version is {VERSION}"));
    }
    if file.agents.len() > MAX_AGENTS {
        return Err(format!("file.agents has at most {MAX_AGENTS} members"));
    }
    for (name, agent) in &file.agents {
        if name != ALL && name.parse::<AgentId>().is_err() {
            return Err("the members of file.agents are ids of agents, or *".to_owned());
        }
        if agent.allowlist.len() > MAX_ENTRIES || agent.mcp_tools.len() > MAX_ENTRIES {
            return Err(format!("a list in file.agents.{name} has at most {MAX_ENTRIES} entries"));
        }
        for entry in &agent.allowlist {
            check_entry(entry).map_err(|why| format!("file.agents.{name}.allowlist: {why}"))?;
        }
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), String> {
    let within = |what: &str, text: &str, max: usize| {
        if text.len() <= max { Ok(()) } else { Err(format!("{what} has at most {max} bytes")) }
    };
    if entry.pattern.trim().is_empty() {
        return Err("pattern is not empty".to_owned());
    }
    within("pattern", &entry.pattern, rules::MAX_PATTERN)?;
    rules::check(entry)?;
    let optional = [
        ("id", &entry.id, MAX_TEXT),
        ("cwd", &entry.cwd, rules::MAX_PATTERN),
        ("argPattern", &entry.arg_pattern, rules::MAX_ARGUMENTS),
        ("commandText", &entry.command_text, MAX_TEXT),
        ("lastUsedCommand", &entry.last_used_command, MAX_TEXT),
        ("lastResolvedPath", &entry.last_resolved_path, rules::MAX_PATTERN),
    ];
    optional.into_iter().try_for_each(|(what, text, max)| {
        text.as_ref().map_or(Ok(()), |text| within(what, text, max))
    })
}
