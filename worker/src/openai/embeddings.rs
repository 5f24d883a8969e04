//! `POST /v1/embeddings`: texts as vectors, from the model of a provider. Nothing is stored.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use proto::host::{EmbedReply, EmbedRequest, Vector};
use proto::worker::ServeRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::chat::until_stopped;
use super::error::Fault;
use super::models::{Models, backend, known_agent};
use super::reply::{Reply, whole};
use super::target::Target;
use crate::service::Core;

/// Texts of one request; the host takes no more.
const MAX_INPUTS: usize = 256;

/// Bytes of all texts.
const MAX_BYTES: usize = 1 << 20;

/// Numbers of one vector that may be asked for.
const MAX_DIMENSIONS: u32 = 8192;

/// A request as a client writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    model: String,
    #[serde(borrow)]
    input: &'a RawValue,
    encoding_format: Option<Encoding>,
    dimensions: Option<u32>,
    /// No effect: nothing is stored.
    #[serde(rename = "user")]
    _user: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Float,
    Base64,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Used,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Numbers<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct Used {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Answers one request.
pub(super) async fn serve(
    core: &Core,
    models: &Models,
    served: ServeRequest,
) -> Result<Reply, Fault> {
    let asked = parse(&served.body)?;
    let input = inputs(asked.input)?;
    let named = backend(models, &served.backend_model)?;
    let mut agent_name = String::new();
    let model = match Target::parse(&asked.model)? {
        Target::Model if models.has(&asked.model) => asked.model.clone(),
        Target::Model => return Err(Fault::no_model(&asked.model)),
        Target::Agent(agent) => {
            known_agent(core, &agent).await?;
            agent_name = agent.to_string();
            named.unwrap_or_else(|| models.of_agents().to_owned())
        }
    };
    let count = input.len();
    let request = EmbedRequest {
        model,
        input,
        dimensions: asked.dimensions,
        request_id: served.request_id,
        agent: agent_name,
        ..EmbedRequest::default()
    };
    let run = core.runs.begin();
    let made = until_stopped(&run, core.llm.embed(request)).await?;
    let made = made.map_err(|status| Fault::from(&status))?;
    if made.vectors.len() != count {
        return Err(Fault::cut_short());
    }
    let encoding = asked.encoding_format.unwrap_or(Encoding::Float);
    Ok(Reply::Whole(Some(whole(document(&asked.model, encoding, &made)))))
}

fn parse(body: &Bytes) -> Result<Asked<'_>, Fault> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|err| {
        if err.is_data() {
            Fault::invalid(None, format!("Invalid request: {err}."))
        } else {
            Fault::invalid(None, format!("The body is not valid JSON: {err}."))
        }
    })?;
    if asked.dimensions.is_some_and(|it| !(1..=MAX_DIMENSIONS).contains(&it)) {
        let message = format!("dimensions: must be from 1 to {MAX_DIMENSIONS}");
        return Err(Fault::unprocessable("dimensions", message));
    }
    Ok(asked)
}

/// One text, or a list of them.
fn inputs(raw: &RawValue) -> Result<Vec<String>, Fault> {
    let wrong = |what: String| Fault::unprocessable("input", format!("input: {what}"));
    let text = raw.get();
    // Checked before it is read: every text takes two bytes of JSON and two dozen of memory.
    if text.len() > 2 * MAX_BYTES {
        return Err(wrong(format!("at most {MAX_BYTES} bytes are allowed")));
    }
    if text.starts_with('[') {
        let first = text.get(1..).unwrap_or_default().trim_start();
        if first.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
            return Err(wrong("tokens are not supported; send text".to_owned()));
        }
    }
    let read: Result<Vec<String>, _> = if text.starts_with('"') {
        serde_json::from_str(text).map(|one| vec![one])
    } else {
        serde_json::from_str(text)
    };
    let list =
        read.map_err(|err| wrong(format!("must be a string or a list of strings: {err}")))?;
    if list.is_empty() || list.len() > MAX_INPUTS {
        return Err(wrong(format!("must be 1 to {MAX_INPUTS} texts")));
    }
    if list.iter().any(String::is_empty) {
        return Err(wrong("a text must not be empty".to_owned()));
    }
    if list.iter().map(String::len).sum::<usize>() > MAX_BYTES {
        return Err(wrong(format!("at most {MAX_BYTES} bytes are allowed")));
    }
    Ok(list)
}

fn document(model: &str, encoding: Encoding, made: &EmbedReply) -> Bytes {
    let numbers = |Vector { values }: &'_ Vector| match encoding {
        Encoding::Float => None,
        Encoding::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|number| number.to_le_bytes()).collect();
            Some(BASE64_STANDARD.encode(bytes))
        }
    };
    let embedding = |(index, vector): (usize, &'_ Vector)| (index, numbers(vector));
    let encoded: Vec<_> = made.vectors.iter().enumerate().map(embedding).collect();
    let data = made.vectors.iter().zip(encoded).map(|(vector, (index, text))| Embedding {
        object: "embedding",
        index,
        embedding: text.map_or(Numbers::Float(&vector.values), Numbers::Base64),
    });
    let tokens = made.usage.as_ref().map_or(0, |usage| usage.input_tokens);
    let usage = Used { prompt_tokens: tokens, total_tokens: tokens };
    let list = List { object: "list", data: data.collect(), model, usage };
    serde_json::to_vec(&list).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
