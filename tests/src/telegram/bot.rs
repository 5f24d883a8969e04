//! One bot of the network: what it was told, what it has not heard of yet, and its calls.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

use super::files::File;
use crate::networks::serve::Part;

/// Characters of a text, in units of UTF-16, without its tags.
const MAX_TEXT: usize = 4096;

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is too early: so many seconds.
    Wait(u64),
    /// The network fails before it is taken.
    Error,
    /// It is taken, and nobody is told.
    Silence,
    /// The bot was shut out of the chat.
    Forbidden,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// To which chat.
    pub chat: i64,
    /// What it says, with its tags; of a file what is said with it.
    pub text: String,
    /// The message that it answers.
    pub reply: Option<i64>,
    /// Its number.
    pub id: i64,
    /// The file that it is.
    pub file: Option<File>,
}

/// One bot.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub(super) struct Bot {
    id: u64,
    name: String,
    /// By number; a week without updates could make it begin anywhere, so it begins anywhere.
    next: i64,
    pub(super) messages: i64,
    all: BTreeMap<i64, Value>,
    pub(super) pending: BTreeMap<i64, Value>,
    pub(super) webhook: Option<(String, String)>,
    bringing: bool,
    pub(super) polling: bool,
    turn: u64,
    pub(super) sent: Vec<Sent>,
    pub(super) attempts: usize,
    pub(super) typing: usize,
    pub(super) faults: HashMap<i64, VecDeque<Fault>>,
    pub(super) is_revoked: bool,
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Value),
    Refused { status: u16, why: String, parameters: Value },
    Silence,
}

impl Answer {
    pub(super) fn refused(status: u16, why: &str) -> Self {
        Self::Refused { status, why: why.to_owned(), parameters: Value::Null }
    }

    pub(super) fn bad(why: &str) -> Self {
        Self::refused(400, &format!("Bad Request: {why}"))
    }

    /// Status and text; none for silence.
    pub(super) fn body(self) -> Option<(u16, String)> {
        Some(match self {
            Self::Done(result) => (200, json!({"ok": true, "result": result}).to_string()),
            Self::Refused { status, why, parameters } => {
                let mut body = json!({"ok": false, "error_code": status, "description": why});
                if !parameters.is_null() {
                    body["parameters"] = parameters;
                }
                (status, body.to_string())
            }
            Self::Silence => return None,
        })
    }
}

impl Bot {
    pub(super) fn new(id: u64, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            next: 871_000_000 + i64::try_from(id).unwrap(),
            messages: 0,
            all: BTreeMap::new(),
            pending: BTreeMap::new(),
            webhook: None,
            bringing: false,
            polling: false,
            turn: 0,
            sent: Vec::new(),
            attempts: 0,
            typing: 0,
            faults: HashMap::new(),
            is_revoked: false,
        }
    }

    pub(super) fn push(&mut self, mut message: Value) -> i64 {
        self.messages += 1;
        message["message_id"] = self.messages.into();
        message["date"] = 1_760_000_000.into();
        let id = self.next;
        self.next += 1;
        let update = json!({"update_id": id, "message": message});
        self.all.insert(id, update.clone());
        self.pending.insert(id, update);
        id
    }

    pub(super) fn again(&mut self, update: i64) {
        self.pending.insert(update, self.all[&update].clone());
    }

    pub(super) fn update(&self, update: i64) -> Value {
        self.all[&update].clone()
    }

    pub(super) fn confirm(&mut self, id: i64) {
        self.pending.remove(&id);
    }

    /// Confirms what comes before the offset, and takes the turn of whoever asked before.
    pub(super) fn ask(&mut self, offset: Option<i64>) -> Result<u64, Answer> {
        if self.webhook.is_some() {
            let why = "Conflict: can't use getUpdates method while webhook is active; use \
                       deleteWebhook to delete the webhook first";
            return Err(Answer::refused(409, why));
        }
        match offset {
            Some(offset @ 1..) => self.pending.retain(|id, _| *id >= offset),
            Some(offset @ ..=-1) => {
                let keep = usize::try_from(offset.unsigned_abs()).unwrap();
                while self.pending.len() > keep {
                    self.pending.pop_first();
                }
            }
            Some(0) | None => {}
        }
        self.turn += 1;
        self.polling = true;
        Ok(self.turn)
    }

    /// What whoever asked is answered, where it is time.
    pub(super) fn look(&mut self, turn: u64, limit: usize, is_due: bool) -> Option<Answer> {
        if self.is_revoked {
            return Some(Answer::refused(401, "Unauthorized"));
        }
        if self.turn != turn {
            let why = "Conflict: terminated by other getUpdates request; make sure that only one \
                       bot instance is running";
            return Some(Answer::refused(409, why));
        }
        if self.pending.is_empty() && !is_due {
            return None;
        }
        self.polling = false;
        Some(Answer::Done(self.pending.values().take(limit).cloned().collect()))
    }

    pub(super) fn begins_bringing(&mut self) -> bool {
        let begins = self.webhook.is_some() && !self.bringing;
        self.bringing |= begins;
        begins
    }

    pub(super) fn next_for_webhook(&mut self) -> Option<(i64, Value, String, String)> {
        let next = self.pending.first_key_value().map(|(id, update)| (*id, update.clone()));
        let next = next.zip(self.webhook.clone());
        self.bringing = next.is_some();
        next.map(|((id, update), (url, secret))| (id, update, url, secret))
    }

    pub(super) fn call(&mut self, method: &str, params: &Value, files: Vec<Part>) -> Answer {
        match method {
            "getMe" => Answer::Done(self.me()),
            "sendMessage" => self.send(params),
            "sendPhoto" => self.send_file(params, files, "photo"),
            "sendDocument" => self.send_file(params, files, "document"),
            "editMessageText" => self.edit(params),
            "sendChatAction" => {
                self.typing += usize::from(params["action"] == "typing");
                Answer::Done(true.into())
            }
            "setWebhook" => {
                let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
                let (url, secret) = (text("url"), text("secret_token"));
                let plain = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
                if secret.len() > 256 || !secret.chars().all(plain) {
                    return Answer::bad("secret token contains unallowed characters");
                }
                self.webhook = (!url.is_empty()).then_some((url, secret));
                Answer::Done(true.into())
            }
            "deleteWebhook" => {
                self.webhook = None;
                if params["drop_pending_updates"] == true {
                    self.pending.clear();
                }
                Answer::Done(true.into())
            }
            "getWebhookInfo" => {
                let url = self.webhook.as_ref().map(|it| it.0.clone()).unwrap_or_default();
                Answer::Done(json!({"url": url, "has_custom_certificate": false,
                    "pending_update_count": self.pending.len()}))
            }
            "getFile" => self.where_it_is(&params["file_id"]),
            _ => Answer::refused(404, "Not Found"),
        }
    }

    fn me(&self) -> Value {
        json!({"id": self.id, "is_bot": true, "first_name": self.name, "username": self.name,
            "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false})
    }

    /// What goes wrong next with a chat: an answer without anything done, or a fault that comes after it.
    pub(super) fn fault(&mut self, chat: i64) -> Result<Option<Fault>, Answer> {
        let fault = self.faults.get_mut(&chat).and_then(VecDeque::pop_front);
        Err(match fault {
            Some(Fault::Wait(seconds)) => {
                let why = format!("Too Many Requests: retry after {seconds}");
                Answer::Refused { status: 429, why, parameters: json!({"retry_after": seconds}) }
            }
            Some(Fault::Error) => Answer::refused(502, "Bad Gateway"),
            Some(Fault::Forbidden) => {
                Answer::refused(403, "Forbidden: bot was blocked by the user")
            }
            Some(Fault::Silence) | None => return Ok(fault),
        })
    }

    fn send(&mut self, params: &Value) -> Answer {
        self.attempts += 1;
        let Some(chat) = number(&params["chat_id"]) else { return Answer::bad("chat not found") };
        let fault = match self.fault(chat) {
            Ok(fault) => fault,
            Err(answer) => return answer,
        };
        let text = match text(params) {
            Ok(text) => text,
            Err(answer) => return answer,
        };
        let reply = number(&params["reply_parameters"]["message_id"]);
        self.messages += 1;
        let sent = Sent { chat, text: text.clone(), reply, id: self.messages, file: None };
        self.sent.push(sent);
        if fault == Some(Fault::Silence) {
            return Answer::Silence;
        }
        Answer::Done(self.shown(self.messages, chat, &text))
    }

    fn edit(&mut self, params: &Value) -> Answer {
        let text = match text(params) {
            Ok(text) => text,
            Err(answer) => return answer,
        };
        let (chat, id) = (number(&params["chat_id"]), number(&params["message_id"]));
        if let Err(answer) = chat.map_or(Ok(None), |chat| self.fault(chat)) {
            return answer;
        }
        let found = self.sent.iter_mut().find(|it| Some(it.chat) == chat && Some(it.id) == id);
        let Some(found) = found else { return Answer::bad("message to edit not found") };
        if found.text == text {
            return Answer::bad(
                "message is not modified: specified new message content and reply markup are \
                 exactly the same as a current content and reply markup of the message",
            );
        }
        found.text.clone_from(&text);
        let (chat, id) = (found.chat, found.id);
        Answer::Done(self.shown(id, chat, &text))
    }

    pub(super) fn shown(&self, id: i64, chat: i64, text: &str) -> Value {
        let kind = if chat < 0 { "supergroup" } else { "private" };
        json!({"message_id": id, "date": 1_760_000_001, "chat": {"id": chat, "type": kind},
            "from": self.me(), "text": untagged(text)})
    }
}

pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The text of a message, as Telegram takes it.
fn text(params: &Value) -> Result<String, Answer> {
    let text = match &params["text"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        // A form's text that looks like a number.
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    };
    let is_html = params["parse_mode"] == "HTML";
    let shown = if is_html { untagged(&text) } else { text.clone() };
    if shown.trim().is_empty() {
        return Err(Answer::bad("message text is empty"));
    }
    if shown.encode_utf16().count() > MAX_TEXT {
        return Err(Answer::bad("message is too long"));
    }
    if is_html && text.matches('<').count() != text.matches('>').count() {
        return Err(Answer::bad("can't parse entities: unsupported start tag"));
    }
    Ok(text)
}

fn untagged(text: &str) -> String {
    let mut plain = String::new();
    let mut is_tag = false;
    for it in text.chars() {
        match it {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            it if !is_tag => plain.push(it),
            _ => {}
        }
    }
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
