//! What people write, whatever network it came over. Who wrote it, where, and to whom it goes is not
//! here: the supervisor has found that out before anybody reads what is said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One thing that somebody did in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its name in the network: what an answer refers to.
    pub id: String,
    /// What kind of thing.
    pub what: What,
    /// What the sender is called. Anybody may be called anything.
    pub called: Option<String>,
    /// When, in milliseconds since the epoch, as the network says.
    pub at: Option<u64>,
    /// The text, without what only the network can read.
    pub text: String,
    /// What it answers.
    pub reply: Option<Reply>,
    /// What came with it.
    pub attachments: Vec<Attachment>,
}

/// What kind of thing somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// Said something.
    #[default]
    Said,
    /// Said something else instead: the message of this id has another text now.
    Edited,
}

/// What a message answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The message.
    pub id: String,
    /// What that says, where the network repeats it.
    pub text: Option<String>,
}

/// Something that came with a message: by reference, and whoever wants it fetches it; or as a whole, where
/// the reference is a `data:` URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachment {
    /// What it is asked for by, in the network's own form.
    pub reference: String,
    /// What it is called.
    pub name: Option<String>,
    /// What it is, for example `image/png`.
    pub media_type: Option<String>,
    /// Bytes, as the network says.
    pub size: Option<u64>,
}

/// What stands before the bytes of a `data:` URL, and what they are where nobody says it.
const INLINE: &str = ";base64,";
const UNKNOWN: &str = "application/octet-stream";

impl Attachment {
    /// The reference of something that came as a whole, in base64.
    pub(crate) fn inline(media_type: Option<&str>, base64: &str) -> String {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"/+.-".contains(&it);
        let media_type = media_type.filter(|it| it.bytes().all(plain)).unwrap_or(UNKNOWN);
        format!("data:{media_type}{INLINE}{base64}")
    }

    /// Its bytes, where they came with the message; none where they are to be fetched, or are no base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let (_, base64) = self.reference.strip_prefix("data:")?.split_once(INLINE)?;
        STANDARD.decode(base64).ok()
    }
}

/// Attachments of one message that are looked at.
pub const MAX_ATTACHMENTS: usize = 16;

/// An event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not of the form that the network's events have.
    #[error("the event is not of the form that it should have")]
    Form(#[from] serde_json::Error),
    /// It lacks something.
    #[error("the event has no {0}")]
    Missing(&'static str),
}

/// What an account is called in its network, so that a text can be rid of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Us<'a> {
    /// The id of the user that we are.
    pub id: &'a str,
    /// Its name, where people write to it by that.
    pub name: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_the_message_is_read_from_it() {
        let check =
            |media_type: Option<&str>, base64: &str, reference: &str, want: Option<&[u8]>| {
                let it = Attachment {
                    reference: Attachment::inline(media_type, base64),
                    ..Attachment::default()
                };
                assert_eq!(it.reference, reference);
                assert_eq!(it.bytes().as_deref(), want, "{reference}");
            };
        check(Some("image/png"), "AAEC", "data:image/png;base64,AAEC", Some(&[0, 1, 2]));
        check(None, "", "data:application/octet-stream;base64,", Some(&[]));
        let odd = "data:application/octet-stream;base64,A";
        check(Some("a,;base64,AAAA"), "A", odd, None);
        let far =
            Attachment { reference: "https://a.example/x".to_owned(), ..Attachment::default() };
        assert_eq!(far.bytes(), None);
    }
}
