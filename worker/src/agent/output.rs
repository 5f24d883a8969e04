//! Where a turn's reply goes: to an HTTP reply, in the form of its surface, or out as events.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use proto::host::llm_event::Event;
use proto::worker::ServePart;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::run::{RunHandle, RunStatus};
use super::told::{Told, ToolEvent};
use super::turn::{Cut, Failed};
use crate::openai::{Fault, Fold, head, whole};
use crate::runs::Run;
use crate::store::{SessionId, Stop};

/// The form of an HTTP reply.
pub(crate) trait Writer: Send + Sync + fmt::Debug {
    /// Whether it goes out piece by piece; otherwise nothing is taken before its end.
    fn is_stream(&self) -> bool;
    /// Writes one event of the model.
    fn event(&mut self, event: &Event);
    /// Writes the end of a good reply.
    fn finish(&mut self, fold: &Fold);
    /// Writes a failure after the head has gone.
    fn error(&mut self, fault: &Fault);
    /// What has been written since the last time; empty where nothing has.
    fn take(&mut self) -> Bytes;
}

/// A run that may be stopped or take too long, and who is told of it.
#[derive(Debug)]
pub(super) struct Output {
    run: Run,
    deadline: Option<Instant>,
    to: To,
}

#[derive(Debug)]
enum To {
    Http(Http),
    Events(Box<Told>),
}

/// A client that may go away.
#[derive(Debug)]
struct Http {
    parts: mpsc::Sender<ServePart>,
    writer: Box<dyn Writer>,
    head_sent: bool,
}

impl Output {
    /// A reply that goes to `parts`.
    pub(super) fn http(run: Run, parts: mpsc::Sender<ServePart>, writer: Box<dyn Writer>) -> Self {
        let to = To::Http(Http { parts, writer, head_sent: false });
        Self { run, deadline: None, to }
    }

    /// A reply that goes out as events.
    pub(super) fn events(run: Run, told: Told) -> Self {
        Self { run, deadline: None, to: To::Events(Box::new(told)) }
    }

    /// Cuts the run short after `timeout` from now.
    pub(super) fn limit(&mut self, timeout: Duration) {
        self.deadline = Instant::now().checked_add(timeout);
    }

    /// The result of `work`, unless the run is cut short first.
    pub(super) async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            biased;
            () = self.run.stopped() => Err(Cut::Stopped),
            () = self.gone() => Err(Cut::Gone),
            done = self.in_time(work) => done,
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        match self.deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline, work).await.map_err(|_elapsed| Cut::TimedOut)
            }
            None => Ok(work.await),
        }
    }

    /// Resolves when the client goes away.
    async fn gone(&self) {
        match &self.to {
            To::Http(http) => http.parts.closed().await,
            To::Events(_) => std::future::pending().await,
        }
    }

    /// The result of `work`; what is held back meanwhile goes out when its time has come.
    pub(super) async fn next<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::pin!(work);
        loop {
            let due = match &self.to {
                To::Events(told) => told.due(),
                To::Http(_) => None,
            };
            let Some(due) = due else { return self.unless_cut(work).await };
            match self.unless_cut(tokio::time::timeout_at(due, &mut work)).await? {
                Ok(done) => return Ok(done),
                Err(_elapsed) => self.flush().await?,
            }
        }
    }

    /// Says what the run is about to do.
    pub(super) fn phase(&mut self, phase: &'static str) {
        if let To::Events(told) = &mut self.to {
            told.phase(phase);
        }
    }

    /// Says that the run has its session.
    pub(super) fn started(&mut self, session: &SessionId) {
        if let To::Events(told) = &mut self.to {
            told.started(session);
        }
    }

    /// Says that the conversation is being compacted, or has been.
    pub(super) fn compacting(&mut self, phase: &'static str, completed: Option<bool>) {
        if let To::Events(told) = &mut self.to {
            told.compacting(phase, completed);
        }
    }

    /// Says what becomes of a call of a tool.
    pub(super) fn tool(&mut self, event: &ToolEvent) {
        if let To::Events(told) = &mut self.to {
            told.tool(event);
        }
    }

    /// Says that the model is about to be asked again.
    pub(super) fn next_answer(&mut self) {
        if let To::Events(told) = &mut self.to {
            told.next_answer();
        }
    }

    /// Writes one event; nothing is sent before [`Output::flush`].
    pub(super) fn event(&mut self, event: &Event) {
        match &mut self.to {
            To::Http(http) => http.writer.event(event),
            To::Events(told) => told.event(event),
        }
    }

    /// Sends what has been written and is due.
    pub(super) async fn flush(&mut self) -> Result<(), Cut> {
        let http = match &mut self.to {
            To::Http(http) => http,
            To::Events(told) => {
                told.flush();
                return Ok(());
            }
        };
        let data = http.writer.take();
        if data.is_empty() {
            return Ok(());
        }
        let first = !std::mem::replace(&mut http.head_sent, true);
        let part = ServePart { head: first.then_some(head(true)), data };
        let parts = http.parts.clone();
        self.unless_cut(parts.send(part)).await?.map_err(|_closed| Cut::Gone)
    }

    /// Sends the end of a good reply.
    pub(super) async fn finish(&mut self, fold: &Fold) {
        match &mut self.to {
            To::Http(http) => {
                http.writer.finish(fold);
                http.last().await;
            }
            To::Events(told) => told.finish(fold),
        }
    }

    /// Sends a failure: as a status where nothing has gone out yet, else as an event.
    pub(super) async fn fail(&mut self, failed: &Failed) {
        match &mut self.to {
            To::Http(http) if http.writer.is_stream() && http.head_sent => {
                http.writer.error(&failed.fault);
                http.last().await;
            }
            To::Http(http) => http.send(failed.fault.part()).await,
            To::Events(told) => told.fail(failed),
        }
    }

    /// Sends the answer to a command.
    pub(super) fn said(&mut self, text: &str) {
        if let To::Events(told) = &mut self.to {
            told.said(text);
        }
    }

    /// Ends with another run, which took this one's message.
    pub(super) async fn join(&mut self, leader: Option<RunHandle>) {
        let To::Events(told) = &mut self.to else { return };
        match leader {
            Some(leader) => told.join(&*leader.done().await),
            None => told.fail(&Failed { status: RunStatus::Aborted, fault: Fault::stopped() }),
        }
    }

    /// How a reply that was cut short is stored, and what its client is told.
    pub(super) fn ending(&self, cut: Cut) -> (Stop, Option<Failed>) {
        match cut {
            Cut::TooLong => (Stop::Length, None),
            Cut::Failed(fault) => (Stop::Error, Some(Failed { status: RunStatus::Error, fault })),
            cut @ (Cut::Stopped | Cut::Gone | Cut::TimedOut) => {
                (Stop::Aborted, Some(self.failed(cut)))
            }
        }
    }

    /// What is told of a run that was cut short.
    pub(super) fn failed(&self, cut: Cut) -> Failed {
        match cut {
            Cut::Failed(fault) => Failed { status: RunStatus::Error, fault },
            Cut::TimedOut => Failed { status: RunStatus::Timeout, fault: Fault::timed_out() },
            Cut::Stopped if self.run.is_shutdown() => {
                Failed { status: RunStatus::Error, fault: Fault::shutting_down() }
            }
            // Nobody reads what is said to a client that has gone.
            Cut::Stopped | Cut::Gone | Cut::TooLong => {
                Failed { status: RunStatus::Aborted, fault: Fault::stopped() }
            }
        }
    }
}

impl Http {
    async fn last(&mut self) {
        let data = self.writer.take();
        if !self.writer.is_stream() {
            return self.send(whole(data)).await;
        }
        let first = !std::mem::replace(&mut self.head_sent, true);
        self.send(ServePart { head: first.then_some(head(true)), data }).await;
    }

    async fn send(&self, part: ServePart) {
        if self.parts.send(part).await.is_err() {
            tracing::debug!("the client left before the end of its reply");
        }
    }
}
