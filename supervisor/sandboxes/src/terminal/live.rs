//! The task of one terminal: shows what its shell prints, types what people type, and watches the
//! clock. It reads no faster than those who see it, and a slow one is left behind after a while.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::screen::{End, Way};
use super::{Opener, Terminal, lock};
use crate::bounds::FRAME;
use crate::lap::Lap;
use crate::metrics::Kind;
use crate::policy::Policy;
use crate::process::{Cause, KILLED, Process};
use crate::programs::{Changes, Programs};
use crate::run::millis;

/// How long a shell waits for a connection that does not read.
const SLOW: Duration = Duration::from_secs(5);

/// How long what a shell has printed before its end may take to be read.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// One terminal while it lives.
pub(super) struct Live {
    pub(super) programs: Arc<Programs>,
    pub(super) terminal: Arc<Terminal>,
    pub(super) policy: Policy,
    pub(super) changes: Changes,
}

/// How it ended, for the count and for those who see it.
type Outcome = (Cause, End);

impl Live {
    /// Runs until the terminal's end.
    pub(super) async fn run(
        self,
        (process, mut lap): (Process, Lap),
        typed: mpsc::Receiver<Bytes>,
        opener: Opener,
    ) {
        let (began, id) = (Instant::now(), process.id());
        let (cause, end) = {
            let mut io = pin!(join(self.show(), self.types(typed)).fuse());
            let mut watch = pin!(self.watch(&process, began, opener));
            let mut over = pin!(lap.run_out());
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut watch => break outcome,
                    limit = &mut over => {
                        self.programs.note(&format!("terminal {id}: {limit}"));
                        let end = End { code: None, signal: None, reason: "expired" };
                        break (Cause::Stopped, end);
                    }
                    _ = &mut io => {}
                }
            }
        };
        // Known as over before its place is given back, so that whoever waits for that finds none.
        self.programs.remember(&self.terminal.id, end);
        // What was printed last is in the terminal's own buffer still.
        let rest = tokio::time::timeout(LAST_BYTES, self.show());
        let ((finish, held), _rest) = join(process.finish(), rest).await;
        drop(lap);
        let Self { programs, terminal, .. } = self;
        let cause = cause.with(finish.oom_kills, end.code.unwrap_or(KILLED));
        programs.shared.metrics.ended(Kind::Terminal, cause);
        let (wall, cpu) = (millis(began.elapsed()), millis(finish.cpu));
        let reason = end.reason;
        programs.note(&format!("terminal {id} ends: {reason}, {wall} ms, {cpu} ms of CPU"));
        lock(&terminal.screen).end(end, Way { hub: &programs.shared.hub, id: &terminal.id });
        terminal.ended.cancel();
        // Whoever waits for all of the tenant's to be over waits until everybody has heard.
        drop(held);
    }

    /// Waits for whatever ends it first.
    async fn watch(&self, process: &Process, began: Instant, opener: Opener) -> Outcome {
        let policy = &self.policy.terminal;
        let end = |reason| End { code: None, signal: None, reason };
        tokio::select! {
            biased;
            () = self.terminal.stop.cancelled() => (Cause::Stopped, end("closed")),
            () = opener.revoked() => (Cause::Stopped, end("closed")),
            () = self.programs.forbidden(self.changes.clone(), |it| it.terminal.forbidden_by) => {
                (Cause::Stopped, end("closed"))
            }
            ended = process.ended() => match ended {
                Some((code, signal)) => {
                    let cause = if signal.is_some() { Cause::Signal } else { Cause::Exit };
                    (cause, End { code: Some(code), signal, reason: "process_exit" })
                }
                None => (Cause::Failed, end("error")),
            },
            () = tokio::time::sleep_until(began + Duration::from_secs(policy.max_s)) => {
                (Cause::Timeout, end("expired"))
            }
            () = self.idle(Duration::from_secs(policy.idle_s)) => (Cause::Timeout, end("idle")),
        }
    }

    /// Resolves when nobody has typed for so long.
    async fn idle(&self, most: Duration) {
        loop {
            let until = lock(&self.terminal.last).0 + most;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Shows what the shell prints, until nobody has the terminal open any more.
    async fn show(&self) {
        let mut buffer = vec![0; FRAME];
        loop {
            let read = match self.terminal.master.read(&mut buffer).await {
                Ok(0) => return,
                Ok(read) => read,
                Err(err) => {
                    tracing::debug!(error = %types::Chain(&err), "a terminal is unreadable");
                    return;
                }
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            lock(&self.terminal.screen).show(bytes, self.way());
            self.keep_pace().await;
        }
    }

    /// Waits for those who see it to have read; who takes too long sees it no more.
    async fn keep_pace(&self) {
        let (connections, listeners) = {
            let screen = lock(&self.terminal.screen);
            (screen.connections(), screen.listeners())
        };
        let until = Instant::now() + SLOW;
        for listener in listeners {
            if tokio::time::timeout_at(until, listener.reserve()).await.is_err() {
                lock(&self.terminal.screen).forget(&listener);
            }
        }
        let read = connections.iter().map(|it| tokio::time::timeout_at(until, it.unloaded()));
        let read = join_all(read).await;
        for (connection, read) in connections.iter().zip(read) {
            if read.is_err() {
                lock(&self.terminal.screen).detach(connection, self.way());
            }
        }
    }

    /// Types what people type.
    async fn types(&self, mut typed: mpsc::Receiver<Bytes>) {
        while let Some(mut bytes) = typed.recv().await {
            while !bytes.is_empty() {
                match self.terminal.master.write(&bytes).await {
                    Ok(written) => drop(bytes.split_to(written.min(bytes.len()))),
                    Err(err) => {
                        tracing::debug!(error = %types::Chain(&err), "a terminal takes no keys");
                        return;
                    }
                }
            }
        }
    }

    fn way(&self) -> Way<'_> {
        Way { hub: &self.programs.shared.hub, id: &self.terminal.id }
    }
}
