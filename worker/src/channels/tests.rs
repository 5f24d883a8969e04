//! What is said at a network, as the supervisor hands it over.

mod files;

use proto::worker::ChannelEvent;
use proto::worker::worker_event::What as Told;
use serde_json::json;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::*;
use crate::testing::{Harness, batch, finished, started, text};

fn event(id: &str, said: &str) -> ChannelEvent {
    let user = json!({"id": 7, "first_name": "Ann", "is_bot": false});
    let chat = json!({"id": 7, "type": "private"});
    let message = json!({"message_id": 3, "from": user, "chat": chat, "text": said});
    ChannelEvent {
        network: "telegram".to_owned(),
        event: json!({"update_id": 1, "message": message}).to_string().into(),
        us_id: "700".to_owned(),
        agent: "main".to_owned(),
        session: "agent:main:telegram:bot:direct:7".to_owned(),
        handle: "sealed".to_owned(),
        sender: "7".to_owned(),
        event_id: id.to_owned(),
        ..ChannelEvent::default()
    }
}

async fn hear(harness: &Harness, event: ChannelEvent) -> Result<(), Code> {
    harness.client.clone().hear(event).await.map(drop).map_err(|status| status.code())
}

/// What the model is asked, and the answer that goes out.
async fn answered(harness: &mut Harness, answer: &str, count: usize) -> (String, Vec<String>) {
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    drop(reply);
    while harness.letters.said().len() < count {
        harness.call("health", &json!({})).await.unwrap();
    }
    (asked, harness.letters.said().pop().unwrap().2)
}

#[tokio::test]
async fn what_is_said_is_answered_once_however_often_it_comes() {
    let mut harness = Harness::new().await;
    hear(&harness, event("e1", "hello")).await.unwrap();
    hear(&harness, event("e1", "hello")).await.unwrap();
    let (asked, said) = answered(&mut harness, "**hi** <you>", 1).await;
    assert!(asked.contains("hello") && asked.contains("over Telegram"), "{asked}");
    assert_eq!(said, [r#"{"text":"<b>hi</b> &lt;you&gt;"}"#]);
    hear(&harness, event("e1", "hello")).await.unwrap();
    // Another process knows it too.
    let next = Harness::on(harness.root.clone()).await;
    hear(&next, event("e1", "hello")).await.unwrap();
    hear(&harness, event("e2", "and?")).await.unwrap();
    let (asked, _) = answered(&mut harness, "yes", 2).await;
    assert!(asked.contains("hello") && asked.contains("and?"), "the same session: {asked}");
    let ids: Vec<_> = harness.letters.said().into_iter().map(|(id, to, _)| (id, to)).collect();
    let want = ["channel:e1.0", "channel:e2.0"].map(|id| (id.to_owned(), "sealed".to_owned()));
    assert_eq!(ids, want);
    assert!(harness.calls.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_whole_when_its_event_comes_again() {
    let mut harness = Harness::new().await;
    let mut told = harness.told().await;
    harness.letters.refuse(true);
    hear(&harness, event("e1", "tell me all")).await.unwrap();
    let reply = harness.calls.recv().await.unwrap().open();
    // More than is remembered of a run that has ended.
    let all = format!("{}the end", "and so on ".repeat(1000));
    reply.send(Ok(batch(vec![started(), text(&all), finished("stop")]))).await.unwrap();
    drop(reply);
    let settled = loop {
        let said = told.next().await.unwrap().unwrap().what;
        if let Some(Told::Settled(settled)) = said {
            break settled;
        }
    };
    assert_eq!((&*settled.event_id, settled.again), ("e1", true), "{settled:?}");
    harness.letters.refuse(false);
    hear(&harness, event("e1", "tell me all")).await.unwrap();
    while harness.letters.said().is_empty() {
        harness.call("health", &json!({})).await.unwrap();
    }
    let said = harness.letters.said().pop().unwrap().2.concat();
    assert_eq!(said.matches("so").count(), 1000, "words stay whole where messages end");
    assert!(said.contains("the end") && harness.calls.try_recv().is_err());
}

#[tokio::test]
async fn commands_are_answered_and_edits_are_not() {
    let mut harness = Harness::new().await;
    hear(&harness, event("c1", "/status")).await.unwrap();
    while harness.letters.said().is_empty() {
        harness.call("health", &json!({})).await.unwrap();
    }
    let said = harness.letters.said().pop().unwrap().2.concat();
    assert!(said.contains("agent:main:telegram:bot:direct:7"), "{said}");
    let mut edit = event("c2", "never mind");
    edit.event =
        String::from_utf8_lossy(&edit.event).replace("\"message\"", "\"edited_message\"").into();
    hear(&harness, edit).await.unwrap();
    hear(&harness, event("c3", " ")).await.unwrap();
    hear(&harness, event("c4", "go on")).await.unwrap();
    let (asked, _) = answered(&mut harness, "on", 2).await;
    assert!(asked.contains("go on") && !asked.contains("never mind"), "{asked}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_for_good() {
    let harness = Harness::new().await;
    let cut = ChannelEvent { event: "{".into(), ..event("x", "y") };
    let agent = ChannelEvent { session: "agent:none:x".to_owned(), ..event("x", "y") };
    let network = ChannelEvent { network: "smoke".to_owned(), ..event("x", "y") };
    for wrong in [cut, agent, network] {
        assert_eq!(hear(&harness, wrong).await, Err(Code::InvalidArgument));
    }
}

#[test]
fn a_long_answer_is_several_intents() {
    let check = |parts: Vec<usize>, want: &[usize]| {
        let parts = parts.into_iter().map(|it| vec![0; it]).collect();
        let all: Vec<_> = intents(parts).iter().map(Vec::len).collect();
        assert_eq!(all, want);
    };
    check(vec![], &[]);
    check(vec![1; MAX_PARTS], &[MAX_PARTS]);
    check(vec![1; MAX_PARTS + 1], &[MAX_PARTS, 1]);
    check(vec![MAX_BYTES / 2 + 1; 3], &[1, 1, 1]);
    check(vec![1; MAX_PARTS * MAX_INTENTS + 5], &[MAX_PARTS; MAX_INTENTS]);
}

/// While this lasts the worker goes on.
async fn pause(millis: u64) {
    let until = tokio::time::Instant::now() + Duration::from_millis(millis);
    tokio::time::sleep_until(until).await;
}

#[tokio::test]
async fn an_answer_is_shown_while_it_is_written() {
    let mut harness = Harness::new().await;
    hear(&harness, event("e1", "hello")).await.unwrap();
    let reply = harness.calls.recv().await.unwrap().open();
    reply.send(Ok(batch(vec![started(), text("HEART")]))).await.unwrap();
    pause(1500).await;
    assert!(harness.letters.said().is_empty(), "that may come to nothing");
    reply.send(Ok(batch(vec![text("s and more")]))).await.unwrap();
    while harness.letters.said().is_empty() {
        pause(20).await;
    }
    let (id, handle, parts) = harness.letters.said().pop().unwrap();
    let draft = "channel:e1.draft";
    assert_eq!((id.as_str(), handle.as_str()), (draft, "sealed"));
    assert_eq!(parts, [r#"{"text":"HEARTs and more"}"#]);
    reply.send(Ok(batch(vec![text(" and **more**")]))).await.unwrap();
    let more = r#"{"text":"HEARTs and more and <b>more</b>"}"#;
    while harness.letters.shown().iter().all(|(id, _, parts)| id != draft || parts[0] != more) {
        pause(20).await;
    }
    // While nothing is said it is shown that somebody writes.
    while harness.letters.shown().iter().all(|(id, ..)| !id.is_empty()) {
        pause(20).await;
    }
    reply.send(Ok(batch(vec![text("."), finished("stop")]))).await.unwrap();
    drop(reply);
    while harness.letters.said().len() < 2 {
        pause(20).await;
    }
    let (id, _, parts) = harness.letters.said().pop().unwrap();
    assert_eq!(id, "channel:e1.0");
    assert_eq!(parts, [r#"{"text":"HEARTs and more and <b>more</b>."}"#]);
    assert_eq!(harness.letters.over(&id).as_deref(), Some(draft));
}
