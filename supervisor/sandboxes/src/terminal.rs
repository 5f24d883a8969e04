//! Terminals: shells that people of a tenant type into. One outlives the connection that opened it and
//! can be seen by several; it ends when its shell does, when nobody types, or with the tenant.

mod listen;
mod live;
mod opener;
mod screen;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hub::Connection;
use proto::host::Size;
use sandbox::Class;
use sandbox::program::Spec;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{AgentId, UnixMillis};

use crate::bounds::{COLUMNS, ROWS};
use crate::command::{self, WORKSPACE};
use crate::environment::{self, Variables};
use crate::error::Bound;
use crate::lap::Lap;
use crate::master::Master;
use crate::metrics::Kind;
use crate::policy::Policy;
use crate::process::Ready;
use crate::programs::{Frame, Leave};
use crate::{Error, Programs};

use screen::Screen;

pub use listen::Found;
pub use opener::Opener;
pub use screen::{End, Heard, Seen};

/// Shells by name, with their programs and how they are told that a person types.
const SHELLS: [(&str, &[&str]); 3] = [
    ("bash", &["/bin/bash", "-l"]),
    ("sh", &["/bin/sh", "-l"]),
    ("python3", &["/usr/bin/python3"]),
];

/// The shell where nobody names one.
const SHELL: &str = "bash";

/// Bytes that may be typed at once.
pub const MAX_TYPED: usize = 64 << 10;

/// Pieces of what is typed that wait for the shell.
const TYPED: usize = 8;

/// How long whoever types waits for a shell that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which names a connection knows terminals' events by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `OpenClawMU`'s: `terminal.output`.
    Output,
    /// `OpenClaw`'s: `terminal.data`.
    Data,
}

/// A connection that sees a terminal.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Which.
    pub connection: Arc<Connection>,
    /// In which words.
    pub dialect: Dialect,
}

/// A terminal to be opened.
#[derive(Debug)]
pub struct Wish {
    /// In whose workspace.
    pub agent: AgentId,
    /// The shell's name or path; bash where none is named.
    pub shell: Option<String>,
    /// Columns and rows.
    pub size: (u32, u32),
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// The connection that sees it first.
    pub viewer: Option<Viewer>,
    /// With whose right it ends.
    pub opener: Opener,
    /// Now.
    pub at: UnixMillis,
}

/// What there is to know of a terminal.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id, a UUID.
    pub id: String,
    /// The number of its sandbox, never reused.
    pub number: u64,
    /// In whose workspace it began.
    pub agent: AgentId,
    /// The program.
    pub shell: &'static str,
    /// Where it began.
    pub cwd: &'static str,
    /// When.
    pub created_at: UnixMillis,
    /// When somebody last typed.
    pub typed_at: UnixMillis,
    /// Whether any connection sees it.
    pub attached: bool,
}

/// One open terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    id: String,
    number: u64,
    agent: AgentId,
    shell: &'static str,
    created_at: UnixMillis,
    master: Master,
    typed: mpsc::Sender<Bytes>,
    /// When somebody last typed, for the clock and for people.
    last: Mutex<(Instant, UnixMillis)>,
    screen: Mutex<Screen>,
    /// Who of the operators has typed.
    operators: Mutex<BTreeSet<String>>,
    stop: CancellationToken,
    /// It is gone.
    ended: CancellationToken,
}

impl Programs {
    /// Opens a terminal.
    ///
    /// # Errors
    /// When the settings or a bound forbid it, or the sandbox cannot be made.
    pub async fn open_terminal(self: &Arc<Self>, wish: Wish) -> Result<View, Error> {
        let opened = self.open_unnoted(wish).await;
        if let Err(err) = &opened {
            self.shared.metrics.refused(Kind::Terminal, err.reason());
            self.note_refusal(&format!("terminal refused: {err}"));
        }
        opened
    }

    async fn open_unnoted(self: &Arc<Self>, wish: Wish) -> Result<View, Error> {
        let Leave { pass, stop } = self.enter()?;
        let changes = self.changes();
        let policy = self.policy().await?;
        if let Some(setting) = policy.terminal.forbidden_by {
            return Err(Error::Forbidden(setting));
        }
        let argv = shell(wish.shell.as_deref())?;
        let env: Variables = wish.env.into_iter().collect();
        environment::check_of_terminal(&env, &policy.terminal.env)?;
        let size = size(wish.size)?;
        let place = self.shared.terminals.take(&self.owner.tenant).await?;
        let frame = self.frame(wish.agent, &policy);
        let mut lap = Lap::begin(&self.owner, &frame.agent).await?;
        let (shell, held) =
            (argv.first().copied().unwrap_or_default(), self.held(pass, place, Kind::Terminal));
        let spec = Spec {
            argv: argv.iter().map(|it| (*it).to_owned()).collect(),
            env: environment::terminal(&env, shell, frame.egress),
            cwd: WORKSPACE.to_owned(),
            terminal: Some(size),
            ..self.spec(&frame)
        };
        let ready = self.maker().make(self.order(&frame), &spec, held).await?;
        let Ready { process, master, listener, .. } = ready;
        let way_out = self.serve_way_out(listener)?;
        let master = Master::new(master.ok_or(Error::NotReady)?).map_err(Error::Descriptors)?;
        let (typed, waiting) = mpsc::channel(TYPED);
        let terminal = Arc::new(Terminal {
            id: uuid::Uuid::new_v4().to_string(),
            number: process.id(),
            agent: frame.agent,
            shell,
            created_at: wish.at,
            master,
            typed,
            last: Mutex::new((Instant::now(), wish.at)),
            screen: Mutex::new(Screen::new(wish.viewer)),
            operators: Mutex::default(),
            stop,
            ended: CancellationToken::new(),
        });
        lap.start();
        process.go()?;
        let (number, agent) = (terminal.number, &terminal.agent);
        self.note(&format!("terminal {number} begins: {shell} of agent {agent}"));
        self.terminals().insert(terminal.id.clone(), Arc::clone(&terminal));
        let live = live::Live {
            programs: Arc::clone(self),
            terminal: Arc::clone(&terminal),
            policy,
            changes,
        };
        drop(self.shared.tasks.spawn(async move {
            live.run((process, lap), waiting, wish.opener).await;
            drop(way_out);
        }));
        Ok(terminal.view())
    }

    /// Terminals that are open, by their ids.
    pub fn list_terminals(&self) -> Vec<View> {
        self.terminals().values().map(|it| it.view()).collect()
    }

    /// Types into a terminal. Waits a while for a shell that does not read.
    ///
    /// # Errors
    /// When there is no such terminal, too much is typed, or it is not read.
    pub async fn type_into(&self, id: &str, text: String, now: UnixMillis) -> Result<(), Error> {
        self.type_bytes(id, text.into(), now).await
    }

    /// The same with bytes, which need not be text.
    ///
    /// # Errors
    /// As for text.
    pub(crate) async fn type_bytes(
        &self,
        id: &str,
        bytes: Bytes,
        now: UnixMillis,
    ) -> Result<(), Error> {
        if bytes.len() > MAX_TYPED {
            return Err(Error::Invalid(format!("data: at most {MAX_TYPED} bytes at once")));
        }
        let terminal = self.find_terminal(id)?;
        *lock(&terminal.last) = (Instant::now(), now);
        if bytes.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, terminal.typed.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_ended)) => Err(Error::NoTerminal),
            Err(_elapsed) => Err(Error::Full(Bound::Input)),
        }
    }

    /// Gives a terminal another size.
    ///
    /// # Errors
    /// When there is no such terminal or no such size.
    pub fn resize_terminal(&self, id: &str, columns: u32, rows: u32) -> Result<(), Error> {
        let terminal = self.find_terminal(id)?;
        terminal.master.resize(size((columns, rows))?).map_err(Error::Descriptors)
    }

    /// Ends a terminal, and returns when nothing of it is left.
    ///
    /// # Errors
    /// When there is no such terminal.
    pub async fn close_terminal(&self, id: &str) -> Result<(), Error> {
        let terminal = self.find_terminal(id)?;
        terminal.stop.cancel();
        terminal.ended().await;
        Ok(())
    }

    /// What a terminal has shown of late; a viewer sees what it shows from then on.
    ///
    /// # Errors
    /// When there is no such terminal, or too many see it.
    pub fn see_terminal(&self, id: &str, viewer: Option<Viewer>) -> Result<(View, Seen), Error> {
        let terminal = self.find_terminal(id)?;
        let seen = lock(&terminal.screen).see(viewer)?;
        Ok((terminal.view(), seen))
    }

    fn frame(&self, agent: AgentId, policy: &Policy) -> Frame {
        let egress = self.egress(policy);
        Frame { agent, class: Class::Terminal, egress, seconds: policy.terminal.max_s }
    }

    fn find_terminal(&self, id: &str) -> Result<Arc<Terminal>, Error> {
        self.terminals().get(id).cloned().ok_or(Error::NoTerminal)
    }

    pub(crate) fn terminals(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Terminal>>> {
        lock(&self.terminals)
    }
}

impl Terminal {
    /// Resolves when it is gone and everybody who saw it has been told.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn view(&self) -> View {
        View {
            id: self.id.clone(),
            number: self.number,
            agent: self.agent.clone(),
            shell: self.shell,
            cwd: WORKSPACE,
            created_at: self.created_at,
            typed_at: lock(&self.last).1,
            attached: lock(&self.screen).is_seen(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The command line of a shell that is named by its name or its usual path.
fn shell(named: Option<&str>) -> Result<&'static [&'static str], Error> {
    let named = named.unwrap_or(SHELL);
    let is = |it: &&(&str, &[&str])| it.0 == named || it.1.first() == Some(&named);
    SHELLS.iter().find(is).map(|(_, argv)| *argv).ok_or_else(|| {
        let known = SHELLS.map(|(name, _)| name).join(", ");
        Error::Invalid(format!("shell: one of {known}"))
    })
}

fn size((columns, rows): (u32, u32)) -> Result<(u16, u16), Error> {
    command::size(Size { columns, rows }).map_err(|_range| {
        let limit = format!("cols and rows: from 1 to {} and {}", COLUMNS.end(), ROWS.end());
        Error::Invalid(limit)
    })
}

#[cfg(test)]
mod tests;
