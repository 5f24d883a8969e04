//! Embeddings as clients see them, from a host that gives each text's length.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proto::worker::{Route, ServeRequest};
use serde_json::{Value, json};

use crate::testing::{Answer, Harness, read};

async fn ask(harness: &Harness, body: &Value, backend: &str) -> Answer {
    let request = ServeRequest {
        route: Route::Embeddings.into(),
        body: body.to_string().into(),
        backend_model: backend.to_owned(),
        ..ServeRequest::default()
    };
    read(harness.serve(request).await.unwrap()).await
}

#[tokio::test]
async fn texts_become_vectors_in_both_encodings() {
    let harness = Harness::new().await;
    let one = ask(&harness, &json!({"model": "demo", "input": "abc"}), "").await.json();
    assert_eq!((&one["object"], &one["model"]), (&json!("list"), &json!("demo")));
    assert_eq!(one["data"][0]["embedding"], json!([3.0, 0.1]));
    assert_eq!(one["usage"], json!({"prompt_tokens": 5, "total_tokens": 5}));
    let two = json!({"model": "openclaw", "input": ["a", "bb"], "encoding_format": "base64",
        "dimensions": 2, "user": "u"});
    let two = ask(&harness, &two, "").await.json();
    let bytes = BASE64_STANDARD.decode(two["data"][1]["embedding"].as_str().unwrap()).unwrap();
    assert_eq!(bytes, [2.0_f32.to_le_bytes(), 0.1_f32.to_le_bytes()].concat());
    assert_eq!(
        (&two["data"][1]["index"], &two["data"][0]["object"]),
        (&json!(1), &json!("embedding"))
    );
    assert!(!harness.root.join("agents/main/sessions").exists(), "nothing is stored");
}

#[tokio::test]
async fn what_is_refused_is_named() {
    let harness = Harness::new().await;
    let check = async |body: Value, backend: &str, status: u32, why: &str| {
        let answer = ask(&harness, &body, backend).await;
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.head.status, status, "{message}");
        assert!(message.contains(why), "{message}");
    };
    let of = |input: Value| json!({"model": "demo", "input": input});
    check(of(json!([1, 2])), "", 422, "tokens are not supported").await;
    check(of(json!([[1, 2]])), "", 422, "tokens are not supported").await;
    check(of(json!([])), "", 422, "1 to 256 texts").await;
    check(of(json!(vec!["x"; 257])), "", 422, "1 to 256 texts").await;
    check(of(json!("")), "", 422, "must not be empty").await;
    check(of(json!({})), "", 422, "a string or a list").await;
    check(of(json!("x".repeat((1 << 20) + 1))), "", 422, "1048576 bytes").await;
    check(json!({"model": "demo", "input": "x", "dimensions": 0}), "", 422, "dimensions").await;
    check(json!({"model": "demo", "input": "x", "encoding_format": "hex"}), "", 400, "hex").await;
    check(json!({"model": "demo", "input": "x", "tenant": "y"}), "", 400, "tenant").await;
    check(json!({"model": "demo"}), "", 400, "input").await;
    check(json!({"model": "none", "input": "x"}), "", 404, "does not exist").await;
    check(json!({"model": "openclaw/none", "input": "x"}), "", 404, "Unknown agent").await;
    check(json!({"model": "openclaw", "input": "x"}), "none", 404, "`none`").await;
}
