//! One command of a worker, in the order that holds for every one: what the settings allow, who has
//! to agree, a place, the sandbox, its bytes, its end. A worker that hangs up ends it at any point.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{FusedFuture as _, join};
use proto::host::run_event::What;
use proto::host::{Ended, RunEvent, RunRequest, Running, Waiting};
use sandbox::Class;
use sandbox::program::Spec;
use tokio::time::Instant;
use tonic::Streaming;

use crate::bounds::{LAST_BYTES, TIMEOUT_S};
use crate::command::Command;
use crate::consent::Asking;
use crate::environment::Variables;
use crate::lap::Lap;
use crate::master::Master;
use crate::metrics::Kind;
use crate::policy::Policy;
use crate::process::{Cause, KILLED, Process, Ready};
use crate::programs::{Changes, Frame, Leave, Programs};
use crate::relay::{Events, Feed, Flow, Sink, Source};
use crate::{Error, environment};

/// One call of `Sandbox.Run` after its first message.
pub(crate) struct Run {
    pub(crate) programs: Arc<Programs>,
    pub(crate) command: Command,
    pub(crate) requests: Streaming<RunRequest>,
    pub(crate) events: Events,
}

/// A sandbox whose command begins.
struct Begun {
    ready: Ready,
    seconds: u64,
    changes: Changes,
    lap: Lap,
}

/// Why a command is not watched any more.
enum Break {
    /// It ended, or had to.
    Ended(Cause, i32),
    /// Its worker asks for what cannot be done.
    Asked(Error),
}

impl Run {
    /// Runs the command to its end, and tells the worker how it went.
    pub(crate) async fn serve(mut self) {
        let events = self.events.clone();
        if let Err(err) = self.run().await {
            self.programs.shared.metrics.refused(Kind::Command, err.reason());
            let (agent, program) = (&self.command.agent, self.command.program());
            self.programs.note_refusal(&format!("exec refused: {program} of agent {agent}: {err}"));
            // Who does not listen any more needs no answer.
            events.send(Err(err.status())).await.unwrap_or_default();
        }
    }

    async fn run(&mut self) -> Result<(), Error> {
        let Leave { pass, stop } = self.programs.enter()?;
        let begun = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Error::Closed),
            () = self.events.closed() => return Ok(()),
            begun = self.begin(pass) => begun?,
        };
        self.relay(begun, stop.cancelled()).await
    }

    /// From what the settings say to a sandbox whose init waits for the word.
    async fn begin(&self, pass: runtime::Pass) -> Result<Begun, Error> {
        let changes = self.programs.changes();
        let rules = self.policy().await?.exec.rules;
        let secrets = self.secrets().await?;
        let asking = Asking::new(&self.command, &secrets);
        let waits = async |id: &str, expires_at_ms: u64| {
            let approval_id = id.to_owned();
            self.say(What::Waiting(Waiting { approval_id, expires_at_ms })).await;
        };
        let agreed = asking.decide(&self.programs, rules, waits).await?;
        let place = self.programs.shared.commands.take(&self.programs.owner.tenant).await?;
        // A person may have taken half an hour. What is forbidden meanwhile is forbidden, and what was
        // agreed to is run with what it was agreed to with.
        let policy = self.policy().await?;
        if policy.exec.rules != rules || self.secrets().await? != secrets {
            return Err(Error::Changed);
        }
        let lap = Lap::begin(&self.programs.owner, &self.command.agent).await?;
        let frame = self.frame(&policy);
        let path = asking.search_path(&agreed)?;
        let spec = self.spec(&frame, secrets.clone(), path);
        let held = self.programs.held(pass, place, Kind::Command);
        let ready = self.programs.maker().make(self.programs.order(&frame), &spec, held).await?;
        let (agent, program, id) =
            (&self.command.agent, self.command.program(), ready.process.id());
        let by = agreed.id.map_or_else(String::new, |it| format!(", approved as {it}"));
        self.programs.note(&format!("exec {id} begins: {program} of agent {agent}{by}"));
        Ok(Begun { ready, seconds: frame.seconds, changes, lap })
    }

    /// What the settings say now, unless they say that nothing runs.
    async fn policy(&self) -> Result<Policy, Error> {
        let policy = self.programs.policy().await?;
        match policy.exec.forbidden_by(&self.command.agent) {
            Some(setting) => Err(Error::Forbidden(setting)),
            None => Ok(policy),
        }
    }

    fn frame(&self, policy: &Policy) -> Frame {
        let most = self.programs.shared.bounds.timeout_s;
        let wanted = self.command.timeout_s.or(policy.exec.timeout_s).unwrap_or(TIMEOUT_S);
        Frame {
            agent: self.command.agent.clone(),
            class: Class::Command,
            egress: self.programs.egress(policy),
            seconds: u64::from(wanted.min(most)),
        }
    }

    fn spec(&self, frame: &Frame, secrets: Variables, path: Option<&'static str>) -> Spec {
        let command = &self.command;
        let kind =
            environment::Kind { terminal: command.terminal.is_some(), proxy: frame.egress, path };
        Spec {
            argv: command.argv.clone(),
            env: environment::command(&command.env, secrets, kind),
            cwd: command.cwd.clone(),
            terminal: command.terminal,
            files: command.files.clone(),
            ..self.programs.spec(frame)
        }
    }

    /// The variables of the skill that the command is run for.
    async fn secrets(&self) -> Result<Variables, Error> {
        let Some(skill) = &self.command.skill else { return Ok(Variables::new()) };
        let (settings, tenant) = (&self.programs.shared.settings, &self.programs.owner.tenant);
        let view = settings.skill(tenant, skill).await.map_err(Error::Settings)?;
        if view.enabled == Some(false) {
            return Err(Error::Forbidden("skills.entries.*.enabled"));
        }
        let own = settings.own_skill_env(tenant, skill).await.map_err(Error::Settings)?;
        let own = own.into_iter().map(|(name, secret)| {
            environment::may_set(&name)?;
            if self.command.env.iter().any(|(known, _)| *known == name) {
                return Err(Error::Variable { name, why: "the command's skill sets it" });
            }
            Ok((name, secret.expose().to_owned()))
        });
        own.collect()
    }

    /// Bytes until the command's end, and its end.
    async fn relay(
        &mut self,
        begun: Begun,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let until = Duration::from_secs(begun.seconds);
        let mut lap = begun.lap;
        let Ready { process, pipes, master, listener } = begun.ready;
        let _way_out = self.programs.serve_way_out(listener)?;
        let master = master.map(Master::new).transpose().map_err(Error::Descriptors)?;
        let errors = Source::Pipe(pipes.stderr);
        let (sink, output) = match master.map(Arc::new) {
            Some(master) => (Sink::Terminal(Arc::clone(&master)), Source::Terminal(master)),
            None => (Sink::Pipe(pipes.stdin), Source::Pipe(pipes.stdout)),
        };
        let start = Instant::now();
        lap.start();
        process.go()?;
        let running = What::Running(Running { id: process.id() });
        self.say(running).await;
        let flow = Flow::new(self.events.clone(), self.programs.shared.bounds.output_bytes);
        let pumps = join(flow.pump(output, What::Stdout), flow.pump(errors, What::Stderr));
        let mut pumps = pin!(pumps.fuse());
        let ended = {
            let watch = watch(&process, &flow, &self.events, start + until);
            let requests = Feed { process: &process, requests: &mut self.requests, sink };
            let (mut watch, mut feed) = (pin!(watch), pin!(requests.run().fuse()));
            let mut stopped = pin!(stopped);
            let mut over = pin!(lap.run_out());
            let agent = &self.command.agent;
            let by = |it: &Policy| it.exec.forbidden_by(agent);
            let mut forbidden = pin!(self.programs.forbidden(begun.changes, by));
            loop {
                tokio::select! {
                    biased;
                    () = &mut stopped => break Break::Ended(Cause::Stopped, KILLED),
                    () = &mut forbidden => break Break::Ended(Cause::Stopped, KILLED),
                    (cause, code) = &mut watch => break Break::Ended(cause, code),
                    limit = &mut over => break Break::Asked(limit),
                    asked = &mut feed => if let Err(err) = asked { break Break::Asked(err) },
                    _ = &mut pumps => {}
                }
            }
        };
        let wall = start.elapsed();
        let id = process.id();
        let rest = async {
            // One that has ended says so no second time.
            if !pumps.is_terminated() && tokio::time::timeout(LAST_BYTES, pumps).await.is_err() {
                tracing::debug!(sandbox = id, "what a program left in its pipes was not read");
            }
        };
        let finish = async { process.finish().await.0 };
        let (finish, ()) = join(finish, rest).await;
        drop(lap);
        let (cause, code, asked) = match ended {
            Break::Asked(err) => (Cause::Stopped, KILLED, Some(err)),
            Break::Ended(cause, code) => (cause.with(finish.oom_kills, code), code, None),
        };
        let ended = told((cause, code), (wall, finish.cpu), flow.dropped());
        self.end(id, cause, ended, asked).await;
        Ok(())
    }

    /// Counts the end of a command, notes it and tells the worker, with what it may not ask if that
    /// is why.
    async fn end(&self, id: u64, cause: Cause, ended: Ended, asked: Option<Error>) {
        self.programs.shared.metrics.ended(Kind::Command, cause);
        let Ended { reason, code, wall_ms, cpu_ms, dropped_bytes, .. } = &ended;
        let why = asked.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        self.programs.note(&format!(
            "exec {id} ends: {reason}, code {code}, {wall_ms} ms, {cpu_ms} ms of CPU, \
             {dropped_bytes} bytes dropped{why}"
        ));
        match asked {
            // Who does not listen any more needs no answer.
            Some(err) => self.events.send(Err(err.status())).await.unwrap_or_default(),
            None => self.say(What::Ended(ended)).await,
        }
    }

    async fn say(&self, what: What) {
        // Who does not listen any more is found out elsewhere.
        self.events.send(Ok(RunEvent { what: Some(what) })).await.unwrap_or_default();
    }
}

/// What the worker is told of an end: why, with which code, how long it took and how much of that it
/// worked.
fn told(
    (cause, code): (Cause, i32),
    (wall, cpu): (Duration, Duration),
    dropped_bytes: u64,
) -> Ended {
    Ended {
        reason: cause.word().to_owned(),
        code,
        wall_ms: millis(wall),
        cpu_ms: millis(cpu),
        dropped_bytes,
        detail: cause.detail().to_owned(),
    }
}

/// Waits for whatever ends the command first.
async fn watch(process: &Process, flow: &Flow, events: &Events, until: Instant) -> (Cause, i32) {
    tokio::select! {
        biased;
        ended = process.ended() => match ended {
            Some((code, None)) => (Cause::Exit, code),
            Some((code, Some(_signal))) => (Cause::Signal, code),
            None => (Cause::Failed, KILLED),
        },
        () = events.closed() => (Cause::Stopped, KILLED),
        () = flow.over() => (Cause::Output, KILLED),
        () = tokio::time::sleep_until(until) => (Cause::Timeout, KILLED),
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
