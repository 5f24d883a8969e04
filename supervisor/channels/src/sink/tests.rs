//! What is brought over which account, and what is said of it, with records as they are and lines that
//! answer what a test says.

use std::sync::Arc;

use delivery::outbox::Sink as _;
use records::{PeerRow, Proven, Shut};

use super::*;
use crate::testing::{House, NOW, account, answered};

impl House {
    pub(super) fn sink(&self, tenant: &str, channel: &str) -> Sink {
        let shared = Shared::new(self.records.clone(), self.held(), self.held(), self.time());
        let adapter = crate::adapter(channel).unwrap();
        Sink::new(tenant.parse().unwrap(), adapter, Arc::new(shared))
    }
}

pub(super) fn target(account: &AccountRow, bound: Option<(PeerKind, &str)>) -> String {
    let place = Place { room: "42".to_owned(), thread: None, reply: Some("7".to_owned()) };
    let bound = bound.map(|(kind, id)| (kind, id.to_owned()));
    let (channel, shared) = (account.channel.clone(), account.owner.is_none());
    Target { channel, account: account.id.clone(), shared, bound, place }.text()
}

fn part(place: &str) -> outbox::Part<'_> {
    let content = br#"{"text":"Hi"}"#;
    outbox::Part { place, key: "k-0", content, since: NOW, tried: NOW, over: None }
}

fn is_sent(fate: &Fate) -> bool {
    matches!(fate, Fate::Sent(_))
}

#[tokio::test(start_paused = true)]
async fn what_came_of_a_call_is_what_becomes_of_a_part() {
    let house = House::new().await;
    let bot = house.put(account(Some("a"), "telegram")).await;
    let (sink, place) = (house.sink("a", "telegram"), target(&bot, None));
    assert_eq!(sink.means(), Means::None);
    let ok = || answered(200, r#"{"ok":true,"result":{"message_id":1}}"#);
    house.answers([ok()]);
    assert!(is_sent(&sink.send(part(&place)).await));
    let calls = house.calls();
    assert!(calls[0].starts_with("bot /sendMessage ") && calls[0].contains("\"message_id\":7"));
    let wait = r#"{"ok":false,"parameters":{"retry_after":3}}"#;
    house.answers([answered(429, wait)]);
    assert!(matches!(sink.send(part(&place)).await, Fate::Wait(3000, _)));
    // The whole account waits with it.
    let since = Instant::now();
    house.answers([ok()]);
    assert!(is_sent(&sink.send(part(&place)).await));
    assert_eq!(since.elapsed(), Duration::from_secs(3));
    house.answers([Called::Unknown("cut".to_owned())]);
    assert_eq!(sink.send(part(&place)).await, Fate::Unknown("cut".to_owned()));
    house.answers([Called::Unsent("no connection".to_owned())]);
    assert_eq!(sink.send(part(&place)).await, Fate::Retry("no connection".to_owned()));
    house.answers([answered(403, r#"{"ok":false,"description":"blocked"}"#)]);
    assert_eq!(sink.send(part(&place)).await, Fate::Failed("blocked".to_owned()));
    house.calls();
    // What was a group and is another now gets it there, once.
    let moved = r#"{"ok":false,"parameters":{"migrate_to_chat_id":-1009}}"#;
    house.answers([answered(400, moved), ok()]);
    assert!(is_sent(&sink.send(part(&place)).await));
    assert!(house.calls()[1].contains("\"chat_id\":\"-1009\""));
    house.answers([answered(400, moved), answered(400, moved)]);
    assert!(matches!(sink.send(part(&place)).await, Fate::Retry(_)));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_not_known_any_more_is_asked_once() {
    let house = House::new().await;
    let bot = house.put(account(Some("a"), "telegram")).await;
    let (sink, place) = (house.sink("a", "telegram"), target(&bot, None));
    house.answers([answered(401, r#"{"ok":false,"description":"Unauthorized"}"#)]);
    for _ in 0..5 {
        assert!(matches!(sink.send(part(&place)).await, Fate::Retry(_)));
    }
    assert_eq!(house.calls().len(), 1);
    assert_eq!(house.told(), ["shut bot: Unauthorized"]);
    let row = house.records.account(bot.owner.as_ref(), &bot.id).await.unwrap().unwrap();
    assert_eq!(row.shut, Some(Shut { at: NOW, why: "Unauthorized".to_owned() }));
    // Somebody has looked.
    house.records.put_account(&bot, Some(&row)).await.unwrap();
    house.answers([answered(200, r#"{"ok":true}"#)]);
    assert!(is_sent(&sink.send(part(&place)).await));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_the_tenants_when_a_part_goes_and_not_before() {
    let house = House::new().await;
    let (own, shared) =
        (house.put(account(Some("a"), "telegram")).await, house.put(account(None, "slack")).await);
    let failed = async |sink: &Sink, place: &str, why: &str| {
        assert_eq!(sink.send(part(place)).await, Fate::Failed(why.to_owned()));
        assert_eq!(house.calls(), [""; 0], "nobody was called");
    };
    // Another tenant's account is none.
    failed(&house.sink("b", "telegram"), &target(&own, None), "the account is gone").await;
    failed(&house.sink("a", "slack"), &target(&own, None), "the account is gone").await;
    failed(&house.sink("a", "telegram"), "{}", "it goes nowhere").await;
    let (sink, gone) = (house.sink("a", "slack"), "the conversation is not this tenant's any more");
    let place = target(&shared, Some((PeerKind::User, "u1")));
    failed(&sink, &place, gone).await;
    failed(&sink, &target(&shared, None), gone).await;
    let row = |kind, id: &str| PeerRow {
        account: shared.id.clone(),
        kind,
        id: id.to_owned(),
        called: None,
        agent: None,
        proven: Proven::Code,
        by: String::new(),
        at: 1,
    };
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    let user = row(PeerKind::User, "u1");
    house.records.bind(&a, &user).await.unwrap();
    house.answers([answered(200, r#"{"ok":true,"ts":"1"}"#)]);
    assert!(is_sent(&sink.send(part(&place)).await));
    house.calls();
    failed(&house.sink("b", "slack"), &place, gone).await;
    // The conversation itself was given to another: what its people bound is not enough.
    house.records.bind(&b, &row(PeerKind::Room, "42")).await.unwrap();
    failed(&sink, &place, gone).await;
    house.records.unbind(&a, &user).await.unwrap();
    failed(&sink, &place, gone).await;
    let stopped = AccountRow { running: false, ..own.clone() };
    house.records.put_account(&stopped, Some(&own)).await.unwrap();
    let place = target(&own, None);
    failed(&house.sink("a", "telegram"), &place, "the account is not connected").await;
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_part_is_found_out_as_its_network_allows() {
    let house = House::new().await;
    let slack = house.put(account(Some("a"), "slack")).await;
    let (sink, place) = (house.sink("a", "slack"), target(&slack, None));
    assert_eq!(sink.means(), Means::ReadBack);
    let history = |key: &str| {
        let mark = format!(r#"{{"event_type":"openclawmu","event_payload":{{"key":"{key}"}}}}"#);
        answered(200, &format!(r#"{{"ok":true,"messages":[{{"metadata":{mark}}}]}}"#))
    };
    house.answers([
        history("k-0"),
        history("k-1"),
        history("k-1"),
        answered(429, ""),
        Called::Unsent(String::new()),
    ]);
    assert_eq!(sink.look(part(&place)).await, Some(Seen::There(None)));
    assert_eq!(sink.look(part(&place)).await, None, "it may still be on its way");
    house.clock.advance(ARRIVING_MS);
    for seen in [Some(Seen::Absent), None, None] {
        assert_eq!(sink.look(part(&place)).await, seen);
    }
    let discord = house.put(account(Some("a"), "discord")).await;
    let (sink, place) = (house.sink("a", "discord"), target(&discord, None));
    assert_eq!(sink.means(), Means::ReadBack);
    assert_eq!(sink.look(part(&place)).await, Some(Seen::Absent), "the key is known: once more");
    house.clock.advance(119_999 - ARRIVING_MS);
    assert_eq!(sink.look(part(&place)).await, Some(Seen::Absent));
    house.clock.advance(1);
    assert_eq!(sink.look(part(&place)).await, None, "nobody knows any more");
    for network in ["webchat", "webhook", "matrix"] {
        assert_eq!(house.sink("a", network).means(), Means::DurableKey, "{network}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_go_as_fast_as_the_network_allows_and_no_longer_than_it_takes() {
    let house = House::new().await;
    let bot = house.put(account(Some("a"), "slack")).await;
    let (sink, place) = (house.sink("a", "slack"), target(&bot, None));
    let since = Instant::now();
    house.answers((0..20).map(|_| answered(200, r#"{"ok":true}"#)));
    for second in 0..4 {
        assert!(is_sent(&sink.send(part(&place)).await));
        assert_eq!(since.elapsed(), Duration::from_secs(second));
    }
    // As many at once as there are places in time that are near enough.
    let many = (0..10).map(|_| sink.send(part(&place)));
    let many = futures_util::future::join_all(many).await;
    let sent = many.iter().filter(|it| matches!(it, Fate::Sent(_))).count();
    let later = many.iter().filter(|it| matches!(it, Fate::Wait(5000..=6000, _))).count();
    assert_eq!((sent, later), (5, 5), "{many:?}");
    house.calls();
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(4001));
    let long = outbox::Part { content: long.as_bytes(), ..part(&place) };
    assert_eq!(sink.send(long).await, Fate::Failed("it has 4001 of at most 4000".to_owned()));
    let none = outbox::Part { content: b"Hi", ..part(&place) };
    assert!(matches!(sink.send(none).await, Fate::Failed(_)));
    assert_eq!(house.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_shown_what_is_said() {
    let house = House::new().await;
    let site = house.put(account(Some("a"), "webchat")).await;
    let (sink, place) = (house.sink("a", "webchat"), target(&site, None));
    assert!(is_sent(&sink.send(part(&place)).await));
    let second = outbox::Part { key: "k-1", ..part(&place) };
    assert!(is_sent(&sink.send(second).await));
    let calls = house.calls();
    assert!(calls[0].starts_with("bot 42 ") && calls[0].contains("\"replyTo\":\"7\""));
    assert!(!calls[1].contains("replyTo"), "what follows answers nothing");
}

#[tokio::test(start_paused = true)]
async fn what_came_with_a_message_is_fetched_over_its_account() {
    let house = House::new().await;
    let bot = house.put(account(Some("a"), "telegram")).await;
    let (sink, place) = (house.sink("a", "telegram"), target(&bot, None));
    let where_it_is = r#"{"ok":true,"result":{"file_path":"photos/a.jpg"}}"#;
    house.answers([answered(200, where_it_is), answered(200, "bytes")]);
    assert_eq!(sink.fetch(&place, "f1").await.unwrap(), b"bytes");
    assert_eq!(house.calls(), [r#"bot /getFile {"file_id":"f1"}"#, "bot /photos/a.jpg "]);
    let away = |why: &str| NotFetched::Away(why.to_owned());
    let never = |why: &str| NotFetched::Never(why.to_owned());
    for (answer, want) in [
        (Called::Unsent("no way".to_owned()), away("no way")),
        (answered(502, ""), away("the network answered 502")),
        (answered(404, ""), never("the network answered 404")),
        (answered(200, "{}"), never("the network has nothing of the kind")),
    ] {
        house.answers([answer]);
        assert_eq!(sink.fetch(&place, "f1").await.unwrap_err(), want);
    }
    let large = "x".repeat((20 << 20) + 1);
    house.answers([answered(200, where_it_is), answered(200, &large)]);
    assert_eq!(sink.fetch(&place, "f1").await.unwrap_err(), NotFetched::TooLarge(20 << 20));
    // Nobody fetches over an account of another's.
    house.calls();
    let other = house.sink("b", "telegram");
    assert!(matches!(other.fetch(&place, "f1").await, Err(NotFetched::Never(_))));
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_for_among_our_own_and_believed_to_be_missing_later_than_a_text() {
    let house = House::new().await;
    let slack = house.put(account(Some("a"), "slack")).await;
    let (sink, place) = (house.sink("a", "slack"), target(&slack, None));
    let content =
        br#"{"text":"","file":{"id":"f","name":"a.txt","mediaType":"text/plain","size":3}}"#;
    let part = outbox::Part { content, ..part(&place) };
    let shown = |users: &[&str]| {
        let message = |(at, user): (usize, &&str)| {
            let file = r#"{"name":"a.txt","size":3}"#;
            format!(r#"{{"user":"{user}","ts":"1760000001.00000{at}","files":[{file}]}}"#)
        };
        let messages: Vec<_> = users.iter().enumerate().map(message).collect();
        answered(200, &format!(r#"{{"ok":true,"messages":[{}]}}"#, messages.join(",")))
    };
    let own = slack.us.0.as_str();
    house.answers([shown(&[own, "U1"]), shown(&[own, own]), shown(&["U1"]), shown(&["U1"])]);
    let there = Some(Seen::There(Some("1760000001.000000".to_owned())));
    assert_eq!(sink.look(part).await, there, "one of ours");
    assert_eq!(sink.look(part).await, None, "of two nobody knows which it is");
    house.clock.advance(ARRIVING_MS);
    assert_eq!(sink.look(part).await, None, "it may still be shown");
    house.clock.advance(FILE_ARRIVING_MS - ARRIVING_MS);
    assert_eq!(sink.look(part).await, Some(Seen::Absent));
}
