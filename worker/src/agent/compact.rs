//! Compaction: what was said long ago gives way to a summary that a model writes.
//!
//! Nothing is removed: the transcript gets an entry that says from where on it is read.

use proto::host::{LlmRequest, Message, Params, Role};

use super::history::{self, CHARS_PER_TOKEN, Past, cost, text_message};
use super::key::SessionKey;
use super::{choice, prompt};
use crate::Error;
use crate::openai::{Fault, Fold};
use crate::service::Core;
use crate::store::{self, Change, Compaction, Fields, Row, SessionId};
use crate::upcalls;

/// Characters of a conversation that are looked at; what is older is not summarised again.
const MAX_READ: usize = 4 << 20;
/// Characters of one message that the model gets for its summary.
const MAX_ONE: usize = 8_000;
/// Bytes of a summary.
const MAX_SUMMARY: usize = 64 << 10;
/// Tokens of a summary.
const SUMMARY_TOKENS: u32 = 4_000;
/// Characters of what the summary is to pay attention to, as in `OpenClaw`.
const MAX_FOCUS: usize = 800;

/// What a compaction did, in estimated tokens.
#[derive(Debug, Clone)]
pub(crate) struct Compacted {
    pub(crate) summary: String,
    pub(crate) first_kept_entry_id: String,
    pub(crate) tokens_before: u64,
    pub(crate) tokens_after: u64,
}

/// Compacts a session once its turns are over. `None` where there is nothing old enough.
pub(crate) async fn compact(
    core: &Core,
    key: &SessionKey,
    focus: &str,
) -> Result<Option<Compacted>, Fault> {
    let id = format!("compact-{}", uuid::Uuid::new_v4().simple());
    let (run, place) = core.runs.begin_turn(&id, key.as_str())?;
    let work = async {
        let _lane = place.turn().await;
        in_lane(core, key, focus).await
    };
    tokio::select! {
        biased;
        () = run.stopped() => Err(Fault::stopped()),
        done = work => done,
    }
}

/// Compacts a session whose lane the caller has.
pub(super) async fn in_lane(
    core: &Core,
    key: &SessionKey,
    focus: &str,
) -> Result<Option<Compacted>, Fault> {
    let wanted = key.clone();
    let read = core.store.job(move |root| {
        let Some(row) = store::session(root, wanted.agent(), wanted.as_str())? else {
            return Ok(None);
        };
        let Some(file) = store::transcript(root, wanted.agent(), &row.session_id)? else {
            return Ok(None);
        };
        let past = history::read(&file, MAX_READ).map_err(Error::io("read a transcript"))?;
        let chosen = choice::of_session(root, wanted.agent(), Some(&row))?;
        Ok(Some((row, past, chosen)))
    });
    let Some((row, past, chosen)) = read.await.map_err(|err| Fault::storage(&err))? else {
        return Ok(None);
    };
    let settings = core.live.now().settings;
    let keep = characters(settings.agents.defaults.keep_recent());
    let Some((at, first_kept)) = boundary(&past, keep) else { return Ok(None) };
    let (old, kept) = past.messages.split_at_checked(at).unwrap_or_default();
    let models = choice::models(core, &choice::Asked::default(), chosen)?;
    let model = models.into_iter().next().unwrap_or_default();
    let room = characters(settings.agents.defaults.room());
    let summary = ask(core, key, model, (written(old, room), focus)).await?;
    let after = kept.iter().map(cost).sum::<usize>() + summary.len();
    let compacted = Compacted {
        tokens_before: tokens(past.messages.iter().map(cost).sum()),
        tokens_after: tokens(after),
        first_kept_entry_id: first_kept,
        summary,
    };
    store_it(core, key, &row, &compacted).await.map_err(|err| Fault::storage(&err))?;
    Ok(Some(compacted))
}

async fn store_it(
    core: &Core,
    key: &SessionKey,
    row: &Row,
    compacted: &Compacted,
) -> Result<(), Error> {
    let session: &SessionId = &row.session_id;
    let Compacted { summary, first_kept_entry_id, tokens_before, tokens_after } = compacted.clone();
    let entry = Compaction { summary, first_kept_entry_id, tokens_before, tokens_after };
    core.store.append_compaction(key.agent(), session, entry).await?;
    let count = row.meta.compaction_count.unwrap_or(0).saturating_add(1);
    let fields = Fields::from([("compactionCount", count.into())]);
    core.store.commit(key.agent(), key.as_str(), Change::Note { fields }).await
}

/// Where what is kept begins: a message of the user, so that no answer is cut from its question.
/// The newest one is always kept.
fn boundary(past: &Past, keep: usize) -> Option<(usize, String)> {
    let mut left = keep;
    let mut found = None;
    for (at, message) in past.messages.iter().enumerate().rev() {
        let is_user = message.role() == Role::User;
        if is_user && let Some(Some(id)) = past.ids.get(at) {
            let fits = left.checked_sub(cost(message)).is_some();
            if found.is_none() || fits {
                found = Some((at, id.clone()));
            }
        }
        let Some(rest) = left.checked_sub(cost(message)) else {
            if found.is_some() {
                break;
            }
            continue;
        };
        left = rest;
    }
    // Less than an exchange, or a summary alone, is nothing to summarise.
    found.filter(|(at, _)| *at > 1)
}

/// A conversation as a text of at most `max` characters; the newest of it is kept.
fn written(messages: &[Message], max: usize) -> String {
    let mut parts = Vec::new();
    let mut left = max;
    for message in messages.iter().rev() {
        let who = match message.role() {
            Role::Assistant => "Assistant",
            Role::Tool => "Tool",
            Role::User | Role::System | Role::Unspecified => "User",
        };
        let mut said: String = prompt::text_of(message).chars().take(MAX_ONE).collect();
        for call in &message.tool_calls {
            said.push_str(" [calls ");
            said.push_str(&call.name);
            said.push(']');
        }
        let part = format!("{who}: {said}\n\n");
        let Some(rest) = left.checked_sub(part.len()) else { break };
        left = rest;
        parts.push(part);
    }
    parts.reverse();
    parts.concat()
}

async fn ask(
    core: &Core,
    key: &SessionKey,
    model: String,
    (text, focus): (String, &str),
) -> Result<String, Fault> {
    let mut task =
        "Summarise the conversation below for the assistant that will go on with it and \
         will no longer see it. Keep: what the user wants and has decided, facts and names, what \
         was done and with which result, what is still open. Leave out greetings and repetition. \
         Write plain text in the language of the conversation, at most 800 words."
            .to_owned();
    let focus: String = focus.trim().chars().take(MAX_FOCUS).collect();
    if !focus.is_empty() {
        task.push_str(" Pay special attention to: ");
        task.push_str(&focus);
    }
    let params = Params { max_tokens: Some(SUMMARY_TOKENS), ..Params::default() };
    let request = LlmRequest {
        model,
        messages: vec![text_message(Role::System, task), text_message(Role::User, text)],
        params: Some(params),
        request_id: upcalls::own_id(),
        agent: key.agent().to_string(),
        session_key: key.as_str().to_owned(),
    };
    let mut llm = core.llm.stream(request).await.map_err(|status| Fault::from(&status))?;
    let mut fold = Fold::new(MAX_SUMMARY);
    while let Some(batch) = llm.message().await.map_err(|status| Fault::from(&status))? {
        for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
            fold.push(event).map_err(|_too_long| Fault::too_long(MAX_SUMMARY))?;
        }
    }
    let summary = fold.plain_text();
    if summary.trim().is_empty() || !fold.is_finished() {
        return Err(Fault::cut_short());
    }
    Ok(summary)
}

/// Whether a provider says that the request was too long for its model.
pub(super) fn is_overflow(fault: &Fault) -> bool {
    const SIGNS: [&str; 6] = [
        "context length",
        "context_length",
        "context window",
        "maximum context",
        "prompt is too long",
        "too many tokens",
    ];
    let message = fault.message.to_lowercase();
    fault.status == 400 && SIGNS.iter().any(|sign| message.contains(sign))
}

fn characters(tokens: u64) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN)
}

fn tokens(characters: usize) -> u64 {
    u64::try_from(characters / CHARS_PER_TOKEN).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(said: &[(Role, usize)]) -> Past {
        let messages =
            said.iter().map(|(role, len)| text_message(*role, "x".repeat(*len))).collect();
        let ids = (0..said.len()).map(|at| Some(format!("e{at}"))).collect();
        Past { messages, ids, ..Past::default() }
    }

    #[test]
    fn what_is_kept_begins_with_a_user() {
        use Role::{Assistant, User};
        let check = |said: &[(Role, usize)], keep: usize, at: Option<usize>| {
            assert_eq!(boundary(&past(said), keep).map(|(at, _)| at), at, "{said:?} {keep}");
        };
        let said = [(User, 10), (Assistant, 10), (User, 10), (Assistant, 10), (User, 10)];
        check(&said, 0, Some(4));
        check(&said, 10, Some(4));
        check(&said, 29, Some(4));
        check(&said, 30, Some(2));
        check(&said, 1000, None);
        check(&[(User, 10)], 0, None);
        check(&[(User, 10), (Assistant, 10), (User, 10), (Assistant, 90)], 5, Some(2));
    }

    #[test]
    fn the_newest_of_a_text_is_kept() {
        let past = past(&[(Role::User, 50), (Role::Assistant, 4)]);
        assert_eq!(written(&past.messages, 30), "Assistant: xxxx\n\n");
    }
}
