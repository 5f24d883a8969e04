//! Files that Telegram is sent: a picture as one, where it takes it for that, and whatever else as a document.
//! <https://core.telegram.org/bots/api#sending-files>

use serde::Serialize;

use super::{ReplyTo, number};
use crate::adapter::{Call, Carries, Enclosed, Letter, Method, Outcome, Proof, Step};

/// What is sent as a picture. Telegram refuses one that is too large, too wide or none at all.
const PICTURES: [&str; 2] = ["image/png", "image/jpeg"];

pub(super) fn upload(letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
    let is_picture = PICTURES.contains(&file.is.media_type.as_str());
    match (is_picture, before.len()) {
        (true, 0) => Step::Try(call("/sendPhoto"), form(letter, "photo")),
        (false, 0) | (true, 1) => Step::Last(call("/sendDocument"), form(letter, "document")),
        (true | false, _) => Step::Over(Outcome::Refused("it is no document either".to_owned())),
    }
}

fn call(path: &str) -> Call {
    let (method, path, proof) = (Method::Post, path.to_owned(), Proof::Path("bot"));
    Call { method, path, body: Vec::new(), proof }
}

/// The fields beside the file: what is not text in them is JSON.
fn form(letter: Letter<'_>, field: &'static str) -> Carries {
    let place = letter.place;
    let mut fields = vec![("chat_id", place.room.clone())];
    if let Some(thread) = number(place.thread.as_deref()) {
        fields.push(("message_thread_id", thread.to_string()));
    }
    if let Some(message_id) = number(place.reply.as_deref().filter(|_| letter.is_first)) {
        let reply = ReplyTo { message_id, allow_sending_without_reply: true };
        fields.push(("reply_parameters", json(&reply)));
    }
    Carries::Form(fields, field)
}

fn json<T: Serialize>(of: &T) -> String {
    serde_json::to_string(of).unwrap_or_default()
}
