//! Files that go with a message: by a request, bounded, and known again with the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use tests::page::Site;
use tests::{Client, Gateway};

use super::{House, session};
use crate::delivery::seen::{Seen, settled};

/// One pixel.
const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn post(
    gateway: &Gateway,
    site: &Site,
    (origin, authorization): (&str, &str),
    body: &Value,
) -> (StatusCode, Value) {
    let client = Client::new(gateway.address(), None)
        .header("origin", origin)
        .header("authorization", authorization);
    let reply = client.post(&format!("{}say", site.path()), body).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

fn about(name: &str, kind: &str, bytes: &[u8]) -> Value {
    json!({"name": name, "mediaType": kind, "size": bytes.len()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_with_a_message_and_is_shown_with_it() {
    let house = House::build().await;
    let tenant = house.gateway.tenant("acme");
    let (site, _) = house.add("acme", &["--dm-policy", "open"]);
    let mut page = site.new_visitor().await;
    // What the tests' client calls the gateway.
    let own = "http://gateway".to_owned();
    let word = format!("Visitor {}", page.word.as_str().unwrap());
    let text = "first line\nsecond line\n".repeat(1000);
    let attachments = json!([
        about("notes.txt", "text/plain", text.as_bytes()),
        about("dot.png", "image/png", PICTURE),
    ]);
    let message = json!({"id": "m1", "text": "look at this", "attachments": attachments});
    let files = json!([STANDARD.encode(&text), STANDARD.encode(PICTURE)]);
    let body = json!({"type": "say", "message": message, "files": files});
    for _ in 0..2 {
        let (status, answer) = post(&house.gateway, &site, (&own, &word), &body).await;
        assert_eq!((status, &answer), (StatusCode::OK, &json!({"type": "kept", "id": "m1"})));
    }
    let answers = page.answers(1).await;
    assert!(answers[0].starts_with("look at this"), "{answers:?}");
    assert_eq!(page.items[&1]["message"], message, "without what the files hold");
    settled(&house.gateway, &tenant).await;
    assert_eq!(house.provider.requests(), 1, "the same again is known");
    let seen = Seen::of(&house.gateway, &tenant, &session(&page.id)).await;
    assert!(seen.messages[0].1.contains("notes.txt"), "{seen:?}");

    let refused = async |from: (&str, &str), body: &Value, status: u16, code: &str| {
        let (found, answer) = post(&house.gateway, &site, from, body).await;
        let word = answer["code"].as_str().or_else(|| answer["error"]["code"].as_str());
        assert_eq!((found.as_u16(), word), (status, Some(code)), "{answer}");
        answer["why"].as_str().unwrap_or_default().to_owned()
    };
    refused(("https://evil.example", &word), &body, 403, "foreign_origin").await;
    refused((&own, "Visitor forged"), &body, 401, "visitor").await;
    refused((&own, "Signed a.b"), &body, 401, "signature").await;
    refused((&own, "Bearer x"), &body, 401, "visitor").await;
    let say = |files: Value| json!({"type": "say", "message": {"id": "m2"}, "files": files});
    let many = say(json!(["", "", "", "", ""]));
    let why = refused((&own, &word), &many, 400, "frame").await;
    assert_eq!(why, "files: at most 4 in one message");
    let large = say(json!([STANDARD.encode(vec![0; 737_280 + 3])]));
    let why = refused((&own, &word), &large, 400, "frame").await;
    assert_eq!(why, "files: at most 737280 bytes together in one message");
    let larger = say(json!([STANDARD.encode(vec![0; 1 << 20])]));
    refused((&own, &word), &larger, 413, "request_too_large").await;
    refused((&own, &word), &json!({"type": "ping"}), 400, "frame").await;

    // As much as there may be is taken, and is no more than a worker takes.
    let most = STANDARD.encode(vec![7; 737_280]);
    let message = json!({"id": "m3", "text": "é".repeat(8000),
        "attachments": [about("a.png", "image/png", &[])]});
    let body = json!({"type": "say", "message": message, "files": [most]});
    let (status, answer) = post(&house.gateway, &site, (&own, &word), &body).await;
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!("kept")), "{answer}");
    assert!(page.answers(2).await[1].starts_with('é'));
}
