//! Bodies that are served, and how each of the others is refused.

use bytes::Bytes;
use proptest::prelude::*;
use proto::host::{Role, part};

use super::*;

fn check(more: &str, status: u32, message: &str) {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
    check_body(&body, status, message);
}

fn check_body(body: &str, status: u32, message: &str) {
    match parse(&Bytes::copy_from_slice(body.as_bytes())) {
        Ok(_) => assert_eq!(status, 200, "{body}"),
        Err(fault) => {
            assert_eq!(fault.status, status, "{body}: {fault:?}");
            assert!(fault.message.contains(message), "{body}: {}", fault.message);
        }
    }
}

#[test]
fn fields_that_are_served_or_ignored() {
    for more in [
        "",
        r#","temperature":2,"top_p":0.5,"frequency_penalty":-2.0,"presence_penalty":null"#,
        r#","seed":-5,"stop":"x","max_tokens":1,"max_completion_tokens":4294967295"#,
        r#","stop":["a","b","c","d"],"n":1,"modalities":["text"],"logprobs":false"#,
        r#","metadata":{"a":{"b":1}},"store":true,"service_tier":"auto","user":"u""#,
        r#","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}"#,
        r#","response_format":{"type":"json_schema","json_schema":{"name":"x"}}"#,
        r#","tools":[],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
        r#","parallel_tool_calls":false,"reasoning_effort":"low","logit_bias":{},"audio":null"#,
        r#","st\u006fre":false"#,
    ] {
        check(more, 200, "");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_limit() {
    check(
        r#","temperature":3"#,
        422,
        "temperature: invalid value: floating point `3.0`, expected a number",
    );
    check(r#","temperature":"hot""#, 422, "a number from 0 to 2");
    check(r#","top_p":1.5"#, 422, "top_p: ");
    check(r#","presence_penalty":-2.5"#, 422, "a number from -2 to 2");
    check(r#","max_tokens":0"#, 422, "max_tokens: ");
    check(r#","max_completion_tokens":1.5"#, 422, "an integer from 1 to 4294967295");
    check(r#","seed":99999999999999999999"#, 422, "seed: ");
    check(r#","stop":["a","b","c","d","e"]"#, 422, "at most 4 strings");
    check(
        r#","stream":"yes""#,
        422,
        "stream: invalid type: string \"yes\", expected true or false",
    );
    check(r#","n":2"#, 422, "n: invalid value: integer `2`, expected 1");
    check(r#","tools":{}"#, 422, "tools: ");
    check(r#","tools":[{"type":"web_search"}]"#, 422, "type function");
    check(r#","tool_choice":"maybe""#, 422, "tool_choice: ");
    check(r#","response_format":{"type":"xml"}"#, 422, "response_format: ");
    check(r#","reasoning_effort":"huge""#, 422, "one of none, minimal");
    check(r#","modalities":["audio"]"#, 422, "modalities: only text");
    check(r#","logprobs":true"#, 400, "Unsupported parameter: 'logprobs'");
    check(r#","audio":{"voice":"x"}"#, 400, "Unsupported parameter: 'audio'");
    check(r#","logit_bias":{"1":2}"#, 400, "Unsupported parameter");
    check(r#","tempature":1"#, 400, "Unrecognized request argument supplied: tempature");
    check(",", 400, "not valid JSON");
    check_body("", 400, "not valid JSON");
    check_body("[]", 422, "a JSON object");
    check_body(r#"{"model":"m"}"#, 400, "Missing required parameter: 'messages'");
    check_body(r#"{"messages":[{"role":"user","content":"x"}]}"#, 400, "'model'");
    check_body(r#"{"model":"m","messages":[]}"#, 422, "messages: ");
    check_body(&format!(r#"{{"metadata":{}"#, "[".repeat(100_000)), 400, "not valid JSON");
}

#[test]
fn messages_are_checked_where_they_stand() {
    let check = |message: &str, wanted: &str| {
        let ok = r#"{"role":"user","content":"x"}"#;
        check_body(&format!(r#"{{"model":"m","messages":[{ok},{message}]}}"#), 422, wanted);
    };
    check(r#"{"role":"user"}"#, "messages[1]: content is missing");
    check(r#"{"role":"king","content":"x"}"#, "messages[1]: role must be");
    check(r#"{"content":"x"}"#, "role is missing");
    check(r#"{"role":"user","content":7}"#, "messages[1].content: ");
    check(r#"{"role":"tool","content":"x"}"#, "tool_call_id is missing");
    check(r#"{"role":"user","content":[{"type":"input_audio"}]}"#, "messages[1].content[0]: ");
    check(r#"{"role":"user","content":[{"type":"text"}]}"#, "text is missing");
    check(
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}"#,
        "must begin with https:// or data:image/",
    );
    check(r#"{"role":"assistant","tool_calls":[{"id":1}]}"#, "messages[1].tool_calls: ");
}

#[test]
fn a_whole_conversation_is_read() {
    let body = br#"{"model":"m","messages":[
        {"role":"developer","content":"s"},
        {"role":"user","content":[{"type":"text","text":"t"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AA","detail":"low"}}],"name":"n"},
        {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[
            {"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"r"}]}"#;
    let request = parse(&Bytes::from_static(body)).unwrap();
    let roles: Vec<_> = request.messages.iter().map(Message::role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(request.messages[1].name, "n");
    let image = &request.messages[1].parts[1].part;
    assert_eq!(*image, Some(part::Part::ImageUrl("data:image/png;base64,AA".to_owned())));
    assert_eq!(request.messages[2].tool_calls[0].name, "f");
    assert_eq!(request.messages[3].tool_call_id, "c");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(parse(&Bytes::from(body)));
    }

    #[test]
    fn no_text_makes_it_panic(body in r#"[{}\[\]":,a-z0-9.\\ "]{0,200}"#) {
        drop(parse(&Bytes::from(body.clone())));
        drop(parse(&Bytes::from(format!(r#"{{"model":"m","messages":[{body}"#))));
    }
}
