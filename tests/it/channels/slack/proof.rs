//! Who posts events: whoever does not prove it learns nothing, and whoever does speaks for its own app and
//! workspace alone.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use serde_json::json;
use tests::Client;

use super::House;
use crate::delivery::seen::settled;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_it_learns_nothing() {
    let house = House::build().await;
    let url = house.by_http(&["--dm-policy", "open"]).await;
    let path = url.split_once("/in/").map(|(_, path)| format!("/in/{path}")).unwrap();
    let (app, other) = (&house.app, house.slack.app("other"));
    let event = json!({"type": "message", "channel": house.direct, "channel_type": "im",
        "user": house.ann, "text": "let me in", "ts": "1.1"});
    let body = app.envelope(&event).to_string();
    let send = async |path: &str, time: &str, signature: &str, body: &str| {
        let client = Client::new(house.ground.gateway.address(), None)
            .header("x-slack-request-timestamp", time)
            .header("x-slack-signature", signature)
            .header("content-type", "application/json");
        let reply = client.send(Method::POST, path, body.to_owned()).await;
        (reply.status, reply.text())
    };
    let nothing = (StatusCode::UNAUTHORIZED, String::new());
    let (time, old) = (now().to_string(), (now() - 301).to_string());
    let later = (now() + 400).to_string();
    let good = app.signature(&time, &body);
    let elsewhere = path.replace("/in/slack/", "/in/discord/");
    for (path, time, signature, body) in [
        (path.as_str(), time.as_str(), "", body.as_str()),
        (&path, &time, "v0=", &body),
        (&path, &time, &good.replace("v0=", "v1="), &body),
        (&path, &time, &other.signature(&time, &body), &body),
        (&path, &time, &good, &body.replace("let me in", "let me out")),
        (&path, &old, &app.signature(&old, &body), &body),
        (&path, &later, &app.signature(&later, &body), &body),
        ("/in/slack/ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", &time, &good, &body),
        (&elsewhere, &time, &good, &body),
    ] {
        assert_eq!(send(path, time, signature, body).await, nothing, "{path} {signature}");
    }
    // Not even the question whether we are there is answered to whoever does not.
    let question = json!({"type": "url_verification", "challenge": "say this"}).to_string();
    assert_eq!(send(&path, &time, &good, &question).await, nothing);
    assert_eq!(
        (house.ground.worker("acme").as_str(), house.texts(&house.direct).len()),
        ("stopped", 0)
    );
    assert_eq!(send(&path, &time, &good, &body).await.0, StatusCode::OK);
    assert_eq!(app.has_said(&house.direct, 1).await, ["let me in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_app_or_workspace_is_nobodys_whoever_signs_it() {
    let house = House::build().await;
    house.by_http(&["--dm-policy", "open"]).await;
    let (app, other) = (&house.app, house.slack.app("other"));
    let mut ids = Vec::new();
    for (at, (name, id)) in
        [("api_app_id", other.id()), ("team_id", other.team())].into_iter().enumerate()
    {
        let event = json!({"type": "message", "channel": house.direct, "channel_type": "im",
            "user": house.ann, "text": "let me in", "ts": format!("1.{at}")});
        let mut foreign = app.envelope(&event);
        foreign[name] = id.into();
        ids.push(foreign["event_id"].as_str().unwrap().to_owned());
        app.deliver(foreign);
    }
    for id in &ids {
        assert_eq!(app.is_taken(id).await.len(), 1, "it is not brought again");
    }
    // What is said of the app and not in it, and what nobody has thought of.
    app.limited();
    app.deliver(app.envelope(&json!({"type": "message", "text": 7, "channel": {}})));
    let ts = app.say(&house.direct, &house.ann, "and on");
    house.is_heard(&ts).await;
    assert_eq!(app.has_said(&house.direct, 1).await, ["and on"]);
    settled(&house.ground.gateway, &house.tenant).await;
    assert_eq!(house.texts(&house.direct).len(), 1);
}
