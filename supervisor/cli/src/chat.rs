//! A conversation with a tenant's agent, printed as it arrives.

mod events;

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use serde::Serialize;
use types::{Scope, Scopes};

use crate::client::Client;
use crate::error::Error;
use crate::options::Chat;
use crate::output::Output;
use crate::rpc::{self, Access};
use events::{Event, Events, Usage};

/// How long the first word may take: a worker may have to start and a model to think.
const PATIENCE: Duration = Duration::from_secs(280);

/// The longest message that is read from the standard input, in bytes.
const MAX_MESSAGE: u64 = 1 << 20;

/// Says one message, or each line of a person until the end of the input.
pub(crate) async fn run(client: &Client, chat: &Chat, output: &mut Output) -> Result<(), Error> {
    if let Some(message) = &chat.message {
        return say(client, chat, message, output).await;
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        let mut message = String::new();
        input.lock().take(MAX_MESSAGE).read_to_string(&mut message).map_err(Error::Terminal)?;
        return say(client, chat, message.trim_end(), output).await;
    }
    loop {
        output.text("> ");
        output.end()?;
        let mut line = String::new();
        if input.lock().read_line(&mut line).map_err(Error::Terminal)? == 0 {
            output.line("");
            return output.end();
        }
        if !line.trim().is_empty() {
            say(client, chat, line.trim(), output).await?;
        }
    }
}

async fn say(
    client: &Client,
    chat: &Chat,
    message: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let scopes: Scopes = [Scope::Read, Scope::Write].into_iter().collect();
    let access = Access::open(client, &chat.gateway, &chat.tenant, scopes).await?;
    let said = turn(&access, chat, message, output).await;
    access.close(client).await?;
    let spoken = said?;
    if output.is_json() {
        return output.document(&spoken);
    }
    output.line("");
    output.end()
}

async fn turn(
    access: &Access,
    chat: &Chat,
    message: &str,
    output: &mut Output,
) -> Result<Spoken, Error> {
    let agent = format!("openclaw/{}", chat.agent);
    let request = Request {
        model: chat.model.as_deref().unwrap_or(&agent),
        messages: [Message { role: "user", content: message }],
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    let body = serde_json::to_vec(&request).map_err(|err| access.unknown(err))?;
    let session = chat.session.clone().unwrap_or_else(|| format!("agent:{}:main", chat.agent));
    let headers = [("x-openclaw-session-key", session.as_str())];
    let mut answer = access.post("/v1/chat/completions", &headers, body.into(), PATIENCE).await?;
    if answer.status() != 200 {
        let status = answer.status();
        return Err(rpc::refusal(status, &answer.rest().await?));
    }
    let mut spoken = Spoken { tenant: chat.tenant.to_string(), ..Spoken::default() };
    let mut events = Events::default();
    while let Some(part) = answer.part().await? {
        events.push(&part)?;
        while let Some(event) = events.next().map_err(|err| access.unknown(err))? {
            if spoken.hear(event, output)? {
                return Ok(spoken);
            }
        }
    }
    Err(Error::Cut)
}

/// What the agent said.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spoken {
    tenant: String,
    model: Option<String>,
    content: String,
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

impl Spoken {
    /// Takes in one event; true at the end of the answer.
    fn hear(&mut self, event: Event, output: &mut Output) -> Result<bool, Error> {
        match event {
            Event::Done => return Ok(true),
            Event::Failed(told) => return Err(told.into_error(500)),
            Event::Chunk(chunk) => {
                self.model = chunk.model.or_else(|| self.model.take());
                self.usage = chunk.usage.or_else(|| self.usage.take());
                for choice in chunk.choices {
                    self.finish_reason = choice.finish_reason.or_else(|| self.finish_reason.take());
                    let words = choice.delta.content.unwrap_or_default();
                    if !output.is_json() && !words.is_empty() {
                        output.text(&words);
                        output.end()?;
                    }
                    self.content.push_str(&words);
                }
            }
        }
        Ok(false)
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}
