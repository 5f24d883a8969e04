//! `image`: what the session's model sees in a picture of the workspace.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proto::host::{LlmRequest, Message, Params, Part, Role, part};
use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::{Arguments, invalid};
use super::paths::{MAX_PATH, Place};
use super::read::{MAX_PICTURE, picture};
use super::{Context, Failure, Group, Outcome, Row, Tool, files, inside};
use crate::agent;
use crate::openai::{Fault, Fold};

/// Bytes of a question.
const MAX_PROMPT: usize = 16 << 10;
/// Tokens and bytes of an answer.
const MAX_TOKENS: u32 = 4000;
const MAX_ANSWER: usize = 64 << 10;
/// What is asked where nothing is.
const PROMPT: &str = "Describe this picture.";

#[derive(Debug)]
pub(super) struct Image;

static ROW: Row = Row {
    name: "image",
    label: "Image",
    group: Group::Media,
    is_read_only: true,
    description: "Looks at a picture of the workspace (png, jpeg, gif or webp, at most 5 MiB) and \
                  answers a question about it.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["image"],"properties":{"prompt":{"type":"string","description":"The question; a description is given if absent."},"image":{"type":"string","description":"The file, relative to the workspace or absolute."}}}"#,
};

#[async_trait]
impl Tool for Image {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let prompt = arguments.text(&["prompt"], MAX_PROMPT)?;
        let path = arguments.required(&["image", "path"], MAX_PATH)?;
        arguments.end()?;
        let place = Place::parse("image", &path)?;
        let agent = context.key.agent().clone();
        let read = move |root: &_| files::read(root, &agent, &place, MAX_PICTURE);
        let bytes = files::job(context, read).await?;
        let Some(mime) = picture(&bytes) else {
            return Err(invalid(&["image"], "must be a png, jpeg, gif or webp picture"));
        };
        let url = format!("data:{mime};base64,{}", BASE64_STANDARD.encode(&bytes));
        look(context, prompt.unwrap_or_else(|| PROMPT.to_owned()), url).await
    }
}

async fn look(context: &Context, prompt: String, url: String) -> Result<Outcome, Failure> {
    let core = &context.core;
    let models = agent::models_of(core, &context.key).await.map_err(inside::fault)?;
    let parts = [part::Part::Text(prompt), part::Part::ImageUrl(url)];
    let parts = parts.into_iter().map(|part| Part { part: Some(part) }).collect();
    let question = Message { role: Role::User.into(), parts, ..Message::default() };
    let request = LlmRequest {
        model: models.into_iter().next().unwrap_or_default(),
        messages: vec![question],
        params: Some(Params { max_tokens: Some(MAX_TOKENS), ..Params::default() }),
        request_id: context.request_id.clone(),
        agent: context.key.agent().to_string(),
        session_key: context.key.as_str().to_owned(),
    };
    let failed = |status: tonic::Status| inside::fault(Fault::from(&status));
    let mut llm = core.llm.stream(request).await.map_err(failed)?;
    let mut fold = Fold::new(MAX_ANSWER);
    while let Some(batch) = llm.message().await.map_err(failed)? {
        for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
            let too_long = |_too_long| inside::fault(Fault::too_long(MAX_ANSWER));
            fold.push(event).map_err(too_long)?;
        }
    }
    if !fold.is_finished() {
        return Err(inside::fault(Fault::cut_short()));
    }
    let details = json!({"model": fold.started().model, "provider": fold.started().provider});
    let used = fold.usage().copied().unwrap_or_default();
    Ok(Outcome { used, ..Outcome::text(fold.plain_text()).with(details) })
}
