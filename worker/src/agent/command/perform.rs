//! What each command does and answers.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::announce::{self, About};
use super::super::run::RunRequest;
use super::super::{anew, choice, compact, record};
use super::{COMMANDS, Command, Kind};
use crate::openai::Fault;
use crate::service::Core;
use crate::settings::QueueMode;
use crate::store::{self, Change, Fields, Row, SessionId};

/// What is to be done after a command.
#[derive(Debug)]
pub(in super::super) enum Done {
    /// It is answered.
    Said(String),
    /// A turn follows with this message.
    GoesOn(String),
}

/// The answer of a command that waits for no run.
pub(in super::super) async fn now(
    core: &Core,
    request: &RunRequest,
    command: &Command,
) -> Result<String, Fault> {
    let row = row(core, request).await?;
    Ok(match command.kind {
        Kind::Help => help(),
        Kind::Whoami => whoami(request),
        Kind::Usage => usage(row.as_ref()),
        Kind::Stop => "Stopped.".to_owned(),
        Kind::Status | Kind::New | Kind::Compact | Kind::Model | Kind::Think | Kind::Queue => {
            status(core, request, row.as_ref()).await?
        }
    })
}

/// Performs a command in the lane of its session.
pub(in super::super) async fn perform(
    core: &Core,
    request: &RunRequest,
    command: &Command,
    argument: &str,
) -> Result<Done, Fault> {
    let said = match command.kind {
        Kind::New => {
            anew::begin(core, &request.key).await.map_err(|err| Fault::storage(&err))?;
            if !argument.is_empty() {
                return Ok(Done::GoesOn(argument.to_owned()));
            }
            "A new session has begun.".to_owned()
        }
        Kind::Compact => compacted(core, request, argument).await?,
        Kind::Model => model(core, request, argument).await?,
        Kind::Think => think(core, request, argument).await?,
        Kind::Queue => queue(core, request, argument).await?,
        Kind::Help | Kind::Status | Kind::Whoami | Kind::Usage | Kind::Stop => {
            now(core, request, command).await?
        }
    };
    Ok(Done::Said(said))
}

/// Puts a command and its answer into the transcript, where no model sees them.
pub(in super::super) async fn store(
    core: &Core,
    request: &RunRequest,
    said: &str,
) -> Result<(), Fault> {
    let stored = async {
        let (key, now) = (&request.key, core.store.now());
        let wanted = key.clone();
        let row = core
            .store
            .job(move |root| store::session(root, wanted.agent(), wanted.as_str()))
            .await?;
        let session = row.as_ref().map_or_else(SessionId::new, |row| row.session_id.clone());
        let messages = vec![
            record::command(&request.message, &request.run_id, now)?,
            record::injected(said, true, now)?,
        ];
        let appended = core.store.append(key.agent(), &session, messages).await?;
        let begin = Change::Begin { session };
        core.store.commit(key.agent(), key.as_str(), begin).await?;
        let about = About { run_id: Some(&request.run_id), row: true };
        announce::messages(core, key, appended, about).await;
        Ok(())
    };
    stored.await.map_err(|err| Fault::storage(&err))
}

async fn row(core: &Core, request: &RunRequest) -> Result<Option<Row>, Fault> {
    let key = request.key.clone();
    let read = core.store.job(move |root| store::session(root, key.agent(), key.as_str()));
    read.await.map_err(|err| Fault::storage(&err))
}

fn help() -> String {
    let mut text = "Commands:".to_owned();
    for command in COMMANDS {
        let argument = command.argument.as_ref();
        let argument = argument.map(|it| format!(" [{}]", it.name)).unwrap_or_default();
        line(&mut text, &format!("/{}{argument}: {}", command.name, command.description));
    }
    text
}

fn whoami(request: &RunRequest) -> String {
    let client = if request.client.is_empty() { "unknown" } else { &request.client };
    let agent = request.key.agent();
    format!("Client: {client}\nAgent: {agent}\nSession: {}", request.key.as_str())
}

fn usage(row: Option<&Row>) -> String {
    let [input, output, all] = row.map(|row| row.totals).unwrap_or_default();
    format!("This session has used {all} tokens: {input} in, {output} out.")
}

async fn status(core: &Core, request: &RunRequest, row: Option<&Row>) -> Result<String, Fault> {
    let settings = core.live.now().settings;
    let mut text = format!("Session: {}", request.key.as_str());
    let models = choice::models_of(core, &request.key).await?;
    line(&mut text, &format!("Model: {}", models.first().map_or("none", String::as_str)));
    let context = settings.agents.defaults.context_tokens();
    let used = row.and_then(|row| row.meta.last_turn_tokens).unwrap_or(0);
    line(&mut text, &format!("Context: {used} of {context} tokens"));
    let count = row.and_then(|row| row.meta.compaction_count).unwrap_or(0);
    line(&mut text, &format!("Compactions: {count}"));
    let thinking = row.and_then(|row| row.meta.thinking_level.as_deref()).unwrap_or("off");
    line(&mut text, &format!("Thinking: {thinking}"));
    line(&mut text, &format!("Queue: {}", queue_mode(core, row)));
    // This command is a run as well.
    let running = core.runs.of(request.key.as_str()).len().saturating_sub(1);
    line(&mut text, &format!("Runs: {running} under way or waiting"));
    Ok(text)
}

async fn compacted(core: &Core, request: &RunRequest, focus: &str) -> Result<String, Fault> {
    Ok(match compact::in_lane(core, &request.key, focus).await? {
        Some(done) => format!(
            "Compacted: about {} tokens before, {} now.",
            done.tokens_before, done.tokens_after
        ),
        None => "There is nothing to compact yet.".to_owned(),
    })
}

async fn model(core: &Core, request: &RunRequest, name: &str) -> Result<String, Fault> {
    if name.is_empty() {
        let models = choice::models_of(core, &request.key).await?;
        return Ok(format!("Model: {}", models.first().map_or("none", String::as_str)));
    }
    if name == "default" {
        let fields = [("modelOverride", Value::Null), ("providerOverride", Value::Null)];
        set(core, request, Fields::from(fields)).await?;
        return Ok("This session uses its agent's model again.".to_owned());
    }
    if !core.models().has(name) {
        return Ok(format!("There is no model `{}`.", start(name)));
    }
    let (provider, model) = match name.split_once('/') {
        Some((provider, model)) => (Value::from(provider), model),
        None => (Value::Null, name),
    };
    let fields = [("modelOverride", Value::from(model)), ("providerOverride", provider)];
    set(core, request, Fields::from(fields)).await?;
    Ok(format!("This session uses {name} from now on."))
}

async fn think(core: &Core, request: &RunRequest, level: &str) -> Result<String, Fault> {
    let levels = api::models::THINKING_OPTIONS;
    if level.is_empty() {
        let row = row(core, request).await?;
        let now = row.and_then(|row| row.meta.thinking_level).unwrap_or_else(|| "off".to_owned());
        return Ok(format!("Thinking: {now}. It can be {}.", levels.join(", ")));
    }
    if !levels.contains(&level) {
        return Ok(format!("`{}` is no level: use {}.", start(level), levels.join(", ")));
    }
    set(core, request, Fields::from([("thinkingLevel", Value::from(level))])).await?;
    Ok(format!("Thinking is {level} from now on."))
}

async fn queue(core: &Core, request: &RunRequest, mode: &str) -> Result<String, Fault> {
    if mode.is_empty() {
        let row = row(core, request).await?;
        return Ok(format!("Queue: {}", queue_mode(core, row.as_ref())));
    }
    let value = match QueueMode::from_name(mode) {
        Some(mode) => Value::from(mode.name()),
        None if mode == "default" => Value::Null,
        None => return Ok(format!("`{}` is no queue mode.", start(mode))),
    };
    set(core, request, Fields::from([("queueMode", value)])).await?;
    let as_yet = match QueueMode::from_name(mode) {
        Some(QueueMode::Steer) => " As yet that is the same as followup.",
        Some(QueueMode::Followup | QueueMode::Collect | QueueMode::Interrupt) | None => "",
    };
    Ok(format!("Messages that come during a run: {mode} from now on.{as_yet}"))
}

fn queue_mode(core: &Core, row: Option<&Row>) -> &'static str {
    let of_session = row.and_then(|row| row.meta.queue_mode.as_deref());
    core.live.now().settings.messages.queue.mode_of(of_session).name()
}

async fn set(core: &Core, request: &RunRequest, fields: Fields) -> Result<(), Fault> {
    let row = row(core, request).await?;
    let session = row.map_or_else(SessionId::new, |row| row.session_id);
    let (key, change) = (&request.key, Change::Set { session, fields });
    let set = core.store.commit(key.agent(), key.as_str(), change).await;
    set.map_err(|err| Fault::storage(&err))
}

/// The start of what somebody wrote, for an answer.
fn start(text: &str) -> String {
    text.chars().take(80).collect()
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail; the trait's signature is that of any writer.
    write!(text, "\n{line}").unwrap_or_default();
}
