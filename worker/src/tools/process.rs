//! `process`: the programs that `exec` has left in the background.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use proto::host::EndOfInput;
use proto::host::run_request::What;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tonic::async_trait;

use super::arguments::{Arguments, invalid};
use super::exec::{MAX_TEXT, Program, State, told};
use super::{Context, Failure, Group, Outcome, Row, Tool};

/// Bytes of input in one call.
const MAX_INPUT: usize = 64 << 10;
/// How long a program may not take its input before the call says so.
const INPUT_PATIENCE: Duration = Duration::from_secs(5);
/// Milliseconds that a poll may wait for something new.
const MAX_POLL_MS: u64 = 60_000;
/// Lines of a log in one call where nothing is said, and at most.
const LINES: u64 = 200;
const MAX_LINES: u64 = 5000;
/// Characters of a command in a list.
const MAX_SHOWN: usize = 120;

#[derive(Debug)]
pub(super) struct Process;

static ROW: Row = Row {
    name: "process",
    label: "Programs",
    group: Group::Runtime,
    is_read_only: false,
    description: "Works on programs that exec has left in the background. list; poll: new output, \
                  waits up to timeout ms; log: lines from offset on, or the last ones; write: data to \
                  its input, eof ends it; send-keys: keys such as Enter, C-c, Up, or literal or hex; \
                  submit: Enter; paste: text; kill; clear: forget its output; remove.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["action"],"properties":{"action":{"type":"string","enum":["list","poll","log","write","send-keys","submit","paste","kill","clear","remove"]},"sessionId":{"type":"string","description":"The program, as exec and list call it."},"data":{"type":"string"},"keys":{"type":"array","maxItems":256,"items":{"type":"string"}},"hex":{"type":"array","maxItems":1024,"items":{"type":"string"}},"literal":{"type":"string"},"text":{"type":"string"},"bracketed":{"type":"boolean"},"eof":{"type":"boolean"},"offset":{"type":"integer","minimum":0},"limit":{"type":"integer","minimum":1,"maximum":5000},"timeout":{"type":"integer","minimum":0,"maximum":60000}}}"#,
};

const ACTIONS: [&str; 10] =
    ["list", "poll", "log", "write", "send-keys", "submit", "paste", "kill", "clear", "remove"];

#[async_trait]
impl Tool for Process {
    fn row(&self) -> &'static Row {
        &ROW
    }

    fn waits(&self) -> bool {
        true
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let action = arguments.word(&["action"], &ACTIONS)?;
        let action = action.ok_or_else(|| invalid(&["action"], "is missing"))?;
        let id = arguments.text(&["sessionId", "session_id", "id"], 64)?;
        if action == "list" {
            arguments.end()?;
            return Ok(list(context));
        }
        let id = id.ok_or_else(|| invalid(&["sessionId"], "is missing"))?;
        let program = find(context, &id)?;
        match action {
            "poll" => {
                let timeout = arguments.whole(&["timeout"], 0..=MAX_POLL_MS)?.unwrap_or(0);
                arguments.end()?;
                poll(&program, Duration::from_millis(timeout)).await
            }
            "log" => {
                let offset = arguments.whole(&["offset"], 0..=u64::from(u32::MAX))?;
                let limit = arguments.whole(&["limit"], 1..=MAX_LINES)?.unwrap_or(LINES);
                arguments.end()?;
                Ok(log(&program, offset, limit))
            }
            "kill" | "clear" | "remove" => {
                arguments.end()?;
                Ok(end(context, &program, action))
            }
            _ => {
                if !context.allowed.has("exec") {
                    // What a shell is told runs as well as what exec is.
                    let why = format!("{action} needs the tool exec, which this run does not have");
                    return Err(Failure::Refused(why));
                }
                let bytes = input(action, &mut arguments, &program)?;
                let is_end = arguments.switch(&["eof"])?;
                arguments.end()?;
                send(&program, bytes, is_end).await
            }
        }
    }
}

fn find(context: &Context, id: &str) -> Result<Arc<Program>, Failure> {
    let core = &context.core;
    let all = core.programs.of(context.key.agent(), core.store.now());
    let found = all.into_iter().find(|it| it.id == id);
    found.ok_or_else(|| Failure::Failed("sessionId names no program: see list".to_owned()))
}

fn list(context: &Context) -> Outcome {
    let (core, now) = (&context.core, context.core.store.now());
    let programs = core.programs.of(context.key.agent(), now);
    let line = |it: &Arc<Program>| {
        let shown: String = it.line.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
        let seconds = now.saturating_sub(it.started_at) / 1000;
        format!("{} {} {seconds}s: {shown}", it.id, word(&it.state()))
    };
    let member = |it: &Arc<Program>| {
        json!({
            "sessionId": it.id, "status": word(&it.state()), "command": it.line,
            "startedAt": it.started_at, "pty": it.has_terminal,
        })
    };
    let lines: Vec<_> = programs.iter().map(line).collect();
    let text = if lines.is_empty() { "no programs".to_owned() } else { lines.join("\n") };
    let sessions: Vec<_> = programs.iter().map(member).collect();
    Outcome::text(text).with(json!({ "sessions": sessions }))
}

const fn word(state: &State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Waiting { .. } => "waiting",
        State::Running => "running",
        State::Ended { .. } => "ended",
    }
}

async fn poll(program: &Program, patience: Duration) -> Result<Outcome, Failure> {
    let (mut state, until) = (program.watch(), Instant::now() + patience);
    while program.is_running() && !program.has_more() {
        // Time is over, or the sender is gone, which has said the end before.
        if !matches!(timeout_at(until, state.changed()).await, Ok(Ok(()))) {
            break;
        }
    }
    // The end is looked at before the output, so that none is missed.
    let state = program.state();
    let output = program.poll(MAX_TEXT);
    let lost = |failure: Failure| failure.after(output.trim_end());
    let state = match state {
        State::Ended { how, .. } => Ok(told(how).map_err(lost)?),
        state @ (State::Starting | State::Waiting { .. } | State::Running) => Err(word(&state)),
    };
    let output = if output.is_empty() { "(no new output)".to_owned() } else { output };
    let (end, mut details) = match state {
        Ok((text, details)) if text.is_empty() => ("ended with exit code 0".to_owned(), details),
        Ok(ended) => ended,
        Err(word) => (word.to_owned(), json!({ "status": word })),
    };
    if let Some(details) = details.as_object_mut() {
        details.insert("sessionId".to_owned(), json!(program.id));
    }
    Ok(Outcome::text(format!("{}\n\n[{end}]", output.trim_end())).with(details))
}

fn log(program: &Program, offset: Option<u64>, limit: u64) -> Outcome {
    let text = program.text(MAX_TEXT);
    let lines: Vec<_> = text.lines().collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let last = lines.len().saturating_sub(limit);
    let first = offset.map_or(last, |it| usize::try_from(it).unwrap_or(usize::MAX));
    let shown: Vec<_> = lines.iter().skip(first).take(limit).copied().collect();
    let details = json!({
        "sessionId": program.id, "status": word(&program.state()), "offset": first,
        "lines": shown.len(), "totalLines": lines.len(),
    });
    let shown = if shown.is_empty() { "(no such lines)".to_owned() } else { shown.join("\n") };
    Outcome::text(shown).with(details)
}

fn end(context: &Context, program: &Program, action: &str) -> Outcome {
    let said = match action {
        "kill" => {
            program.stop();
            "stopped"
        }
        "clear" => {
            program.clear();
            "forgot the output of"
        }
        _ => {
            context.core.programs.remove(program, context.core.store.now());
            "removed"
        }
    };
    let details = json!({ "sessionId": program.id, "action": action });
    Outcome::text(format!("{said} {}", program.id)).with(details)
}

/// The bytes that an action sends.
fn input(action: &str, arguments: &mut Arguments, program: &Program) -> Result<Vec<u8>, Failure> {
    match action {
        "write" => Ok(arguments.text(&["data"], MAX_INPUT)?.unwrap_or_default().into_bytes()),
        "submit" => {
            let data = arguments.text(&["data"], MAX_INPUT)?.unwrap_or_default();
            let end = if program.has_terminal { '\r' } else { '\n' };
            Ok(format!("{data}{end}").into_bytes())
        }
        "paste" => {
            let text = arguments.required(&["text", "data"], MAX_INPUT)?;
            let bracketed = arguments.switch(&["bracketed"])? && program.has_terminal;
            Ok(if bracketed { keys::bracketed(&text) } else { text.into_bytes() })
        }
        _ => keys::bytes(arguments),
    }
}

async fn send(program: &Program, bytes: Vec<u8>, is_end: bool) -> Result<Outcome, Failure> {
    if bytes.is_empty() && !is_end {
        return Err(Failure::Invalid(
            "there is nothing to send: give data, keys or eof".to_owned(),
        ));
    }
    if !program.is_running() {
        return Err(Failure::Failed(format!("program {} has ended", program.id)));
    }
    let (id, count) = (program.id.clone(), bytes.len());
    let sending = async {
        if count > 0 {
            program.send(What::Input(bytes.into())).await?;
        }
        if is_end {
            program.send(What::EndOfInput(EndOfInput {})).await?;
        }
        Ok(())
    };
    let sent = tokio::time::timeout(INPUT_PATIENCE, sending).await;
    sent.unwrap_or_else(|_elapsed| {
        Err(Failure::Failed(format!("program {id} does not take its input now")))
    })?;
    let details = json!({ "sessionId": id, "bytes": count, "eof": is_end });
    Ok(Outcome::text(format!("sent {count} bytes to {id}")).with(details))
}

#[cfg(test)]
mod tests;
