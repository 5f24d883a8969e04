//! `exec`: runs a program in a sandbox and waits for it, for a while.
//!
//! What may run is decided by the supervisor, and where it runs too; nothing runs in the worker.

mod ask;
mod output;
mod prepare;
mod programs;
mod strip;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tonic::async_trait;

use self::ask::Wanted;
use self::prepare::prepare;
pub(crate) use self::programs::Programs;
pub(super) use self::programs::{End, Program, State, refused};
use super::{Context, Failure, Group, Outcome, Row, Tool};

/// Bytes of output in one result.
pub(super) const MAX_TEXT: usize = 200_000;
/// Bytes of the end of the output in one update, and of a program that goes on.
const MAX_UPDATE: usize = 4 << 10;
/// Updates come no faster: they are for people who watch.
const UPDATE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Exec;

static ROW: Row = Row {
    name: "exec",
    label: "Run",
    group: Group::Runtime,
    is_read_only: false,
    description: "Runs a command in the sandbox of this agent, in /workspace. Shell syntax is run by \
                  bash. A command that takes longer than yieldMs (10 s) goes on in the background: \
                  see the tool process. pty gives it a terminal.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["command"],"properties":{"command":{"type":"string","description":"The command line."},"workdir":{"type":"string","description":"Where it runs: below /workspace or /home/agent."},"env":{"type":"object","additionalProperties":{"type":"string"},"description":"Variables beside the usual ones."},"yieldMs":{"type":"integer","minimum":10,"maximum":120000,"description":"Milliseconds to wait before it goes on in the background."},"background":{"type":"boolean","description":"Do not wait for it."},"timeout":{"type":"integer","minimum":1,"maximum":604800,"description":"Seconds after which it is ended."},"pty":{"type":"boolean","description":"Give it a terminal of 120 columns and 40 rows."},"host":{"type":"string","enum":["auto","sandbox"]},"security":{"type":"string","enum":["deny","allowlist","full"]},"ask":{"type":"string","enum":["off","on-miss","always"]}}}"#,
};

#[async_trait]
impl Tool for Exec {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let settings = context.core.live.now().settings.tools.exec;
        let wanted = Wanted::parse(arguments, settings)?;
        let mut is_bound = settings.may_ask();
        loop {
            let command = prepare(context, &wanted.asked, is_bound).await?;
            let is_plain = command.files.is_empty();
            let line = wanted.asked.line.clone();
            let agent = context.key.agent();
            let program = context.core.programs.start(&context.core, agent, line, command)?;
            let watched = Watched { context, program, is_kept: false };
            // Somebody is asked although the settings did not say so: ask about the files too.
            let may_start_anew = !is_bound && is_plain;
            match watched.until_shown(&wanted, may_start_anew).await {
                Some(shown) => return shown,
                None => is_bound = true,
            }
        }
    }
}

/// A program that a call waits for; it is stopped where the call is given up.
#[derive(Debug)]
struct Watched<'a> {
    context: &'a Context,
    program: Arc<Program>,
    /// Whether it goes on without the call.
    is_kept: bool,
}

impl Watched<'_> {
    /// Waits for the end, or for the time to go on in the background. `None` where the command must
    /// be prepared anew because somebody is asked about it.
    async fn until_shown(
        mut self,
        wanted: &Wanted,
        may_start_anew: bool,
    ) -> Option<Result<Outcome, Failure>> {
        let mut state = self.program.watch();
        let mut deadline = None;
        let mut next_update = Instant::now();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Ended { how, .. } => return Some(ended(&self.program, how)),
                State::Waiting { .. } if may_start_anew && self.has_files(wanted).await => {
                    return None;
                }
                State::Waiting { approval } => {
                    self.tell(format!("waiting for approval {approval}"));
                }
                State::Running => {
                    let until = *deadline.get_or_insert_with(|| Instant::now() + wanted.patience);
                    if Instant::now() >= until {
                        return Some(Ok(self.goes_on()));
                    }
                    if Instant::now() >= next_update {
                        self.tell(self.program.last(MAX_UPDATE));
                        next_update = Instant::now() + UPDATE_EVERY;
                    }
                }
                State::Starting => {}
            }
            // The state has its sender for as long as there is the program, and says the end in any
            // case: whatever has changed, the next turn of the loop sees it.
            match deadline {
                None => drop(state.changed().await),
                Some(until) => drop(timeout_at(until, state.changed()).await),
            }
        }
    }

    /// Whether the command is another one, or is refused, once files are bound.
    async fn has_files(&self, wanted: &Wanted) -> bool {
        let again = prepare(self.context, &wanted.asked, true).await;
        again.map_or(true, |command| !command.files.is_empty())
    }

    /// Leaves the program to the tool `process`.
    fn goes_on(&mut self) -> Outcome {
        self.is_kept = true;
        let (program, last) = (&self.program, self.program.last(MAX_UPDATE));
        program.list();
        program.mark_shown();
        let id = &program.id;
        let what = format!(
            "{last}\n\n[it goes on in the background as {id}: use the tool process to see more]"
        );
        Outcome::text(what.trim_start()).with(json!({
            "status": "running", "sessionId": id, "startedAt": program.started_at, "tail": last,
        }))
    }

    fn tell(&self, text: String) {
        // Updates are for people who watch: one that finds no room is not missed.
        if let Err(err) = self.context.updates.try_send(text) {
            tracing::trace!(error = %err, "an update found no room");
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            let core = &self.context.core;
            core.programs.remove(&self.program, core.store.now());
        }
    }
}

/// What the model gets of a program that has ended.
fn ended(program: &Program, how: End) -> Result<Outcome, Failure> {
    let output = program.text(MAX_TEXT);
    let output = output.trim_end();
    let (text, details) = told(how).map_err(|failure| failure.after(output))?;
    let output = if output.is_empty() { "(no output)" } else { output };
    let shown = if text.is_empty() { output.to_owned() } else { format!("{output}\n\n[{text}]") };
    Ok(Outcome::text(shown).with(details))
}

/// An end in words, and as details.
pub(super) fn told(how: End) -> Result<(String, Value), Failure> {
    let it = match how {
        End::Failed(failure) => return Err(failure),
        End::Stopped => {
            let details = json!({ "status": "failed", "reason": "stopped" });
            return Ok(("it was stopped".to_owned(), details));
        }
        End::Told(it) => it,
    };
    let mut text = match it.reason.as_str() {
        "exit" if it.code == 0 => String::new(),
        "exit" => format!("exit code {}", it.code),
        "signal" => format!("ended by signal {}", it.code.saturating_sub(128)),
        "timeout" => "ended because its time was over".to_owned(),
        "memory" => "ended because it needed more memory than it may have".to_owned(),
        "output" => "ended because it wrote more than it may".to_owned(),
        "failed" => format!("it could not be run: {}", it.detail),
        _ => "it was stopped".to_owned(),
    };
    if it.dropped_bytes > 0 {
        let dropped = format!("{} bytes of output are missing", it.dropped_bytes);
        text = if text.is_empty() { dropped } else { format!("{text}; {dropped}") };
    }
    let is_fine = it.reason == "exit" && it.code == 0;
    let details = json!({
        "status": if is_fine { "completed" } else { "failed" },
        "reason": it.reason, "exitCode": it.code, "durationMs": it.wall_ms, "cpuMs": it.cpu_ms,
    });
    Ok((text, details))
}
