//! `POST /v1/responses`: to an agent's turn, whose session goes on where an earlier response is
//! named, or straight to a provider's model, of which nothing is stored.

mod document;
mod input;
mod ledger;
mod request;
mod stream;
mod tools;

use std::sync::Arc;

use proto::host::LlmRequest;
use proto::worker::ServeRequest;
use types::AgentId;

use super::chat;
use super::error::Fault;
use super::models::{Models, agent_of_header, backend, known_agent};
use super::reply::{Passed, Reply, whole};
use super::target::Target;
use crate::agent::{self, SessionKey, Writer};
use crate::runs::Run;
use crate::service::Core;
use document::{Echo, Whole};
use request::ResponseRequest;

pub(super) use stream::Stream;

/// Answers one request.
pub(super) async fn serve(
    core: &Core,
    models: &Models,
    served: ServeRequest,
) -> Result<Reply, Fault> {
    let mut asked = request::parse(&served.body)?;
    let echo = Echo {
        id: format!("resp_{}", uuid::Uuid::new_v4().simple()),
        created_at: core.store.now() / 1000,
        asked: std::mem::take(&mut asked.echo),
    };
    match Target::parse(&echo.asked.model)? {
        Target::Model if !models.has(&echo.asked.model) => Err(Fault::no_model(&echo.asked.model)),
        Target::Model => complete(core, asked, Arc::new(echo), served.request_id).await,
        Target::Agent(named) => {
            let agent = agent_of_header(&served.agent)?.unwrap_or(named);
            known_agent(core, &agent).await?;
            let key = session(core, &agent, &served, &echo).await?;
            if echo.asked.store {
                let remembered = ledger::remember(core, &echo.id, &key).await;
                remembered.map_err(|err| Fault::storage(&err))?;
            }
            let turn = agent::Turn {
                key,
                messages: asked.messages,
                params: asked.params,
                model: agent::Asked {
                    model: backend(models, &served.backend_model)?,
                    fallbacks: None,
                },
                request_id: served.request_id,
                mark: None,
                timeout: None,
                source: None,
                ceiling: None,
                depth: 0,
                sender: None,
                events: Vec::new(),
                resumes: false,
            };
            let (id, echo) = (echo.id.clone(), Arc::new(echo));
            let writer: Box<dyn Writer> =
                if asked.stream { Box::new(Stream::new(echo)) } else { Box::new(Whole::new(echo)) };
            agent::start(core, &id, turn, writer)
        }
    }
}

/// The session of a request: that of the response before it, the one of its header, its user's, or
/// one of its own.
async fn session(
    core: &Core,
    agent: &AgentId,
    served: &ServeRequest,
    echo: &Echo,
) -> Result<SessionKey, Fault> {
    let asked = &echo.asked;
    let header = served.session_key.trim();
    let named =
        if header.is_empty() { None } else { Some(SessionKey::choose(agent, header, None)?) };
    if let Some(previous) = &asked.previous_response_id {
        let found = ledger::find(core, previous).await.map_err(|err| Fault::storage(&err))?;
        let key = found.ok_or_else(|| Fault::no_response(previous))?;
        if key.agent() != agent || named.is_some_and(|named| named.as_str() != key.as_str()) {
            let message = "The previous response belongs to another agent or session.";
            return Err(Fault::invalid(Some("previous_response_id"), message));
        }
        return Ok(key);
    }
    if let Some(named) = named {
        return Ok(named);
    }
    let user = asked.user.as_deref().map(str::trim).filter(|user| !user.is_empty());
    let name = match user {
        Some(user) => format!("openresponses-user:{}", user.to_lowercase()),
        None => format!("openresponses:{}", uuid::Uuid::new_v4()),
    };
    SessionKey::parse(&format!("agent:{agent}:{name}"))
}

/// A plain completion: nothing is stored, so that no later one can go on from it.
async fn complete(
    core: &Core,
    asked: ResponseRequest,
    echo: Arc<Echo>,
    request_id: String,
) -> Result<Reply, Fault> {
    if echo.asked.previous_response_id.is_some() {
        let message = "Only responses of an agent (`openclaw` or `openclaw/<agent>`) are stored; \
                       send the conversation as `input`.";
        return Err(Fault::invalid(Some("previous_response_id"), message));
    }
    let run: Run = core.runs.begin();
    let request = LlmRequest {
        model: echo.asked.model.clone(),
        messages: asked.messages,
        params: Some(asked.params),
        request_id,
        ..LlmRequest::default()
    };
    let opened = chat::until_stopped(&run, core.llm.stream(request)).await?;
    let llm = opened.map_err(|status| Fault::from(&status))?;
    if asked.stream {
        return Ok(Reply::Passed(Passed::new(llm, Stream::new(echo).into(), run)));
    }
    let fold = chat::fold(llm, &run).await?;
    Ok(Reply::Whole(Some(whole(document::whole(&echo, &fold)))))
}

#[cfg(test)]
mod tests;
