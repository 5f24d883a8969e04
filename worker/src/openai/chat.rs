//! `POST /v1/chat/completions`: to an agent's turn, or straight to a provider's model.

use proto::host::{LlmBatch, LlmRequest};
use proto::worker::ServeRequest;
use tonic::Streaming;

use super::encode::{Chunks, Document, Shape, document};
use super::error::Fault;
use super::fold::Fold;
use super::models::{Models, agent_of_header, backend, known_agent};
use super::reply::{Passed, Reply, whole};
use super::request::{self, ChatRequest};
use super::target::Target;
use crate::agent::{self, SessionKey, Writer};
use crate::runs::Run;
use crate::service::Core;

/// Bytes of a reply that is sent in one piece.
const MAX_REPLY: usize = 4 << 20;

/// Answers one request.
pub(super) async fn serve(
    core: &Core,
    models: &Models,
    served: ServeRequest,
) -> Result<Reply, Fault> {
    let mut chat = request::parse(&served.body)?;
    let shape = Shape {
        id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
        created: core.store.now() / 1000,
        model: std::mem::take(&mut chat.model),
        include_usage: chat.include_usage,
    };
    match Target::parse(&shape.model)? {
        Target::Model if models.has(&shape.model) => {
            complete(core, chat, shape, served.request_id).await
        }
        Target::Model => Err(Fault::no_model(&shape.model)),
        Target::Agent(named) => {
            let agent = agent_of_header(&served.agent)?.unwrap_or(named);
            known_agent(core, &agent).await?;
            let key = SessionKey::choose(&agent, &served.session_key, chat.user.as_deref())?;
            let turn = agent::Turn {
                key,
                messages: chat.messages,
                params: chat.params,
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
            let writer: Box<dyn Writer> = if chat.stream {
                Box::new(Chunks::new(&shape))
            } else {
                Box::new(Document::new(shape.clone()))
            };
            agent::start(core, &shape.id, turn, writer)
        }
    }
}

/// A plain completion: nothing is stored.
async fn complete(
    core: &Core,
    chat: ChatRequest,
    shape: Shape,
    request_id: String,
) -> Result<Reply, Fault> {
    let run = core.runs.begin();
    let request = LlmRequest {
        model: shape.model.clone(),
        messages: chat.messages,
        params: Some(chat.params),
        request_id,
        ..LlmRequest::default()
    };
    let opened = until_stopped(&run, core.llm.stream(request)).await?;
    let llm = opened.map_err(|status| Fault::from(&status))?;
    if chat.stream {
        return Ok(Reply::Passed(Passed::new(llm, Chunks::new(&shape).into(), run)));
    }
    let fold = fold(llm, &run).await?;
    Ok(Reply::Whole(Some(whole(document(&shape, &fold)))))
}

/// All of a provider's answer.
pub(super) async fn fold(mut llm: Streaming<LlmBatch>, run: &Run) -> Result<Fold, Fault> {
    let mut fold = Fold::new(MAX_REPLY);
    loop {
        let next = until_stopped(run, llm.message()).await?;
        match next {
            Ok(Some(batch)) => {
                for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
                    fold.push(event).map_err(|_too_long| Fault::too_long(MAX_REPLY))?;
                }
            }
            _ if fold.is_finished() => return Ok(fold),
            Ok(None) => return Err(Fault::cut_short()),
            Err(status) => return Err(Fault::from(&status)),
        }
    }
}

/// The result of `work`, unless the run is stopped first.
pub(super) async fn until_stopped<T>(run: &Run, work: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::select! {
        biased;
        () = run.stopped() => Err(if run.is_shutdown() { Fault::shutting_down() } else { Fault::stopped() }),
        done = work => Ok(done),
    }
}
