//! Files of the network: those that bots send, as pictures or as documents, and where each is to be had.
//!
//! A picture is known by how it begins; it is not looked at, and not made another as the network does.

use bytes::Bytes;
use serde_json::{Value, json};

use super::bot::{Answer, Bot, Fault, Sent, number};
use crate::networks::serve::Part;

/// What there is to be fetched, by the id `file-1`.
pub const FILE: &[u8] = b"a small picture";

/// Bytes of a picture and of a document that a bot may send.
const MAX_PICTURE: usize = 10_000_000;
const MAX_DOCUMENT: usize = 50_000_000;

/// Characters of what is said with a file.
const MAX_CAPTION: usize = 1024;

/// How pictures begin.
const PICTURES: [&[u8]; 2] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"];

/// A file that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is called.
    pub name: String,
    /// What it is said to be.
    pub media_type: String,
    /// Whether it was sent as a picture.
    pub is_picture: bool,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Bot {
    /// Takes a file in the field of that name.
    pub(super) fn send_file(
        &mut self,
        params: &Value,
        files: Vec<Part>,
        field: &'static str,
    ) -> Answer {
        self.attempts += 1;
        let Some(chat) = number(&params["chat_id"]) else { return Answer::bad("chat not found") };
        let fault = match self.fault(chat) {
            Ok(fault) => fault,
            Err(answer) => return answer,
        };
        let Some(part) = files.into_iter().find(|it| it.name == field) else {
            return Answer::bad(&format!("there is no {field} in the request"));
        };
        let is_picture = field == "photo";
        if let Some(refused) = refused(&part.content, is_picture) {
            return refused;
        }
        let text = params["caption"].as_str().unwrap_or_default().to_owned();
        if text.encode_utf16().count() > MAX_CAPTION {
            return Answer::bad("message caption is too long");
        }
        let file = File {
            name: part.filename.unwrap_or_default(),
            media_type: part.media_type.unwrap_or_default(),
            is_picture,
            content: part.content,
        };
        self.messages += 1;
        let (id, reply) = (self.messages, number(&params["reply_parameters"]["message_id"]));
        let mut shown = self.shown(id, chat, "");
        shown.as_object_mut().unwrap().remove("text");
        if !text.is_empty() {
            shown["caption"] = text.as_str().into();
        }
        shown[field] = file.described(id);
        self.sent.push(Sent { chat, text, reply, id, file: Some(file) });
        if fault == Some(Fault::Silence) {
            return Answer::Silence;
        }
        Answer::Done(shown)
    }

    /// Where a file is to be had.
    pub(super) fn where_it_is(&self, id: &Value) -> Answer {
        let id = id.as_str().unwrap_or_default();
        let (path, size) = match self.sent_as(id.strip_prefix("sent-")) {
            Some(file) => (format!("documents/{id}"), file.content.len()),
            None if id == "file-1" => ("photos/file_1.jpg".to_owned(), FILE.len()),
            None => {
                return Answer::bad("wrong file_id or the file is temporarily unavailable");
            }
        };
        Answer::Done(json!({"file_id": id, "file_unique_id": "u1", "file_size": size,
            "file_path": path}))
    }

    /// What is there.
    pub(super) fn content(&self, path: &str) -> Option<Bytes> {
        if path == "photos/file_1.jpg" {
            return Some(Bytes::from_static(FILE));
        }
        let file = self.sent_as(path.strip_prefix("documents/sent-"))?;
        Some(file.content.clone().into())
    }

    /// The file of a message, by its number.
    fn sent_as(&self, number: Option<&str>) -> Option<&File> {
        let id: i64 = number?.parse().ok()?;
        self.sent.iter().find(|it| it.id == id)?.file.as_ref()
    }
}

/// Why the network does not take it.
fn refused(content: &[u8], is_picture: bool) -> Option<Answer> {
    let most = if is_picture { MAX_PICTURE } else { MAX_DOCUMENT };
    if content.is_empty() {
        return Some(Answer::bad("file must be non-empty"));
    }
    if content.len() > most {
        return Some(Answer::refused(413, "Request Entity Too Large"));
    }
    let is_one = PICTURES.iter().any(|it| content.starts_with(it));
    (is_picture && !is_one).then(|| Answer::bad("IMAGE_PROCESS_FAILED"))
}

impl File {
    fn described(&self, message: i64) -> Value {
        let id = format!("sent-{message}");
        let size = self.content.len();
        if self.is_picture {
            return json!([{"file_id": id, "file_unique_id": id, "file_size": size, "width": 1,
                "height": 1}]);
        }
        json!({"file_id": id, "file_unique_id": id, "file_size": size, "file_name": self.name,
            "mime_type": self.media_type})
    }
}
