//! Slack: the Events API over HTTP, slash commands, and the Web API. What comes through Socket Mode is
//! the same in an envelope.

mod command;
mod files;
mod socket;

use delivery::outbox::Seen;
use networks::{Network, Us, What};
use serde::{Deserialize, Serialize};

use crate::adapter::{
    Adapter, Answer, Call, Enclosed, Fetch, Letter, Method, Named, Outcome, Proof, Received, Reply,
    Request, Sending, Step,
};
use crate::answer;
use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};
use crate::recipe::{Keyed, Piece, Recipe, Written};
use crate::source::Session;
use command::{Command, account, command, form_command};

/// How a request proves itself.
pub(crate) const RECIPE: Recipe = Recipe::Keyed(Keyed {
    header: "x-slack-signature",
    prefix: "v0=",
    written: Written::Hex,
    over: &[
        Piece::Text("v0:"),
        Piece::Header("x-slack-request-timestamp"),
        Piece::Text(":"),
        Piece::Body,
    ],
    time: Some("x-slack-request-timestamp"),
});

/// What our own messages are marked with, so that one of which no answer came can be found.
const MARK: &str = "openclawmu";

/// Messages that are looked through for one that may be there: as many as Slack shows at once.
const LOOKED_THROUGH: u32 = 999;

/// How far Slack's clock may be behind ours, in milliseconds.
const SKEW_MS: u64 = 5 * 60_000;

/// Errors of Slack's that are over when somebody has given the account a new token.
const SHUT: [&str; 6] = [
    "invalid_auth",
    "not_authed",
    "token_revoked",
    "token_expired",
    "account_inactive",
    "org_login_required",
];

/// Errors that say nothing about whether the message was taken.
const UNSURE: [&str; 4] =
    ["internal_error", "fatal_error", "service_unavailable", "request_timeout"];

/// Slack.
#[derive(Debug)]
pub(crate) struct Slack;

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    r#type: String,
    challenge: Option<String>,
    api_app_id: Option<String>,
    team_id: Option<String>,
    event_id: Option<String>,
    event: Option<Event>,
    // What follows is of a command that came through a socket: over HTTP it is a form.
    command: Option<String>,
    text: Option<String>,
    channel_id: Option<String>,
    user_id: Option<String>,
    trigger_id: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    r#type: String,
    subtype: Option<String>,
    channel: Option<String>,
    channel_type: Option<String>,
    user: Option<String>,
    bot_id: Option<String>,
    text: Option<String>,
    ts: Option<String>,
    thread_ts: Option<String>,
    parent_user_id: Option<String>,
    message: Option<Edited>,
}

#[derive(Deserialize)]
struct Edited {
    user: Option<String>,
    bot_id: Option<String>,
    text: Option<String>,
    ts: Option<String>,
    thread_ts: Option<String>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    unfurl_links: bool,
    unfurl_media: bool,
}

#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    event_type: std::borrow::Cow<'a, str>,
    event_payload: Payload<'a>,
}

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    key: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    ok: bool,
    ts: Option<String>,
    #[serde(default)]
    error: String,
}

#[derive(Default, Deserialize)]
struct History<'a> {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    has_more: bool,
    #[serde(default, borrow)]
    messages: Vec<Marked<'a>>,
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    ts: Option<String>,
}

impl Adapter for Slack {
    fn network(&self) -> &'static Network {
        crate::known("slack")
    }

    fn recipes(&self) -> &'static [Recipe] {
        &[RECIPE]
    }

    fn root(&self) -> Option<&'static str> {
        Some("https://slack.com")
    }

    fn receive(&self, request: Request<'_>) -> Result<Received, Unreadable> {
        let event = || Received::Events { events: vec![request.body.to_vec()], reply: Reply::ok() };
        if !request.body.trim_ascii_start().starts_with(b"{") {
            return Ok(event());
        }
        let envelope: Envelope = serde_json::from_slice(request.body)?;
        Ok(match (envelope.r#type.as_str(), envelope.challenge) {
            ("url_verification", Some(challenge)) => Received::Question(Reply {
                status: 200,
                body: Some(("text/plain", challenge.into_bytes())),
            }),
            ("event_callback", _) => event(),
            _ => Received::Nothing,
        })
    }

    fn facts(&self, event: &[u8], us: Us<'_>) -> Result<Facts, Unreadable> {
        if !event.trim_ascii_start().starts_with(b"{") {
            return form_command(event);
        }
        let envelope: Envelope = serde_json::from_slice(event)?;
        let account = account(envelope.api_app_id.as_deref(), envelope.team_id.as_deref())?;
        if envelope.command.is_some() {
            let Envelope { command: name, text, channel_id, user_id, trigger_id, .. } = envelope;
            return command(Command {
                account,
                space: envelope.team_id,
                command: name,
                text,
                channel: channel_id,
                user: user_id,
                trigger: trigger_id,
            });
        }
        let event_id = envelope.event_id.ok_or(Unreadable::Missing("event_id"))?;
        let nothing = Facts { account: Some(account), ..Facts::nothing(event_id) };
        let Some(event) = envelope.event else { return Ok(nothing) };
        let space = envelope.team_id;
        match event.r#type.as_str() {
            "message" | "app_mention" => said(event, nothing, space, us),
            _ => Ok(nothing),
        }
    }

    fn send(&self, letter: Letter<'_>) -> Sending {
        let key = Some(letter.key.into());
        let mark = Metadata { event_type: MARK.into(), event_payload: Payload { key } };
        let body = Outgoing {
            channel: &letter.place.room,
            ts: letter.over,
            thread_ts: letter.place.thread.as_deref().filter(|_| letter.over.is_none()),
            text: &letter.part.text,
            metadata: letter.over.is_none().then_some(mark),
            unfurl_links: false,
            unfurl_media: false,
        };
        let path = if letter.over.is_some() { "/api/chat.update" } else { "/api/chat.postMessage" };
        Sending::Call(Call {
            method: Method::Post,
            path: path.to_owned(),
            body: serde_json::to_vec(&body).unwrap_or_default(),
            proof: Proof::Header("Bearer "),
        })
    }

    fn upload(&self, letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        files::upload(letter, file, before)
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        let told: Told = answer::body(answer);
        match told.error.as_str() {
            "" if told.ok => Outcome::Sent(told.ts),
            "" if answer.status < 300 => Outcome::Unknown("the answer is not Slack's".to_owned()),
            "ratelimited" | "rate_limited" => {
                Outcome::Wait(answer::header_wait(answer).unwrap_or(1_000))
            }
            error if SHUT.contains(&error) => Outcome::Shut(error.to_owned()),
            error if UNSURE.contains(&error) => Outcome::Unknown(error.to_owned()),
            error if answer.status < 300 => Outcome::Refused(error.to_owned()),
            error => answer::outcome(answer, error),
        }
    }

    fn probe(&self) -> Option<Call> {
        let (path, proof) = ("/api/auth.test".to_owned(), Proof::Header("Bearer "));
        Some(Call { method: Method::Post, path, body: Vec::new(), proof })
    }

    fn probed(&self, answer: Answer<'_>) -> Option<Named> {
        #[derive(Default, Deserialize)]
        struct Me {
            user_id: Option<String>,
        }
        // Which app it is, is not said: whoever registers the account says so.
        let me: Me = answer::body(answer);
        me.user_id.map(|id| Named { account: None, id, name: None })
    }

    fn session(&self, _mark: Option<&str>, chance: u16) -> Option<Box<dyn Session>> {
        Some(Box::new(socket::Socket::new(chance)))
    }

    fn fetch(&self, reference: &str) -> Option<Fetch> {
        let path = format!("/api/files.info?file={}", answer::piece(reference));
        let proof = Proof::Header("Bearer ");
        Some(Fetch::Ask(Call { method: Method::Get, path, body: Vec::new(), proof }))
    }

    fn found(&self, answer: Answer<'_>) -> Option<Call> {
        #[derive(Default, Deserialize)]
        struct Found {
            file: Option<File>,
        }
        #[derive(Deserialize)]
        struct File {
            url_private_download: Option<String>,
        }
        let found: Found = answer::body(answer);
        let path = found.file.and_then(|it| it.url_private_download)?;
        let proof = Proof::Header("Bearer ");
        Some(Call { method: Method::Get, path, body: Vec::new(), proof })
    }

    fn hosts(&self) -> &'static [&'static str] {
        &["files.slack.com"]
    }

    fn look(&self, letter: Letter<'_>) -> Option<Call> {
        let place = letter.place;
        let (method, thread) = match &place.thread {
            Some(thread) => ("replies", format!("&ts={}", answer::piece(thread))),
            None => ("history", String::new()),
        };
        let room = answer::piece(&place.room);
        // A thread is shown from its beginning: what is older than the message is left out.
        let oldest = letter.since.saturating_sub(SKEW_MS) / 1000;
        let path = format!(
            "/api/conversations.{method}?channel={room}{thread}&oldest={oldest}&limit={LOOKED_THROUGH}&include_all_metadata=true"
        );
        let proof = Proof::Header("Bearer ");
        Some(Call { method: Method::Get, path, body: Vec::new(), proof })
    }

    fn seen(&self, letter: Letter<'_>, answer: Answer<'_>) -> Option<Seen> {
        if let Some(file) = &letter.part.file {
            return files::seen(letter, file, answer);
        }
        let history: History<'_> = answer::body(answer);
        let ours = |it: &Marked<'_>| {
            let mark = it.metadata.as_ref().filter(|it| it.event_type == MARK);
            mark.is_some_and(|it| it.event_payload.key.as_deref() == Some(letter.key))
        };
        match history.messages.into_iter().find(ours) {
            Some(found) if history.ok => Some(Seen::There(found.ts)),
            // Among those that are not shown it may be.
            None if history.ok && !history.has_more => Some(Seen::Absent),
            _ => None,
        }
    }
}

fn said(
    event: Event,
    nothing: Facts,
    space: Option<String>,
    us: Us<'_>,
) -> Result<Facts, Unreadable> {
    let is_edit = match event.subtype.as_deref() {
        None | Some("file_share" | "thread_broadcast" | "bot_message" | "me_message") => false,
        Some("message_changed") => true,
        Some(_) => return Ok(nothing),
    };
    let (channel, ts) = (event.channel, event.ts);
    let (Some(channel), Some(ts)) = (channel, ts) else { return Ok(nothing) };
    let said = Edited {
        user: event.user,
        bot_id: event.bot_id,
        text: event.text,
        ts: Some(ts.clone()),
        thread_ts: event.thread_ts,
    };
    let said = if is_edit { event.message.ok_or(Unreadable::Missing("message"))? } else { said };
    let Some(sender) = said.user.or_else(|| said.bot_id.clone()) else { return Ok(nothing) };
    let kind = match event.channel_type.as_deref() {
        Some("im") => Kind::Direct,
        Some("mpim") => Kind::Group,
        // Mentions come without a type, and are the same as the message; in a conversation of two there
        // are none.
        _ if channel.starts_with('G') => Kind::Group,
        _ => Kind::Channel,
    };
    let text = said.text.unwrap_or_default();
    let named = [format!("<@{}>", us.id), format!("<@{}|", us.id)];
    let is_named = !us.id.is_empty() && named.iter().any(|it| text.contains(it.as_str()));
    let answers_us = event.parent_user_id.as_deref() == Some(us.id) && !us.id.is_empty();
    let is_mention = event.r#type == "app_mention";
    // An answer in a channel goes into the thread that it answers, or begins one.
    let own = said.ts.filter(|_| kind != Kind::Direct);
    let place =
        Place { room: channel.clone(), thread: said.thread_ts.clone().or(own), reply: None };
    let done = Done {
        what: if is_edit { What::Edited } else { What::Said },
        is_bot: said.bot_id.is_some() || sender == us.id,
        is_addressed: kind == Kind::Direct || is_mention || is_named || answers_us,
        room: Room { kind, id: channel.clone(), thread: said.thread_ts, space },
        sender,
        opening: opening(&text),
        place,
    };
    // A mention comes twice, as such and as a message: known by its place and time it is one.
    Facts { event: format!("{channel}:{ts}"), done: Some(done), ..nothing }.bounded()
}
