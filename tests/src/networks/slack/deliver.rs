//! Delivery of what happened: signed over HTTP or in an envelope through a socket, and again where it
//! was not taken in time.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use ring::hmac;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::socket::Say;
use super::workspace::{Kind, Parcel, Way, Workspace, seconds};
use super::{Attempt, Shared};
use crate::networks::serve::{Unposted, post, spawn};

/// How long a request that is late may still run: Slack does not call it back.
const RUNS_ON: Duration = Duration::from_mins(1);

/// How one attempt ended.
enum End {
    Taken,
    /// Not, and why, as Slack says it; whether it may be tried again.
    Not(&'static str, bool),
}

/// Delivers events in their envelopes, each for itself, in the order in which they are given.
pub(super) fn events(shared: &Arc<Shared>, workspace: &Arc<Workspace>, all: Vec<Value>) {
    for payload in all {
        let id = payload["event_id"].as_str().unwrap_or("no event id").to_owned();
        parcel(shared, workspace, Parcel { id, kind: Kind::Event, payload });
    }
}

/// Delivers one, or holds it.
pub(super) fn parcel(shared: &Arc<Shared>, workspace: &Arc<Workspace>, parcel: Parcel) {
    {
        let mut state = workspace.state.lock().unwrap();
        state.remember(&parcel);
        if state.way == Way::Nowhere {
            return;
        }
        if let Some(held) = &mut state.held {
            held.push(parcel);
            return;
        }
    }
    send(shared, workspace, parcel, None);
}

/// Begins to deliver; `as_retry` is the reason of a retry that it pretends to be.
pub(super) fn send(
    shared: &Arc<Shared>,
    workspace: &Arc<Workspace>,
    parcel: Parcel,
    as_retry: Option<&'static str>,
) {
    let (inner, at) = (Arc::clone(shared), Arc::clone(workspace));
    let room = parcel.payload["event"]["channel"].as_str().unwrap_or_default().to_owned();
    // What is said in one room is tried in its order; what has to be tried again no more.
    let (done, next) = oneshot::channel::<()>();
    let before = workspace.state.lock().unwrap().lanes.insert(room, next);
    spawn(&shared.tasks, async move {
        if let Some(before) = before {
            // It is over when its sender is gone.
            drop(before.await);
        }
        let mut done = Some(done);
        let mut reason = as_retry;
        let first = u32::from(as_retry.is_some());
        for number in first.. {
            let end = attempt(&inner, &at, &parcel, (number, reason)).await;
            drop(done.take());
            let End::Not(why, again) = end else { return };
            let gap = {
                let state = at.state.lock().unwrap();
                let gap = usize::try_from(number).ok().and_then(|it| state.gaps.get(it).copied());
                gap.filter(|_| again && parcel.kind == Kind::Event)
            };
            let Some(gap) = gap else { return };
            tokio::time::sleep(gap).await;
            reason = Some(why);
        }
    });
}

async fn attempt(
    shared: &Arc<Shared>,
    workspace: &Arc<Workspace>,
    parcel: &Parcel,
    retry: (u32, Option<&'static str>),
) -> End {
    let way = workspace.state.lock().unwrap().way.clone();
    match way {
        Way::Nowhere => End::Not("connection_failed", false),
        Way::Url(url) => over_http(shared, workspace, parcel, retry, url).await,
        Way::Sockets => through_socket(workspace, parcel, retry).await,
    }
}

/// The headers with which a body proves that Slack sent it.
pub(super) fn signed(secret: &str, body: &str) -> Vec<(&'static str, String)> {
    let time = seconds().to_string();
    let signature = signature(secret, &time, body);
    vec![("x-slack-request-timestamp", time), ("x-slack-signature", signature)]
}

pub(super) fn signature(secret: &str, time: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{time}:{body}").as_bytes());
    tag.as_ref().iter().fold("v0=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

async fn over_http(
    shared: &Arc<Shared>,
    workspace: &Arc<Workspace>,
    parcel: &Parcel,
    (number, reason): (u32, Option<&'static str>),
    url: String,
) -> End {
    let (media_type, body) = match parcel.kind {
        Kind::Event => ("application/json", parcel.payload.to_string()),
        Kind::Command => ("application/x-www-form-urlencoded", form(&parcel.payload)),
    };
    let mut headers = signed(&workspace.is.secret, &body);
    headers.push(("content-type", media_type.to_owned()));
    headers.push(("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)".to_owned()));
    if let Some(reason) = reason {
        headers.push(("x-slack-retry-num", number.to_string()));
        headers.push(("x-slack-retry-reason", reason.to_owned()));
    }
    let (sender, answered) = oneshot::channel();
    let poster = shared.poster.clone();
    spawn(&shared.tasks, async move {
        // A late answer is for nobody.
        drop(sender.send(post(&poster, &url, &headers, body, RUNS_ON).await));
    });
    let deadline = workspace.state.lock().unwrap().deadline;
    let answer = match tokio::time::timeout(deadline, answered).await {
        Ok(answer) => answer.unwrap_or(Err(Unposted::Failed)),
        Err(_) => Err(Unposted::Late),
    };
    let (status, text, end) = judged(answer);
    let attempt = Attempt { event: parcel.id.clone(), number, reason, status, answer: text };
    workspace.state.lock().unwrap().tell(attempt);
    end
}

/// What Slack makes of an answer.
fn judged(answer: Result<Response<bytes::Bytes>, Unposted>) -> (u16, String, End) {
    match answer {
        Err(Unposted::Late) => (0, String::new(), End::Not("http_timeout", true)),
        Err(Unposted::Failed) => (0, String::new(), End::Not("connection_failed", true)),
        Ok(reply) => {
            let text = String::from_utf8_lossy(reply.body()).into_owned();
            let again = reply.headers().get("x-slack-no-retry").is_none_or(|it| it != "1");
            let taken = reply.status().is_success();
            let end = if taken { End::Taken } else { End::Not("http_error", again) };
            (reply.status().as_u16(), text, end)
        }
    }
}

async fn through_socket(
    workspace: &Arc<Workspace>,
    parcel: &Parcel,
    (number, reason): (u32, Option<&'static str>),
) -> End {
    let (sender, acked) = oneshot::channel();
    let (line, envelope_id, deadline) = {
        let mut state = workspace.state.lock().unwrap();
        let envelope = format!("{}-{number}-{}", parcel.id, state.id("En"));
        state.turn += 1;
        let (count, turn) = (state.lines.len(), state.turn);
        let line = turn.checked_rem(count).map(|at| state.lines[at].sender.clone());
        if line.is_some() {
            state.acks.insert(envelope.clone(), sender);
        }
        (line, envelope, state.deadline)
    };
    let mut end = End::Not("connection_failed", true);
    let mut answer = String::new();
    if let Some(line) = line {
        let (kind, with_answer) = match parcel.kind {
            Kind::Event => ("events_api", false),
            Kind::Command => ("slash_commands", true),
        };
        let mut frame = json!({
            "envelope_id": envelope_id, "type": kind, "payload": parcel.payload,
            "accepts_response_payload": with_answer,
        });
        if parcel.kind == Kind::Event {
            frame["retry_attempt"] = number.into();
            frame["retry_reason"] = reason.unwrap_or_default().into();
        }
        if line.send(Say::Text(frame.to_string())).await.is_ok() {
            match tokio::time::timeout(deadline, acked).await {
                Ok(Ok(ack)) => (end, answer) = (End::Taken, ack.to_string()),
                Ok(Err(_)) | Err(_) => end = End::Not("timeout", true),
            }
        }
    }
    let mut state = workspace.state.lock().unwrap();
    state.acks.remove(&envelope_id);
    let status = if matches!(end, End::Taken) { 200 } else { 0 };
    state.tell(Attempt { event: parcel.id.clone(), number, reason, status, answer });
    end
}

/// A command as the form that it is over HTTP.
fn form(payload: &Value) -> String {
    let pairs = payload.as_object().unwrap().iter();
    let pairs = pairs.map(|(name, value)| format!("{name}={}", escaped(value.as_str().unwrap())));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
        out
    })
}
