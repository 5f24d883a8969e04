//! Telegram's Bot API. The secret stands in the path; what is signed is nothing, so the account is known
//! by the path that it was given and the token in the header.

mod files;

use networks::{Network, Us, What};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::Secret;

use crate::adapter::{
    Adapter, Answer, Call, Enclosed, Fetch, Letter, Method, Named, Outcome, Proof, Received, Reply,
    Request, Sending, Step,
};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::recipe::Recipe;
use crate::source::{Came, Counts, Poll};

/// How a webhook proves itself.
pub(crate) const RECIPE: Recipe =
    Recipe::Token { header: "x-telegram-bot-api-secret-token", prefix: "" };

/// Updates that are asked for at once: each is at most some kilobytes.
const LIMIT: u32 = 50;

/// Seconds that a question waits for an update.
const WAIT_S: u32 = 25;

/// Updates that are wanted.
const ALLOWED: [&str; 4] = ["message", "edited_message", "channel_post", "edited_channel_post"];

/// How long an offset is good, in milliseconds: Telegram keeps nothing longer, and begins its numbers
/// anew after a week without an update.
const OFFSET_MS: u64 = 24 * 3_600_000;

/// Telegram.
#[derive(Debug)]
pub(crate) struct Telegram;

#[derive(Deserialize)]
struct Update {
    update_id: i64,
    message: Option<Box<Said>>,
    edited_message: Option<Box<Said>>,
    channel_post: Option<Box<Said>>,
    edited_channel_post: Option<Box<Said>>,
}

#[derive(Deserialize)]
struct Said {
    message_id: i64,
    #[serde(default)]
    is_topic_message: bool,
    message_thread_id: Option<i64>,
    from: Option<User>,
    sender_chat: Option<Chat>,
    chat: Chat,
    text: Option<String>,
    caption: Option<String>,
    reply_to_message: Option<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    from: Option<User>,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    is_bot: bool,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
    #[serde(default)]
    r#type: String,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    chat_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<i64>,
    text: &'a str,
    parse_mode: &'static str,
    link_preview_options: Preview,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_parameters: Option<ReplyTo>,
}

#[derive(Serialize)]
struct Preview {
    is_disabled: bool,
}

#[derive(Serialize)]
struct ReplyTo {
    message_id: i64,
    // Whoever takes back a question still gets the answer.
    allow_sending_without_reply: bool,
}

#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    ok: bool,
    result: Option<Sent>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Sent {
    message_id: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

#[derive(Deserialize)]
struct Updates<'a> {
    #[serde(borrow)]
    result: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Numbered {
    update_id: i64,
}

impl Adapter for Telegram {
    fn network(&self) -> &'static Network {
        crate::known("telegram")
    }

    fn recipes(&self) -> &'static [Recipe] {
        &[RECIPE]
    }

    fn root(&self) -> Option<&'static str> {
        Some("https://api.telegram.org")
    }

    fn receive(&self, request: Request<'_>) -> Result<Received, Unreadable> {
        Ok(Received::Events { events: vec![request.body.to_vec()], reply: Reply::ok() })
    }

    fn facts(&self, event: &[u8], us: Us<'_>) -> Result<Facts, Unreadable> {
        let update: Update = serde_json::from_slice(event)?;
        let event = format!("u{}", update.update_id);
        let said = update.message.or(update.channel_post);
        let is_edit = said.is_none();
        let said = said.or(update.edited_message).or(update.edited_channel_post);
        let Some(said) = said else { return Ok(Facts::nothing(event)) };
        let done = done(*said, is_edit, us);
        Facts { account: None, event, done }.bounded()
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        let reply = letter.place.reply.as_deref().filter(|_| letter.is_first);
        let over = number(letter.over);
        let body = Outgoing {
            chat_id: &letter.place.room,
            message_thread_id: number(letter.place.thread.as_deref()).filter(|_| over.is_none()),
            message_id: over,
            text: &letter.part.text,
            parse_mode: "HTML",
            link_preview_options: Preview { is_disabled: true },
            reply_parameters: number(reply)
                .filter(|_| over.is_none())
                .map(|message_id| ReplyTo { message_id, allow_sending_without_reply: true }),
        };
        let path = if over.is_some() { "/editMessageText" } else { "/sendMessage" };
        Sending::Call(post(path, &body))
    }

    fn upload(&self, letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        files::upload(letter, file, before)
    }

    fn typing(&self, place: &Place, _us: Us<'_>) -> Option<Call> {
        #[derive(Serialize)]
        struct Action<'a> {
            chat_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message_thread_id: Option<i64>,
            action: &'static str,
        }
        let thread = place.thread.as_deref().and_then(|it| it.parse().ok());
        let action = Action { chat_id: &place.room, message_thread_id: thread, action: "typing" };
        Some(post("/sendChatAction", &action))
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        let told: Told = answer::body(answer);
        if told.ok {
            let id = told.result.and_then(|it| it.message_id);
            return Outcome::Sent(id.map(|it| it.to_string()));
        }
        if let Some(room) = told.parameters.migrate_to_chat_id {
            return Outcome::Moved(room.to_string());
        }
        match (answer.status, told.parameters.retry_after) {
            (429, Some(wait)) => Outcome::Wait(answer::millis(wait.saturating_mul(1000))),
            // What was to be written stands there already.
            (400, _) if told.description.contains("message is not modified") => Outcome::Sent(None),
            // The path is no bot's: so is a token that was taken back.
            (404, _) => Outcome::Shut(told.description),
            // Telegram always says whether it is well. Who answered that was another.
            (200..=299, _) => Outcome::Unknown("the answer is not Telegram's".to_owned()),
            _ => answer::outcome(answer, &told.description),
        }
    }

    fn fetch(&self, reference: &str) -> Option<Fetch> {
        #[derive(Serialize)]
        struct Asked<'a> {
            file_id: &'a str,
        }
        Some(Fetch::Ask(post("/getFile", &Asked { file_id: reference })))
    }

    fn found(&self, answer: Answer<'_>) -> Option<Call> {
        #[derive(Default, Deserialize)]
        struct Found {
            result: Option<File>,
        }
        #[derive(Deserialize)]
        struct File {
            file_path: Option<String>,
        }
        let found: Found = answer::body(answer);
        let path = found.result.and_then(|it| it.file_path)?;
        let steps = path.split('/').map(answer::step).collect::<Option<Vec<_>>>()?;
        let (path, proof) = (format!("/{}", steps.join("/")), Proof::Path("file/bot"));
        Some(Call { method: Method::Get, path, body: Vec::new(), proof })
    }

    fn probe(&self) -> Option<Call> {
        Some(post("/getMe", &serde_json::Map::new()))
    }

    fn probed(&self, answer: Answer<'_>) -> Option<Named> {
        #[derive(Default, Deserialize)]
        struct Me {
            result: Option<Bot>,
        }
        #[derive(Deserialize)]
        struct Bot {
            id: i64,
            username: Option<String>,
        }
        let me: Me = answer::body(answer);
        let me = me.result.filter(|_| answer.status == 200)?;
        let id = me.id.to_string();
        Some(Named { account: Some(id.clone()), id, name: me.username })
    }

    fn arrive(&self, at: Option<(&str, &Secret)>) -> Option<Call> {
        #[derive(Serialize)]
        struct Webhook<'a> {
            url: &'a str,
            secret_token: &'a str,
            allowed_updates: [&'static str; 4],
        }
        let Some((url, secret)) = at else {
            return Some(post("/deleteWebhook", &serde_json::Map::new()));
        };
        let secret_token = secret.expose();
        let webhook = Webhook { url, secret_token, allowed_updates: ALLOWED };
        Some(post("/setWebhook", &webhook))
    }

    fn poll(&self) -> Option<&dyn Poll> {
        Some(self)
    }
}

impl Poll for Telegram {
    fn ask(&self, cursor: Option<&str>, little: bool) -> Call {
        #[derive(Serialize)]
        struct Question {
            #[serde(skip_serializing_if = "Option::is_none")]
            offset: Option<i64>,
            limit: u32,
            timeout: u32,
            allowed_updates: [&'static str; 4],
        }
        let offset = cursor.and_then(|it| it.parse().ok());
        let limit = if little { 1 } else { LIMIT };
        let question = Question { offset, limit, timeout: WAIT_S, allowed_updates: ALLOWED };
        post("/getUpdates", &question)
    }

    fn came(&self, answer: Answer<'_>, _us: Us<'_>, _counts: &Counts) -> Result<Came, Unreadable> {
        let updates: Updates<'_> = serde_json::from_slice(answer.body)?;
        let mut came = Came::default();
        for update in updates.result {
            let Numbered { update_id } = serde_json::from_str(update.get())?;
            came.events.push(update.get().as_bytes().to_vec());
            // Confirmed by the next question. Never compared: numbers may begin anew.
            came.cursor = Some(update_id.saturating_add(1).to_string());
        }
        Ok(came)
    }

    fn cursor_age(&self) -> u64 {
        OFFSET_MS
    }
}

fn done(said: Said, is_edit: bool, us: Us<'_>) -> Option<Done> {
    let kind = match said.chat.r#type.as_str() {
        "private" => Kind::Direct,
        "channel" => Kind::Channel,
        _ => Kind::Group,
    };
    let text = said.text.or(said.caption).unwrap_or_default();
    let answers_us = said.reply_to_message.and_then(|it| it.from);
    let answers_us = answers_us.is_some_and(|it| it.id.to_string() == us.id);
    let is_named = us.name.is_some_and(|name| names(&text, name));
    // Whoever writes in the name of a chat has no id of their own.
    let sender = match (&said.from, &said.sender_chat) {
        (_, Some(chat)) => chat.id,
        (Some(user), None) => user.id,
        (None, None) => return None,
    };
    let thread = said.message_thread_id.filter(|_| said.is_topic_message);
    let thread = thread.map(|it| it.to_string());
    let room = said.chat.id.to_string();
    Some(Done {
        what: if is_edit { What::Edited } else { What::Said },
        room: Room { kind, id: room.clone(), thread: thread.clone(), space: None },
        sender: sender.to_string(),
        is_bot: said.from.is_some_and(|it| it.is_bot),
        is_addressed: kind == Kind::Direct || answers_us || is_named,
        opening: opening(&text),
        place: Place { room, thread, reply: Some(said.message_id.to_string()) },
    })
}

/// Whether `@name` stands in a text, not within another word. Names are unique in Telegram, and ours is
/// nobody else's.
fn names(text: &str, name: &str) -> bool {
    let word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let mut rest = text;
    let mut before = None;
    while let Some((left, right)) = rest.split_once('@') {
        before = left.chars().next_back().or(before);
        let is_start = !before.is_some_and(|it| word(it) && !left.starts_with('/'));
        let called = right.get(..name.len());
        let after = right.get(name.len()..).and_then(|it| it.chars().next());
        let is_ours = called.is_some_and(|it| it.eq_ignore_ascii_case(name));
        if is_ours && is_start && !after.is_some_and(|it| word(it) || it == '.') {
            return true;
        }
        (rest, before) = (right, Some('@'));
    }
    false
}

fn number(text: Option<&str>) -> Option<i64> {
    text.and_then(|it| it.parse().ok())
}

fn post<T: Serialize>(path: &str, body: &T) -> Call {
    Call {
        method: Method::Post,
        path: path.to_owned(),
        body: serde_json::to_vec(body).unwrap_or_default(),
        proof: Proof::Path("bot"),
    }
}
