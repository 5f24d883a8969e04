//! How many tokens a text has when nobody who knows has said so.
//!
//! The rule of the demo model: one token for every four bytes of UTF-8 or part of them, four more
//! for every message and every tool call, 1105 for every image, and the JSON of tools as text. What
//! is reserved and settled goes by everything that a request holds, because a provider is sent all
//! of it: its encoded length takes the place of the single texts.

use prost::Message as _;
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

/// Tokens that `request` sends, whatever it is that it holds. An image counts as one and not by the
/// length of its data.
pub(crate) fn input(request: &LlmRequest) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let (mut images, mut apart) = (0_u64, length(request.request_id.as_bytes()));
    for part in parts {
        if let Some(Kind::ImageUrl(url)) = &part.part {
            images += 1;
            apart += length(url.as_bytes());
        }
    }
    let encoded = u64::try_from(request.encoded_len()).unwrap_or(u64::MAX);
    let messages = u64::try_from(request.messages.len()).unwrap_or(u64::MAX);
    text(encoded.saturating_sub(apart)) + FRAME * messages + IMAGE * images
}

/// Tokens of a prompt as the demo model counts them.
pub(crate) fn prompt(request: &LlmRequest) -> u64 {
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

#[cfg(test)]
mod tests {
    use proto::host::Params;

    use super::*;

    #[test]
    fn whatever_a_request_holds_is_counted() {
        let empty = || LlmRequest { messages: vec![Message::default()], ..LlmRequest::default() };
        let check = |change: &dyn Fn(&mut LlmRequest, &mut Params)| {
            let (mut request, mut params) = (empty(), Params::default());
            change(&mut request, &mut params);
            request.params = Some(params);
            assert!(input(&request) >= 1000, "{request:?}");
        };
        let long = || "x".repeat(4000);
        check(&|_, params| params.response_format = long().into());
        check(&|_, params| params.tool_choice = long().into());
        check(&|_, params| params.tools = long().into());
        check(&|_, params| params.stop = vec![long()]);
        check(&|_, params| params.reasoning_effort = Some(long()));
        check(&|request, _| request.messages[0].name = long());
        check(&|request, _| request.messages[0].tool_call_id = long());
        let image = proto::host::Part { part: Some(Kind::ImageUrl("x".repeat(1 << 20))) };
        let mut request = empty();
        request.messages[0].parts.push(image);
        assert!((IMAGE..IMAGE + 20).contains(&input(&request)));
    }
}
