//! Socket Mode: sockets that are opened with a ticket, greet, and bring envelopes that are to be
//! acknowledged.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::workspace::Workspace;
use crate::networks::serve::{Socket, close};

/// Sockets that an app has at most at one time.
pub(super) const MAX_LINES: usize = 10;

/// Frames that wait to be written on one socket.
const MAX_WAITING: usize = 10_000;

/// Between two pings of Slack's.
const PING: Duration = Duration::from_secs(10);

/// A socket that was let in.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) sender: mpsc::Sender<Say>,
}

/// What a socket is to do.
#[derive(Debug)]
pub(super) enum Say {
    Text(String),
    /// End in order.
    Close,
    /// Break off.
    Cut,
}

/// A word of parting.
pub(super) fn parting(reason: &str) -> String {
    let info = json!({"host": "applink-test"});
    json!({"type": "disconnect", "reason": reason, "debug_info": info}).to_string()
}

/// Serves a socket until it ends.
pub(super) async fn serve(workspace: Arc<Workspace>, mut socket: Socket) {
    let (sender, mut orders) = mpsc::channel(MAX_WAITING);
    let (id, count) = {
        let mut state = workspace.state.lock().unwrap();
        let id = state.id("S");
        (id, state.lines.len() + 1)
    };
    if count > MAX_LINES {
        drop(socket.send(Message::text(parting("too_many_websockets"))).await);
        return close(socket, 1000, "").await;
    }
    let info =
        json!({"host": "applink-test", "build_number": 1, "approximate_connection_time": 18_060});
    let hello = json!({
        "type": "hello", "num_connections": count, "debug_info": info,
        "connection_info": {"app_id": workspace.is.app},
    });
    if socket.send(Message::text(hello.to_string())).await.is_err() {
        return;
    }
    workspace.state.lock().unwrap().lines.push(Line { id: id.clone(), sender });
    let end = talk(&workspace, &mut socket, &mut orders).await;
    workspace.state.lock().unwrap().lines.retain(|it| it.id != id);
    match end {
        Some(Say::Close) => close(socket, 1000, "").await,
        Some(Say::Text(_) | Say::Cut) | None => drop(socket),
    }
}

/// Until the other side ends it, or we are to.
async fn talk(
    workspace: &Workspace,
    socket: &mut Socket,
    orders: &mut mpsc::Receiver<Say>,
) -> Option<Say> {
    let mut pings = tokio::time::interval(PING);
    loop {
        tokio::select! {
            order = orders.recv() => match order? {
                Say::Text(text) => socket.send(Message::text(text)).await.ok()?,
                end @ (Say::Close | Say::Cut) => return Some(end),
            },
            _ = pings.tick() => socket.send(Message::Ping("Ping from applink-test".into())).await.ok()?,
            heard = socket.next() => {
                if let Message::Text(text) = heard?.ok()? {
                    acked(workspace, &text);
                }
            }
        }
    }
}

/// An acknowledgement; whatever else a client says, Slack minds nothing.
fn acked(workspace: &Workspace, text: &str) {
    let Ok(ack) = serde_json::from_str::<Value>(text) else { return };
    let Some(id) = ack["envelope_id"].as_str() else { return };
    let waiting = workspace.state.lock().unwrap().acks.remove(id);
    if let Some(waiting) = waiting {
        // Whoever waited for it has given up meanwhile: it is late.
        drop(waiting.send(ack["payload"].clone()));
    }
}
