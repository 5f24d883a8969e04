//! What of a transcript is no part of the conversation that people see.

use super::say;
use crate::store::{Origin, StoredMessage};

/// Whether clients do not show a message: what heartbeats ask and what sessions are told between
/// turns, and answers to heartbeats with at most `ack_chars` characters beside the acknowledgement.
pub(crate) fn is_hidden(message: &StoredMessage<'_>, ack_chars: usize) -> bool {
    let Some(origin) = message.origin() else { return false };
    match (&*message.role, origin) {
        ("user", Origin::Heartbeat | Origin::Event) => true,
        ("assistant", Origin::Heartbeat) => {
            let text = message.text();
            (text.trim().is_empty() || say::acknowledges(&text, ack_chars))
                && message.tool_calls().is_empty()
        }
        _ => false,
    }
}
