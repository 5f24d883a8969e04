//! What was said since a session's entry was written: the next change of the entry takes it, so
//! that no list has to read a transcript for a title.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::entry::{Block, Stored};
use super::sessions::SessionId;

/// Characters of a title.
pub(crate) const MAX_TITLE: usize = 60;
/// Characters of the start of a last message.
pub(crate) const MAX_PREVIEW: usize = 120;
/// Sessions whose entry is not written yet: more than turns can run at once. Beyond it titles are
/// read from the transcript when somebody asks.
const MAX_SESSIONS: usize = 1024;

/// The texts of one session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// The start of the first text of the user.
    pub(crate) first_of_user: Option<String>,
    /// The start of the last text of all.
    pub(crate) last: Option<String>,
}

/// The texts of the sessions whose entries are not written yet.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<SessionId, Said>>);

impl Waiting {
    /// Adds the texts of messages that are about to be appended.
    pub(super) fn add(&self, session: &SessionId, messages: &[Stored]) {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_SESSIONS && !waiting.contains_key(session) {
            return;
        }
        let said = waiting.entry(session.clone()).or_default();
        for message in messages {
            said.add(message);
        }
    }

    /// Takes the texts of a session.
    pub(super) fn take(&self, session: &SessionId) -> Said {
        self.lock().remove(session).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn add(&mut self, message: &Stored) {
        let (content, is_user) = match message {
            // Commands and their answers are no part of the conversation, and what no person
            // wrote says nothing of what it is about.
            Stored::User { exclude_from_context: true, .. }
            | Stored::User { provenance: Some(_), .. }
            | Stored::Assistant { exclude_from_context: true, .. }
            | Stored::Assistant { provenance: Some(_), .. }
            | Stored::ToolResult { .. } => return,
            Stored::User { content, .. } => (content, true),
            Stored::Assistant { content, .. } => (content, false),
        };
        let texts = content.iter().filter_map(|block| match block {
            Block::Text { text } => serde_json::from_str::<String>(text.get()).ok(),
            Block::ToolCall { .. } => None,
        });
        let Some(text) = texts.into_iter().find(|text| !text.trim().is_empty()) else { return };
        if is_user && self.first_of_user.is_none() {
            self.first_of_user = Some(start_of(&text, MAX_TITLE));
        }
        self.last = Some(start_of(&text, MAX_PREVIEW));
    }
}

/// The start of a text as one line of at most `max` characters.
pub(crate) fn start_of(text: &str, max: usize) -> String {
    let mut start = String::new();
    let mut left = max;
    for word in text.split_whitespace() {
        let space = usize::from(!start.is_empty());
        let count = word.chars().take(left + 1).count();
        if count + space > left {
            if start.is_empty() {
                start.extend(word.chars().take(left.saturating_sub(1)));
            }
            start.push('…');
            break;
        }
        if space == 1 {
            start.push(' ');
        }
        start.push_str(word);
        left -= count + space;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_end_at_a_word_and_hold_no_line_breaks() {
        let check = |text: &str, max: usize, wanted: &str| {
            assert_eq!(start_of(text, max), wanted);
        };
        check("  one\n two ", 60, "one two");
        check("one two three", 9, "one two…");
        check("üüüüüü", 4, "üüü…");
        check("üüüü", 4, "üüüü");
        check("", 4, "");
    }
}
