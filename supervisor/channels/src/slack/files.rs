//! Files that Slack is sent: it says where one is to be brought, is brought the bytes there, and is told where
//! the file belongs. <https://docs.slack.dev/reference/methods/files.getUploadURLExternal>,
//! <https://docs.slack.dev/reference/methods/files.completeUploadExternal>
//!
//! A message with a file takes no mark of ours, so that one of which no answer came is found by what is known of
//! the file.

use delivery::outbox::Seen;
use networks::File;
use serde::{Deserialize, Serialize};

use super::Slack;
use crate::adapter::{
    Adapter as _, Answer, Call, Carries, Enclosed, Letter, Method, Outcome, Proof, Step,
};
use crate::answer;

/// Milliseconds after which one begins anew of what nobody has seen yet.
const AGAIN_MS: u64 = 5_000;

#[derive(Default, Deserialize)]
struct Begun {
    #[serde(default)]
    ok: bool,
    upload_url: Option<String>,
    file_id: Option<String>,
}

#[derive(Serialize)]
struct Shared<'a> {
    files: [Named<'a>; 1],
    channel_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    title: &'a str,
}

#[derive(Default, Deserialize)]
struct History {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    messages: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    user: Option<String>,
    ts: Option<String>,
    #[serde(default)]
    files: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    name: Option<String>,
    title: Option<String>,
    size: Option<u64>,
}

pub(super) fn upload(letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
    let Some(first) = before.first() else {
        let (name, size) = (answer::piece(&file.is.name), file.is.size);
        let path = format!("/api/files.getUploadURLExternal?filename={name}&length={size}");
        return Step::Before(call(Method::Get, path, Vec::new()), Carries::Own);
    };
    let said = Answer { status: 200, retry_after: None, body: first };
    let begun: Begun = answer::body(said);
    let (Begun { ok: true, .. }, Some(url), Some(id)) =
        (&begun, begun.upload_url.as_deref(), begun.file_id.as_deref())
    else {
        return Step::Over(not_begun(said));
    };
    match before.len() {
        1 => {
            let (method, path, proof) = (Method::Post, url.to_owned(), Proof::Nothing);
            Step::Before(Call { method, path, body: Vec::new(), proof }, Carries::File)
        }
        2 => {
            let shared = Shared {
                files: [Named { id, title: &file.is.name }],
                channel_id: &letter.place.room,
                thread_ts: letter.place.thread.as_deref(),
            };
            let body = serde_json::to_vec(&shared).unwrap_or_default();
            let path = "/api/files.completeUploadExternal".to_owned();
            Step::Last(call(Method::Post, path, body), Carries::Own)
        }
        _ => Step::Over(Outcome::Refused("it is shared already".to_owned())),
    }
}

/// What it means that Slack does not say where the file is to be brought: nothing of it is anywhere.
fn not_begun(answer: Answer<'_>) -> Outcome {
    match Slack.outcome(answer) {
        Outcome::Sent(_) | Outcome::Unknown(_) => Outcome::Wait(AGAIN_MS),
        certain @ (Outcome::Wait(_)
        | Outcome::Refused(_)
        | Outcome::Shut(_)
        | Outcome::Moved(_)) => certain,
    }
}

fn call(method: Method, path: String, body: Vec<u8>) -> Call {
    Call { method, path, body, proof: Proof::Header("Bearer ") }
}

/// Whether a file is there: one message of ours since it was taken to be sent has one of its name and size. Of
/// more of them nobody knows which it is, and one that may be older is none.
pub(super) fn seen(letter: Letter<'_>, file: &File, answer: Answer<'_>) -> Option<Seen> {
    let history: History = answer::body(answer);
    let is_named = |it: &Shown| [&it.name, &it.title].contains(&&Some(file.name.clone()));
    let same = |it: &Shown| it.size == Some(file.size) && is_named(it);
    let ours = |it: &&Said| it.user.as_deref() == Some(letter.us) && it.files.iter().any(same);
    let mut found = history.messages.iter().filter(ours);
    match (found.next(), found.next()) {
        _ if !history.ok => None,
        (None, _) => (!history.has_more).then_some(Seen::Absent),
        (Some(one), None) if is_since(one, letter.since) => Some(Seen::There(one.ts.clone())),
        (Some(_), _) => None,
    }
}

/// Whether Slack had it no earlier than then, in milliseconds.
fn is_since(said: &Said, since: u64) -> bool {
    let (seconds, part) = said.ts.as_deref().and_then(|it| it.split_once('.')).unwrap_or_default();
    let seconds = seconds.parse::<u64>().unwrap_or(0).saturating_mul(1000);
    let millis = part.get(..3).and_then(|it| it.parse().ok()).unwrap_or(0);
    seconds.saturating_add(millis) >= since
}
