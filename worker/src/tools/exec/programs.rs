//! The programs of this worker that run or have ended not long ago: started, listened to, stopped.
//!
//! A program is a call to the supervisor; what starts it and where it runs is decided there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::host::run_event::What;
use proto::host::run_request::What as Asked;
use proto::host::{Command, Ended, RunEvent, RunRequest};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use types::{AgentId, UnixMillis};

use super::output::Output;
use crate::service::Core;
use crate::tools::Failure;

/// Programs of one agent that run at once, and of all agents: each keeps 256 KiB of output.
const MAX_OF_AGENT: usize = 16;
const MAX_RUNNING: usize = 32;
/// Programs that have ended and are still listed, and for how long, in milliseconds.
const MAX_ENDED: usize = 32;
const KEPT_FOR: u64 = 30 * 60 * 1000;
/// How often those are looked for that ended longer ago.
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// How long programs may take to end that are stopped for good; the supervisor kills them.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// Pieces of input that wait for a program to take them; who sends more waits too.
const INPUTS: usize = 8;

/// The programs. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    programs: Vec<Arc<Program>>,
    /// Whether a task looks for those that ended long ago.
    is_swept: bool,
}

/// One program.
#[derive(Debug)]
pub(in crate::tools) struct Program {
    /// What the model calls it.
    pub(in crate::tools) id: String,
    pub(in crate::tools) agent: AgentId,
    /// The command line as the model wrote it.
    pub(in crate::tools) line: String,
    pub(in crate::tools) started_at: UnixMillis,
    pub(in crate::tools) has_terminal: bool,
    /// Whether a model knows of it: one that ends before is told by the call that started it.
    is_listed: AtomicBool,
    input: mpsc::Sender<RunRequest>,
    stop: CancellationToken,
    output: Mutex<Output>,
    /// How much of the output was polled.
    polled: AtomicU64,
    /// Told of new output too.
    state: watch::Sender<State>,
}

/// How far a program is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tools) enum State {
    /// It was asked for.
    Starting,
    /// Somebody must agree first.
    Waiting { approval: String },
    /// It runs.
    Running,
    /// It has ended.
    Ended { how: End, at: UnixMillis },
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tools) enum End {
    /// As the supervisor says.
    Told(Ended),
    /// It was never run, or was lost.
    Failed(Failure),
    /// The worker gave it up.
    Stopped,
}

impl Programs {
    /// Starts a program. It runs until it ends or is stopped, whoever waits for it.
    pub(super) fn start(
        &self,
        core: &Core,
        agent: &AgentId,
        line: String,
        command: Command,
    ) -> Result<Arc<Program>, Failure> {
        let (input, requests) = mpsc::channel(INPUTS);
        let has_terminal = command.terminal.is_some();
        let first = RunRequest { what: Some(Asked::Command(command)) };
        input.try_send(first).map_err(|_full| Failure::Failed("no room".to_owned()))?;
        let program = Arc::new(Program {
            id: uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect(),
            agent: agent.clone(),
            line,
            started_at: core.store.now(),
            has_terminal,
            is_listed: AtomicBool::new(false),
            input,
            stop: CancellationToken::new(),
            output: Mutex::default(),
            polled: AtomicU64::new(0),
            state: watch::Sender::new(State::Starting),
        });
        self.admit(&program, core.store.now())?;
        let (core, driven, programs) = (core.clone(), Arc::clone(&program), self.clone());
        let tasks = core.tasks.clone();
        tasks.spawn_until_stopped(async move {
            // A worker with a running program is not idle.
            let _background = core.events.background();
            let mut ending = Ending { core: &core, program: &driven, how: End::Stopped };
            ending.how = tokio::select! {
                () = driven.stop.cancelled() => End::Stopped,
                how = driven.follow(&core, requests) => how,
            };
            drop(ending);
            programs.sweep(&core);
        });
        Ok(program)
    }

    /// Stops every program of an agent and waits for their ends. False where some took too long.
    pub(crate) async fn stop_all_of(&self, agent: &AgentId, now: UnixMillis) -> bool {
        let of_agent = |it: &&Arc<Program>| it.agent == *agent;
        let programs: Vec<_> =
            self.lock(now).programs.iter().filter(of_agent).map(Arc::clone).collect();
        for program in &programs {
            program.stop();
        }
        let ends = async {
            for program in &programs {
                let mut state = program.watch();
                // The sender is the program's own, which is held here.
                drop(state.wait_for(|state| matches!(state, State::Ended { .. })).await);
            }
        };
        let is_over = tokio::time::timeout(STOP_PATIENCE, ends).await.is_ok();
        self.lock(now).programs.retain(|it| it.agent != *agent || it.is_running());
        is_over
    }

    /// Has a task look for programs that ended long ago, as long as there are any that have ended:
    /// nobody may call a tool again who would do so.
    fn sweep(&self, core: &Core) {
        if std::mem::replace(&mut self.lock(core.store.now()).is_swept, true) {
            return;
        }
        let (programs, store) = (self.clone(), core.store.clone());
        core.tasks.spawn_until_stopped(async move {
            loop {
                tokio::time::sleep_until(Instant::now() + SWEEP_EVERY).await;
                let mut all = programs.lock(store.now());
                if all.programs.iter().all(|it| it.is_running()) {
                    all.is_swept = false;
                    return;
                }
            }
        });
    }

    fn admit(&self, program: &Arc<Program>, now: UnixMillis) -> Result<(), Failure> {
        let mut all = self.lock(now);
        let running = all.programs.iter().filter(|it| it.is_running());
        let of_agent = running.clone().filter(|it| it.agent == program.agent).count();
        let (what, max) = if of_agent >= MAX_OF_AGENT {
            ("of this agent", MAX_OF_AGENT)
        } else if running.count() >= MAX_RUNNING {
            ("of all agents", MAX_RUNNING)
        } else {
            all.programs.push(Arc::clone(program));
            return Ok(());
        };
        let what = format!("{max} programs {what} run already: end one with the tool process");
        Err(Failure::Refused(what))
    }

    /// The programs of an agent that models know of, the oldest first.
    pub(in crate::tools) fn of(&self, agent: &AgentId, now: UnixMillis) -> Vec<Arc<Program>> {
        let all = self.lock(now);
        let listed = |it: &&Arc<Program>| it.agent == *agent && it.is_listed();
        let of_agent = all.programs.iter().filter(listed);
        of_agent.map(Arc::clone).collect()
    }

    /// Takes a program off the list and stops it.
    pub(in crate::tools) fn remove(&self, program: &Program, now: UnixMillis) {
        program.stop();
        self.lock(now).programs.retain(|it| it.id != program.id);
    }

    /// All programs, without those that ended long ago.
    fn lock(&self, now: UnixMillis) -> MutexGuard<'_, All> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = all.programs.iter().filter(|it| !it.is_running()).count();
        let mut too_many = ended.saturating_sub(MAX_ENDED);
        all.programs.retain(|it| match &*it.state.borrow() {
            State::Ended { at, .. } => {
                let is_over = too_many > 0 || now.saturating_sub(*at) > KEPT_FOR;
                too_many = too_many.saturating_sub(1);
                !is_over
            }
            State::Starting | State::Waiting { .. } | State::Running => true,
        });
        all
    }
}

/// Says how a program ended, also where its task is given up.
struct Ending<'a> {
    core: &'a Core,
    program: &'a Program,
    how: End,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.program.output().shrink();
        let how = std::mem::replace(&mut self.how, End::Stopped);
        self.program.state.send_replace(State::Ended { how, at: self.core.store.now() });
    }
}

impl Program {
    /// Asks for the program and takes in what it says, to its end.
    async fn follow(&self, core: &Core, requests: mpsc::Receiver<RunRequest>) -> End {
        let mut events = match core.sandbox.run(requests).await {
            Ok(events) => events,
            Err(status) => return End::Failed(refused(&status)),
        };
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if let Some(ended) = self.take(event) {
                        return End::Told(ended);
                    }
                }
                Err(status) => return End::Failed(refused(&status)),
            }
        }
        End::Failed(Failure::Failed("the program was lost".to_owned()))
    }

    fn take(&self, event: RunEvent) -> Option<Ended> {
        match event.what? {
            What::Waiting(it) => {
                self.state.send_replace(State::Waiting { approval: it.approval_id });
            }
            What::Running(_) => drop(self.state.send_replace(State::Running)),
            What::Stdout(bytes) | What::Stderr(bytes) => {
                self.output().push(&bytes);
                self.state.send_modify(|_same| ());
            }
            What::Ended(ended) => return Some(ended),
        }
        None
    }

    /// Whether it has not ended.
    pub(in crate::tools) fn is_running(&self) -> bool {
        !matches!(*self.state.borrow(), State::Ended { .. })
    }

    /// Lets models know of it.
    pub(super) fn list(&self) {
        self.is_listed.store(true, Ordering::Relaxed);
    }

    fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::Relaxed)
    }

    /// Ends it, and everything that it left behind.
    pub(in crate::tools) fn stop(&self) {
        self.stop.cancel();
    }

    /// How far it is, from now on; changes with new output too.
    pub(in crate::tools) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// How far it is.
    pub(in crate::tools) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Sends input. Waits for as long as the program takes none.
    pub(in crate::tools) async fn send(&self, what: Asked) -> Result<(), Failure> {
        let sent = self.input.send(RunRequest { what: Some(what) }).await;
        sent.map_err(|_ended| Failure::Failed(format!("program {} has ended", self.id)))
    }

    /// All output that is kept, at most `max` bytes.
    pub(in crate::tools) fn text(&self, max: usize) -> String {
        self.output().text(max)
    }

    /// The last `max` bytes of output.
    pub(in crate::tools) fn last(&self, max: usize) -> String {
        self.output().last(max)
    }

    /// Output since this was called last, at most `max` bytes of it.
    pub(in crate::tools) fn poll(&self, max: usize) -> String {
        let output = self.output();
        let (end, most) = (output.end(), u64::try_from(max).unwrap_or(u64::MAX));
        let mark = self.polled.swap(end, Ordering::Relaxed);
        output.since(mark.max(end.saturating_sub(most)))
    }

    /// Whether there is output that was not polled.
    pub(in crate::tools) fn has_more(&self) -> bool {
        self.output().end() > self.polled.load(Ordering::Relaxed)
    }

    /// Counts what a call has shown as polled.
    pub(super) fn mark_shown(&self) {
        self.polled.store(self.output().end(), Ordering::Relaxed);
    }

    /// Forgets the output so far.
    pub(in crate::tools) fn clear(&self) {
        self.output().clear();
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the supervisor's refusal means to a model. Its messages are made to be read by one.
pub(in crate::tools) fn refused(status: &Status) -> Failure {
    let text = status.message().to_owned();
    match status.code() {
        Code::PermissionDenied | Code::ResourceExhausted => Failure::Refused(text),
        Code::InvalidArgument => Failure::Invalid(text),
        Code::Unimplemented => Failure::Refused("this tenant may not do that".to_owned()),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Failure::Failed(text),
    }
}
