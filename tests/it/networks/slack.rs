//! Slack's counterpart against `slack_sdk`, and what it delivers over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::networks::slack::{App, Attempt, DEADLINE, GAPS, Slack};
use tests::networks::{Came, Failure, Receiver, Says, Script};

/// Gaps between retries that a test can wait for.
const SOON: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(100)];

#[tokio::test(flavor = "multi_thread")]
async fn it_is_as_slack_sdk_expects() {
    let slack = Slack::start().await;
    let app = slack.app("helper");
    let (room, person) = (app.channel("garden"), app.person("ann"));
    let (time, body) = ("1700000000", r#"{"type":"event_callback","text":"caf\u00e9 ☂"}"#);
    let signed = json!({"time": time, "body": body, "signature": app.signature(time, body)});
    let args = json!({
        "root": slack.root(), "bot": app.bot_token(), "app": app.app_token(), "user": app.user(),
        "team": app.team(), "secret": app.signing_secret(), "signed": signed, "room": room,
        "person": person,
    });
    let mut script = Script::start("slack_check.py", &args);
    script.at("limit").await;
    let said: Vec<_> = app.said(&room).iter().map(|it| it["text"].clone()).collect();
    assert_eq!(said[0], "better");
    app.fail("chat.postMessage", &App::too_many(1), 2);
    script.go_on(&json!(null));
    script.at("broken").await;
    let rest = [App::too_many_untimed(), Failure::Cut, Failure::gateway(503)];
    for failure in rest {
        app.fail("chat.postMessage", &failure, 1);
    }
    app.use_sockets();
    script.go_on(&json!(null));
    socket_mode(&app, &mut script, &room, &person).await;
    let texts = app.said(&room);
    assert_eq!(texts.last().unwrap()["text"], "waited", "what failed was not done");
    println!("{} checks of slack_sdk", script.done().await);
}

async fn socket_mode(app: &App, script: &mut Script, room: &str, person: &str) {
    script.at("connected").await;
    app.has_sockets(1).await;
    let ts = app.say(room, person, &format!("<@{}> hello", app.user()));
    script.go_on(&json!(null));
    script.at("silent").await;
    for event in app.events(&ts) {
        assert_eq!(app.is_taken(&event).await.len(), 1);
    }
    app.schedule(Duration::from_secs(2), &[Duration::ZERO]);
    let ts = app.say(room, person, "once more");
    script.go_on(&json!(null));
    script.at("command").await;
    let tried = app.is_taken(&app.events(&ts)[0]).await;
    assert_eq!(tried.iter().map(|it| it.reason).collect::<Vec<_>>(), [None, Some("timeout")]);
    app.schedule(DEADLINE, &GAPS);
    let trigger = app.command(room, person, "/status", "");
    script.go_on(&json!(null));
    script.at("refresh").await;
    let answer = &app.is_taken(&trigger).await[0].answer;
    assert!(answer.contains("done"), "{answer}");
    app.disconnect("refresh_requested").await;
    script.go_on(&json!(null));
    script.at("again").await;
    app.has_sockets(1).await;
    app.say(room, person, "still there?");
    script.go_on(&json!(null));
    script.at("cut").await;
    app.cut().await;
    script.go_on(&json!(null));
    script.at("more").await;
    app.has_sockets(1).await;
    app.say(room, person, "and now?");
    script.go_on(&json!(null));
}

/// Answers the question, and takes everything.
fn content(came: &Came) -> Says {
    Says::new(200, came.json()["challenge"].as_str().unwrap_or_default())
}

async fn listening() -> (Slack, App, Receiver) {
    let (slack, receiver) = (Slack::start().await, Receiver::start(content).await);
    let app = slack.app("helper");
    app.events_to(&receiver.url()).await.unwrap();
    (slack, app, receiver)
}

fn reasons(tried: &[Attempt]) -> Vec<(u32, Option<&'static str>, u16)> {
    tried.iter().map(|it| (it.number, it.reason, it.status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_again_until_it_is_taken_with_the_reason() {
    let (_slack, app, receiver) = listening().await;
    app.schedule(DEADLINE, &SOON);
    let (room, person) = (app.direct(&app.person("ann")), app.person("bob"));
    receiver.then([Says::new(500, ""), Says::new(0, ""), Says::new(404, ""), Says::new(200, "")]);
    let event = app.events(&app.say(&room, &person, "hello"))[0].clone();
    let tried = app.is_taken(&event).await;
    let error = Some("http_error");
    let wanted =
        [(0, None, 500), (1, error, 0), (2, Some("connection_failed"), 404), (3, error, 200)];
    assert_eq!(reasons(&tried), wanted);
    let came = receiver.came();
    assert_eq!(came.len(), 5);
    let header = |at: usize, name: &str| came[at].header(name).to_owned();
    assert_eq!(header(1, "x-slack-retry-num"), "");
    assert_eq!(header(2, "x-slack-retry-num"), "1");
    assert_eq!(header(3, "x-slack-retry-reason"), "connection_failed");
    for came in &came {
        let time = came.header("x-slack-request-timestamp");
        assert_eq!(came.header("x-slack-signature"), app.signature(time, &came.text()));
    }
    receiver.then([Says::new(503, "").header("x-slack-no-retry", "1")]);
    let given_up = app.events(&app.say(&room, &person, "again"))[0].clone();
    let after = app.events(&app.say(&room, &person, "after"))[0].clone();
    app.is_taken(&after).await;
    let tried: Vec<_> = app.attempts().into_iter().filter(|it| it.event == given_up).collect();
    assert_eq!(reasons(&tried), [(0, None, 503)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_three_seconds_is_none_while_the_request_runs_on() {
    let (_slack, app, receiver) = listening().await;
    assert_eq!((DEADLINE, GAPS[1].as_secs(), GAPS[2].as_secs()), (Duration::from_secs(3), 60, 300));
    let (room, person) = (app.channel("garden"), app.person("ann"));
    receiver.then([Says::new(200, "").after(Duration::from_secs(30))]);
    let begun = Instant::now();
    let event = app.events(&app.say(&room, &person, "hello"))[0].clone();
    let tried = app.is_taken(&event).await;
    assert!(begun.elapsed() >= DEADLINE);
    assert_eq!(reasons(&tried), [(0, None, 0), (1, Some("http_timeout"), 200)]);
    let came = receiver.has(3).await;
    assert_eq!(came[1].body, came[2].body, "two copies are there at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_must_be_answered_rightly() {
    let slack = Slack::start().await;
    let app = slack.app("helper");
    let wrong = Receiver::start(|_| Says::new(200, "something else")).await;
    assert!(app.events_to(&wrong.url()).await.unwrap_err().contains("something else"));
    let refusing =
        Receiver::start(|came| Says::new(401, came.json()["challenge"].as_str().unwrap())).await;
    app.events_to(&refusing.url()).await.unwrap_err();
    let as_json =
        |came: &Came| Says::new(200, &json!({"challenge": came.json()["challenge"]}).to_string());
    let right = Receiver::start(as_json).await;
    app.events_to(&right.url()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_can_be_doubled_turned_round_and_of_somebody_else() {
    let (slack, app, receiver) = listening().await;
    let (room, person) = (app.channel("garden"), app.person("ann"));
    app.hold();
    let said = ["one", "two", "three"].map(|it| app.say(&room, &person, it));
    app.release(|ids| ids.reverse());
    let text = |came: &Came| came.json()["event"]["text"].clone();
    let came = receiver.has(4).await;
    assert_eq!(came[1..].iter().map(text).collect::<Vec<_>>(), ["three", "two", "one"]);
    let event = app.events(&said[0])[0].clone();
    app.again(&event);
    let came = receiver.has(5).await;
    assert_eq!((came[4].header("x-slack-retry-num"), &came[4].body), ("1", &came[3].body));
    let other = slack.app("other");
    let mut foreign = app.envelope(&json!({"type": "message", "text": "let me in"}));
    foreign["api_app_id"] = other.id().into();
    foreign["team_id"] = other.team().into();
    app.deliver(foreign);
    let last = receiver.has(6).await.pop().unwrap();
    let time = last.header("x-slack-request-timestamp");
    assert_eq!(last.header("x-slack-signature"), app.signature(time, &last.text()));
    assert_eq!(last.json()["api_app_id"], other.id());
    app.limited();
    let last = receiver.has(7).await.pop().unwrap().json();
    assert_eq!((&last["type"], &last["event"]), (&json!("app_rate_limited"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_threads_commands_and_files_come_as_slack_has_them() {
    let (_slack, app, receiver) = listening().await;
    let (room, person) = (app.channel("garden"), app.person("ann"));
    let first = app.say(&room, &person, "frist");
    app.edit(&room, &first, "first");
    app.answer(&room, &first, &person, "in a thread");
    app.bring(&room, &person, "look", ("a.txt", "text/plain", b"of use"));
    let came = receiver.has(5).await;
    let event = |at: usize| came[at].json()["event"].clone();
    assert_eq!(event(1)["channel_type"], "channel");
    let edited = event(2);
    assert_eq!(
        (&edited["subtype"], &edited["message"]["text"]),
        (&json!("message_changed"), &json!("first"))
    );
    assert_eq!(edited["previous_message"]["text"], "frist");
    let thread = event(3);
    assert_eq!((&thread["thread_ts"], &thread["parent_user_id"]), (&json!(first), &json!(person)));
    assert_eq!(event(4)["files"][0]["size"], 6);
    let trigger = app.command(&room, &person, "/model", "fast & good");
    app.is_taken(&trigger).await;
    let form = receiver.came().pop().unwrap();
    assert_eq!(form.header("content-type"), "application/x-www-form-urlencoded");
    assert!(form.text().contains("command=%2Fmodel&"), "{}", form.text());
    assert!(form.text().contains("text=fast+%26+good"), "{}", form.text());
}
