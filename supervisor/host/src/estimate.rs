//! How many tokens a text has when nobody who knows has said so.
//!
//! The rule: one token for every four bytes of UTF-8 or part of them, four more for every message
//! and every tool call, 1105 for every image, and the JSON of tools as text. It is used to reserve
//! before a request, to settle what a provider did not report, and as the count of the demo model.

use proto::host::part::Part as Kind;
use proto::host::{LlmRequest, Message};

/// Bytes of text to a token.
const BYTES_PER_TOKEN: u64 = 4;

/// What marks a message's or a tool call's beginning, role and end.
const FRAME: u64 = 4;

/// One image of 1024 x 1024 in detail; the largest that the known providers count is near it.
const IMAGE: u64 = 1105;

/// Tokens in `bytes` bytes of text.
pub(crate) const fn text(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// The most bytes that `tokens` tokens can stand for.
pub(crate) const fn bytes(tokens: u64) -> u64 {
    tokens.saturating_mul(BYTES_PER_TOKEN)
}

/// Tokens that `request` sends.
pub(crate) fn input(request: &LlmRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(message).sum();
    let tools = request.params.as_ref().map_or(0, |it| length(&it.tools));
    messages + text(tools)
}

fn message(message: &Message) -> u64 {
    let parts = message.parts.iter().filter_map(|part| part.part.as_ref()).map(|part| match part {
        Kind::Text(words) => text(length(words.as_bytes())),
        Kind::ImageUrl(_) => IMAGE,
    });
    let calls = message
        .tool_calls
        .iter()
        .map(|call| FRAME + text(length(call.name.as_bytes()) + length(call.arguments.as_bytes())));
    FRAME + parts.sum::<u64>() + calls.sum::<u64>()
}

/// The length of `bytes` as a number that tokens are counted in.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
