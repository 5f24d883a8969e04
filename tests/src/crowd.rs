//! Many callers of one tenant at once, over connections that stay open from one rush to the next:
//! what a test of limits measures is the limit, not how fast connections are made.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::ws::{Connect, Ws};
use crate::{Gateway, Tenant, Wire};

/// Sockets, each with as many calls under way as one connection may have.
const CALLS: usize = 50;

/// The bound of each completion: as small as one may be that is worth a call.
pub const MAX_TOKENS: u64 = 16;

/// So many callers further on begins the next rush.
const FIRST: usize = 23;

/// So many messages of each socket, less one, are sent ahead of a rush at most.
const AHEAD: usize = 3;

/// Sets of sessions, used in turn, so that a message never meets the turn of the rush before.
const SETS: usize = 2;

/// The callers.
#[derive(Debug)]
pub struct Crowd {
    address: SocketAddr,
    idle: Vec<Caller>,
    whole: Arc<[u8]>,
    streamed: Arc<[u8]>,
    rushes: usize,
}

/// What came of one rush, by the way that a request came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Completions that were answered.
    pub whole: usize,
    /// Streams that began.
    pub streamed: usize,
    /// Messages over sockets that were taken.
    pub sent: usize,
    /// All that were refused because of a limit.
    pub refused: usize,
    /// Connections that broke off.
    pub lost: usize,
}

#[derive(Debug)]
enum Caller {
    Whole(Wire),
    Streamed(Wire),
    Socket(Box<Ws>, usize),
}

impl Caller {
    /// What one of the crowd asks in a rush, and what came of it.
    async fn turn(
        self,
        [whole, streamed]: [&Arc<[u8]>; 2],
        address: SocketAddr,
        (ahead, rush): (usize, usize),
    ) -> (Self, Tally) {
        let mut tally = Tally::default();
        let caller = match self {
            Self::Whole(wire) => {
                let (wire, status) = ask(wire, whole, address).await;
                count(status, &mut tally, |tally| &mut tally.whole);
                Self::Whole(wire)
            }
            Self::Streamed(wire) => {
                let (wire, status) = ask(wire, streamed, address).await;
                count(status, &mut tally, |tally| &mut tally.streamed);
                Self::Streamed(wire)
            }
            Self::Socket(mut ws, n) => {
                for message in n * CALLS + ahead..(n + 1) * CALLS {
                    send(&mut ws, message, rush).await;
                }
                answers(&mut ws, n * CALLS, rush, &mut tally).await;
                Self::Socket(ws, n)
            }
        };
        (caller, tally)
    }
}

impl Tally {
    /// All that were admitted.
    pub const fn admitted(&self) -> usize {
        self.whole + self.streamed + self.sent
    }

    /// Adds another rush.
    pub const fn add(&mut self, more: &Self) {
        self.whole += more.whole;
        self.streamed += more.streamed;
        self.sent += more.sent;
        self.refused += more.refused;
        self.lost += more.lost;
    }
}

impl Crowd {
    /// `wires` HTTP connections, every second of them for streams, and `sockets` `WebSocket`s with 50
    /// calls each, all of whose requests go to `model`; sockets ask the tenant's agent.
    pub async fn gather(
        gateway: &Gateway,
        tenant: &Tenant,
        model: &str,
        (wires, sockets): (usize, usize),
    ) -> Self {
        let address = gateway.address();
        let mut idle = Vec::new();
        for n in 0..wires {
            let wire = Wire::open(address).await;
            idle.push(if n % 2 == 0 { Caller::Whole(wire) } else { Caller::Streamed(wire) });
        }
        for n in 0..sockets {
            let scopes = ["operator.read", "operator.write"];
            let ws = Connect::new(address, &tenant.token, &scopes).open().await;
            // In between: who comes first changes from rush to rush.
            idle.insert(n * (wires / sockets + 1), Caller::Socket(Box::new(ws), n));
        }
        let request = |stream| completion(&tenant.token, model, stream).into();
        Self { address, idle, whole: request(false), streamed: request(true), rushes: 0 }
    }

    /// Every caller asks at once, and all are answered.
    pub async fn rush(&mut self) -> Tally {
        self.rushes += 1;
        self.idle.rotate_left(FIRST);
        // A frame takes longer to be looked at than a request: some are on their way already.
        let ahead = self.rushes % AHEAD;
        for caller in &mut self.idle {
            if let Caller::Socket(ws, n) = caller {
                ws.forget();
                for message in *n * CALLS..*n * CALLS + ahead {
                    send(ws, message, self.rushes).await;
                }
            }
        }
        let mut calling = JoinSet::new();
        for (place, caller) in self.idle.drain(..).enumerate() {
            let (whole, streamed) = (Arc::clone(&self.whole), Arc::clone(&self.streamed));
            let (address, rush) = (self.address, self.rushes);
            calling.spawn(async move {
                let (caller, tally) =
                    caller.turn([&whole, &streamed], address, (ahead, rush)).await;
                (place, caller, tally)
            });
        }
        let mut called = calling.join_all().await;
        called.sort_by_key(|(place, ..)| *place);
        let mut all = Tally::default();
        for (_, caller, tally) in called {
            self.idle.push(caller);
            all.add(&tally);
        }
        all
    }
}

fn completion(token: &str, model: &str, stream: bool) -> Vec<u8> {
    let messages = [json!({"role": "user", "content": "go"})];
    let body =
        json!({"model": model, "stream": stream, "max_tokens": MAX_TOKENS, "messages": messages});
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One request and its status; a connection that broke off is made anew.
async fn ask(mut wire: Wire, request: &[u8], address: SocketAddr) -> (Wire, Option<u16>) {
    wire.send(request).await;
    match wire.outcome().await {
        Some(status) => (wire, Some(status)),
        None => (Wire::open(address).await, None),
    }
}

fn count(status: Option<u16>, tally: &mut Tally, of: impl Fn(&mut Tally) -> &mut usize) {
    let counted = match status {
        Some(200) => of(tally),
        Some(429) => &mut tally.refused,
        None => &mut tally.lost,
        Some(other) => panic!("answered with {other}"),
    };
    *counted += 1;
}

/// A message to a session of its own, by one method and the other in turn.
async fn send(ws: &mut Ws, message: usize, rush: usize) {
    let method = if message.is_multiple_of(2) { "chat.send" } else { "agent" };
    let params = json!({
        "sessionKey": format!("agent:main:room-{}-{message}", rush % SETS),
        "message": "go",
        "idempotencyKey": format!("rush-{rush}-{message}"),
    });
    let id = format!("{rush}-{message}");
    let frame = json!({"type": "req", "id": id, "method": method, "params": params});
    ws.raw(&frame.to_string()).await;
}

/// The answers to fifty messages.
async fn answers(ws: &mut Ws, first: usize, rush: usize, tally: &mut Tally) {
    for message in first..first + CALLS {
        let answer = ws.answer(&format!("{rush}-{message}")).await;
        if answer["ok"] == true {
            tally.sent += 1;
        } else {
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            assert!(is_limit(code), "{answer}");
            tally.refused += 1;
        }
    }
}

/// Whether a frame's error is that of a limit.
fn is_limit(code: &str) -> bool {
    matches!(code, "RESOURCE_EXHAUSTED" | "RATE_LIMITED" | "UNAVAILABLE")
}
