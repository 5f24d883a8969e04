//! The generic webhook, in and out: signed and judged by the library of the Standard Webhooks project.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tests::{Builder, Client, Gateway, Provider};
use tokio::net::TcpListener;

use super::house::until;
use crate::delivery::seen::{Seen, settled};

/// What came to the receiver: headers and body of each request.
type Got = Arc<Mutex<Vec<Value>>>;

async fn receiver() -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/answers", listener.local_addr().unwrap());
    let got = Got::default();
    let all = Arc::clone(&got);
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let got = Arc::clone(&all);
            let service =
                hyper::service::service_fn(move |request| take(Arc::clone(&got), request));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            drop(tokio::spawn(served));
        }
    }));
    (url, got)
}

async fn take(got: Got, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), Value::from(value.to_str().unwrap()))
    };
    let headers: serde_json::Map<_, _> = head.headers.iter().map(header).collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    got.lock().unwrap().push(json!({"headers": headers, "body": body}));
    Ok(Response::new(Full::default()))
}

/// Asks the official library.
async fn library(asked: Value) -> Value {
    let run = move || {
        let mut command = Command::new(crate::sdk::interpreter());
        command.arg("webhooks.py").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run `make sdk`");
        child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("run `make sdk`");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|it| it["ok"] == true) && !checks.is_empty(), "{checks:#?}");
    report
}

fn event(user: &str, text: &str) -> String {
    let data = json!({"conversation": {"id": user}, "sender": {"id": user}, "text": text});
    json!({"type": "message", "data": data}).to_string()
}

async fn send(gateway: &Gateway, path: &str, id: &str, signed: &Value, body: &str) -> StatusCode {
    let client = Client::new(gateway.address(), None)
        .header("webhook-id", id)
        .header("webhook-timestamp", signed["timestamp"].as_str().unwrap())
        .header("webhook-signature", signed["signature"].as_str().unwrap());
    client.send(Method::POST, path, body.to_owned()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_official_library_signs_is_answered_with_what_it_believes() {
    let ((url, got), provider) = (receiver().await, Provider::start().await);
    let root = url.trim_end_matches("/answers");
    let channels = json!({"channels": {"webhook": {"apiRoot": root}}});
    let gateway = Builder::default().config(provider.config_with(channels)).start();
    let tenant = gateway.tenant("acme");
    let add = ["channels", "add", "acme", "webhook", "--server", &url, "--dm-policy", "open"];
    let added = gateway.json(&add);
    let (path, secret) = (added["path"].as_str().unwrap(), added["webhookSecret"].clone());
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let body = event("u1", "hello over there");
    let asked = json!({"secret": secret, "sign": [
        {"id": "msg_1", "body": body}, {"id": "msg_2", "body": body}]});
    let signed = library(asked).await["signed"].take();
    assert_eq!(send(&gateway, path, "msg_1", &signed["msg_1"], &body).await, StatusCode::ACCEPTED);
    until("it is answered", || got.lock().unwrap().len() == 1).await;
    let answer = got.lock().unwrap()[0].clone();
    let said: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(said["data"]["text"], "hello over there", "{said}");
    assert_eq!(
        (&said["data"]["conversation"], &said["data"]["replyTo"]),
        (&json!("u1"), &json!("msg_1"))
    );
    library(json!({"secret": secret, "verify": [answer]})).await;

    // The same again; another's signature; the published vector, which is years old; other bodies.
    assert_eq!(send(&gateway, path, "msg_1", &signed["msg_1"], &body).await, StatusCode::ACCEPTED);
    let published = json!({"timestamp": "1614265330",
        "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="});
    let old = r#"{"test": 2432232314}"#;
    for (id, signed, body) in [
        ("msg_2", &signed["msg_1"], body.as_str()),
        ("msg_2", &signed["msg_2"], &event("u1", "something else")),
        ("msg_p5jXN8AQM9LWM0D4loKWxJek", &published, old),
    ] {
        let status = send(&gateway, path, id, signed, body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{id}");
    }
    let wrong = r#"{"type":"message","data":{"text":"nobody"}}"#;
    let asked = json!({"secret": secret, "sign": [{"id": "msg_3", "body": wrong}]});
    let signed = library(asked).await["signed"].take();
    let status = send(&gateway, path, "msg_3", &signed["msg_3"], wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the form is ours, and whoever signs learns it");
    settled(&gateway, &tenant).await;
    let seen = Seen::of(&gateway, &tenant, "agent:main:webhook:default:direct:u1").await;
    assert_eq!(seen.messages.len(), 2, "{seen:?}");
    assert_eq!(got.lock().unwrap().len(), 1, "one answer");
}
