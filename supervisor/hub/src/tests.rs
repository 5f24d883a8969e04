//! Who gets what, in which order, and what becomes of those who do not read.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::FutureExt as _;
use types::{Scope, Scopes};

use super::*;

mod invoke;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn spec(role: Role, scopes: &[Scope], caps: &[&str]) -> Spec {
    Spec {
        role,
        client: Client { instance_id: Some("claimed".to_owned()), ..Client::default() },
        device_id: Some("i".to_owned()),
        scopes: scopes.iter().copied().collect::<Scopes>(),
        caps: caps.iter().map(|&it| it.to_owned()).collect(),
        commands: Vec::new(),
        path_env: None,
        permissions: std::collections::BTreeMap::default(),
        connected_at: 0,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn reader() -> Spec {
    spec(Role::Operator, &[Scope::Read], &[])
}

fn node() -> Spec {
    spec(Role::Node, &[Scope::Node], &[])
}

fn message(name: &str, payload: impl Into<Bytes>, session_key: &str) -> Message {
    let event = api::events::event(name).unwrap();
    Message { event, payload: payload.into(), session_key: session_key.to_owned() }
}

/// What waits in an outbox: names of events with their numbers, and how it ends.
fn waiting(outbox: &mut Outbox) -> Vec<(String, Option<u64>)> {
    let mut seen = Vec::new();
    while let Some(next) = outbox.next().now_or_never() {
        match next {
            Next::Send(Item::Event { event, seq, .. }) => seen.push((event.wire.to_owned(), seq)),
            Next::Send(Item::Frame(frame)) => {
                seen.push((String::from_utf8(frame.to_vec()).unwrap(), None));
            }
            Next::Close(close) => {
                seen.push((format!("{} {}", close.code, close.reason), None));
                break;
            }
        }
    }
    seen
}

fn numbered(names: &[&str]) -> Vec<(String, Option<u64>)> {
    (1..).zip(names).map(|(seq, &name)| (name.to_owned(), Some(seq))).collect()
}

#[test]
fn two_tenants_never_meet() {
    let hub = Hub::default();
    let (one, mut mine) = hub.join(&tenant("a"), reader()).unwrap();
    let (other, mut theirs) = hub.join(&tenant("b"), reader()).unwrap();
    hub.publish(&tenant("a"), &message("chat", "{}", ""));
    assert!(!hub.publish_to(&tenant("b"), one.id(), &message("voicewake.changed", "{}", "")));
    hub.close(&tenant("b"), |it| it.id() == one.id(), Close::SLOW);
    hub.publish(&tenant("c"), &message("chat", "{}", ""));
    assert_eq!(waiting(&mut mine), numbered(&["chat"]));
    assert_eq!(waiting(&mut theirs), []);
    let ids: Vec<_> = hub.connections(&tenant("b")).iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(ids, [other.id()]);
    drop(theirs);
    assert!(hub.connections(&tenant("b")).is_empty());
    assert_eq!(hub.0.rooms.read().unwrap().len(), 1, "an empty room is given up");
}

#[test]
fn who_is_told_what() {
    let hub = Hub::default();
    let a = tenant("a");
    let (reader, mut told) = hub.join(&a, reader()).unwrap();
    let pairing = spec(Role::Operator, &[Scope::Pairing], &["tool-events"]);
    let (_, mut pairs) = hub.join(&a, pairing).unwrap();
    let tools = spec(Role::Operator, &[Scope::Read], &["tool-events"]);
    let (_, mut sees_tools) = hub.join(&a, tools).unwrap();
    let (_, mut node) = hub.join(&a, node()).unwrap();

    let publish = |name: &str, key: &str| hub.publish(&a, &message(name, "{}", key));
    publish("chat", "agent:main:main");
    publish("agent.tool", "agent:main:main");
    publish("device.pair.requested", "");
    publish("presence", "");
    publish("sessions.changed", "agent:main:main");
    publish("session.message", "agent:main:main");
    publish("node.invoke.request", "");
    assert_eq!(waiting(&mut told), numbered(&["chat", "presence"]));
    assert_eq!(waiting(&mut pairs), numbered(&["device.pair.requested", "presence"]));
    assert_eq!(waiting(&mut sees_tools), numbered(&["chat", "agent", "presence"]));
    assert_eq!(waiting(&mut node), numbered(&["presence"]));

    reader.subscribe_sessions(true);
    reader.subscribe_messages("agent:main:main", true).unwrap();
    publish("sessions.changed", "agent:main:other");
    publish("session.message", "agent:main:main");
    publish("session.message", "agent:main:other");
    let seen: Vec<_> = waiting(&mut told).into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, ["sessions.changed", "session.message"]);
    reader.subscribe_sessions(false);
    reader.subscribe_messages("agent:main:main", false).unwrap();
    publish("sessions.changed", "agent:main:main");
    publish("session.message", "agent:main:main");
    assert_eq!(waiting(&mut told), []);
}

#[test]
fn a_connection_follows_so_many_sessions() {
    let (connection, _outbox) = Hub::default().join(&tenant("a"), reader()).unwrap();
    for at in 0..connection::MAX_FOLLOWED {
        connection.subscribe_messages(&at.to_string(), true).unwrap();
    }
    connection.subscribe_messages("0", true).unwrap();
    assert_eq!(connection.subscribe_messages("more", true), Err(Full));
    connection.subscribe_messages("0", false).unwrap();
    connection.subscribe_messages("more", true).unwrap();
}

#[test]
fn a_tenant_has_so_many_connections() {
    let hub = Hub::default();
    let held: Vec<_> =
        (0..MAX_CONNECTIONS).map(|_| hub.join(&tenant("a"), reader()).unwrap()).collect();
    assert_eq!(hub.join(&tenant("a"), reader()).unwrap_err(), Full);
    hub.join(&tenant("b"), reader()).unwrap();
    drop(held);
    hub.join(&tenant("a"), reader()).unwrap();
}

#[test]
fn what_goes_to_one_has_no_number() {
    let hub = Hub::default();
    let (connection, mut outbox) = hub.join(&tenant("a"), reader()).unwrap();
    hub.publish(&tenant("a"), &message("tick", "{}", ""));
    let initial = message("voicewake.changed", "{}", "");
    assert!(hub.publish_to(&tenant("a"), connection.id(), &initial));
    assert!(connection.push(&message("tick", "{}", "")));
    let want = [("tick", Some(1)), ("voicewake.changed", None), ("tick", Some(2))];
    assert_eq!(waiting(&mut outbox), want.map(|(name, seq)| (name.to_owned(), seq)));
}

#[test]
fn who_does_not_read_loses_what_can_be_lost_and_then_the_connection() {
    let hub = Hub::default();
    let a = tenant("a");
    let (_, mut slow) = hub.join(&a, reader()).unwrap();
    let large = "x".repeat(MAX_BUFFERED / 4);
    for _ in 0..3 {
        hub.publish(&a, &message("chat", large.clone(), ""));
    }
    hub.publish(&a, &message("agent", large.clone(), ""));
    hub.publish(&a, &message("tick", "{}", ""));
    let mut want = numbered(&["chat", "chat", "chat", "agent", "tick"]);
    want.remove(3);
    assert_eq!(waiting(&mut slow), want, "the gap tells of what was left out");

    for _ in 0..4 {
        hub.publish(&a, &message("chat", large.clone(), ""));
    }
    assert_eq!(waiting(&mut slow), [("1008 slow consumer".to_owned(), None)]);
    hub.publish(&a, &message("chat", "{}", ""));
    assert_eq!(waiting(&mut slow), [("1008 slow consumer".to_owned(), None)]);
    drop(slow);
    assert_eq!(hub.0.budget.used(), 0, "what waited is given back");
}

#[test]
fn one_who_does_not_read_costs_the_others_nothing() {
    let hub = Hub::default();
    let a = tenant("a");
    let large = "x".repeat(MAX_BUFFERED / 2);
    // Each takes half of what one may have; together more than the tenant may.
    let slow: Vec<_> = (0..20).map(|_| hub.join(&a, reader()).unwrap()).collect();
    hub.publish(&a, &message("chat", large.clone(), ""));
    hub.publish(&a, &message("chat", large, ""));
    let (_, mut quick) = hub.join(&a, reader()).unwrap();
    hub.publish(&a, &message("chat", "{}", ""));
    assert_eq!(waiting(&mut quick), numbered(&["chat"]));
    drop(slow);
    drop(quick);
    assert_eq!(hub.0.budget.used(), 0);
}

#[tokio::test]
async fn an_answer_waits_for_room() {
    let hub = Hub::default();
    let (connection, mut outbox) = hub.join(&tenant("a"), reader()).unwrap();
    let large = Bytes::from("x".repeat(MAX_BUFFERED - 1000));
    connection.answer(large.clone()).await;
    let second = connection.answer(large.clone());
    tokio::pin!(second);
    assert!(second.as_mut().now_or_never().is_none());
    assert!(connection.unloaded().now_or_never().is_none());
    assert!(matches!(outbox.next().await, Next::Send(Item::Frame(_))));
    assert!(second.as_mut().now_or_never().is_none(), "the first is being sent");
    assert!(outbox.next().now_or_never().is_none());
    second.await;
    assert!(matches!(outbox.next().await, Next::Send(Item::Frame(_))));
    assert!(outbox.next().now_or_never().is_none());
    assert!(!connection.unloaded().await);
    connection.answer(large).await;
    connection.close(Close::now(1000, "over"));
    connection.answer(Bytes::from_static(b"late")).await;
    assert_eq!(waiting(&mut outbox), [("1000 over".to_owned(), None)]);
    drop(outbox);
    assert_eq!(hub.0.budget.used(), 0);
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_for_a_tenant() {
    let hub = Hub::default();
    let (a, b) = (tenant("a"), tenant("b"));
    let large = Bytes::from("x".repeat(MAX_BUFFERED + queue::FAIR));
    let mut slow: Vec<_> = (0..20).map(|_| hub.join(&a, reader()).unwrap()).collect();
    for (connection, _) in &slow {
        connection.answer(large.clone()).await;
    }
    assert!(hub.0.budget.used() <= TENANT_BUFFERED, "{}", hub.0.budget.used());
    let (_, last) = slow.last_mut().unwrap();
    assert_eq!(waiting(last), [("1008 slow consumer".to_owned(), None)]);
    // Small answers are taken all the same, and another tenant's are not held up.
    let (small, mut outbox) = hub.join(&a, reader()).unwrap();
    small.answer(Bytes::from_static(b"{}")).await;
    assert!(matches!(outbox.next().await, Next::Send(Item::Frame(_))));
    let (other, mut outbox_of_b) = hub.join(&b, reader()).unwrap();
    other.answer(large).await;
    assert!(matches!(outbox_of_b.next().await, Next::Send(Item::Frame(_))));
    drop((slow, outbox, outbox_of_b));
    assert_eq!(hub.0.budget.used(), 0);
}

#[tokio::test]
async fn an_end_sends_what_waits_or_does_not() {
    let hub = Hub::default();
    let (connection, mut outbox) = hub.join(&tenant("a"), reader()).unwrap();
    connection.push(&message("shutdown", "{}", ""));
    connection.close(Close::after(1012, "service restart"));
    assert!(outbox.cut().now_or_never().is_none());
    let mut want = numbered(&["shutdown"]);
    want.push(("1012 service restart".to_owned(), None));
    assert_eq!(waiting(&mut outbox), want);
    connection.close(Close::now(1008, "revoked"));
    assert_eq!(outbox.cut().await.code, 1008);
    connection.close(Close::now(1000, "later"));
    assert_eq!(waiting(&mut outbox), [("1008 revoked".to_owned(), None)]);
}

#[tokio::test]
async fn a_fleet_that_comes_back_is_told_of_once() {
    let (hub, a) = (Hub::default(), tenant("a"));
    let (_connection, _outbox) = hub.join(&a, reader()).unwrap();
    assert_eq!(hub.presence_due(&a), Some(Duration::ZERO));
    assert_eq!(hub.presence_due(&a), None);
    hub.presence_told(&a);
    assert!(hub.presence_due(&a).is_some_and(|after| after > Duration::ZERO));
    assert_eq!(hub.presence_due(&tenant("b")), None);
}
