//! The gateway: it greets, hears who somebody is, listens to hearts, and ends what does not keep to the
//! rules with Discord's own codes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::sessions::{Gone, Line, MAX_WAITING, Say};
use super::world::World;
use super::{MAX_IDENTIFIED, Shared};
use crate::networks::serve::{Asked, Socket, close};

/// The largest frame that a bot may send, in bytes.
const MAX_FRAME: usize = 4096;

/// Frames that a bot may send in a minute.
const MAX_FRAMES: usize = 120;

/// Every intent that there is.
const INTENTS: u64 = (1 << 26) - 1;

/// The longest piece that is stored as it is.
const PIECE: usize = 65_535;

/// A connection.
struct Talk {
    shared: Arc<Shared>,
    line: Line,
    /// Who it is, and in which session.
    known: Option<(Arc<World>, String)>,
    beat: Instant,
    sent: Vec<Instant>,
}

/// Why a connection ends.
enum End {
    /// We end it.
    Close(u16, &'static str),
    Cut,
    /// The other side ended it, perhaps with a code.
    Left(Option<u16>),
}

/// What goes over the wire: compressed where that was asked for, though in form only.
struct Wire {
    socket: Socket,
    stream: Option<bool>,
}

impl Wire {
    async fn write(&mut self, frame: &Value) -> Result<(), End> {
        let text = frame.to_string();
        let message = match &mut self.stream {
            None => Message::text(text),
            Some(begun) => {
                Message::binary(stored(text.as_bytes(), !std::mem::replace(begun, true)))
            }
        };
        self.socket.send(message).await.or(Err(End::Left(None)))
    }
}

/// A piece of a zlib stream that says the bytes as they are, and ends as a flush does.
fn stored(bytes: &[u8], is_first: bool) -> Vec<u8> {
    let mut out = if is_first { vec![0x78, 0x01] } else { Vec::new() };
    for piece in bytes.chunks(PIECE).chain([&[][..]]) {
        let length = u16::try_from(piece.len()).unwrap();
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(piece);
    }
    out
}

/// Serves a connection until it ends.
pub(super) async fn serve(shared: &Arc<Shared>, asked: &Asked, socket: Socket) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (version, encoding) = (asked.query("v"), asked.query("encoding"));
    if version.is_some_and(|it| it != "10") || encoding.is_some_and(|it| it != "json") {
        return close(socket, 4012, "Invalid API version").await;
    }
    let (sender, mut orders) = mpsc::channel(MAX_WAITING);
    let line = Line { number: NUMBER.fetch_add(1, Ordering::SeqCst), sender };
    let beat = Instant::now();
    let mut talk = Talk { shared: Arc::clone(shared), line, known: None, beat, sent: Vec::new() };
    let stream = (asked.query("compress") == Some("zlib-stream")).then_some(false);
    let mut wire = Wire { socket, stream };
    let end = talk.run(&mut wire, &mut orders).await;
    let code = match &end {
        End::Left(code) => *code,
        End::Close(..) | End::Cut => None,
    };
    if let Some((world, session)) = &talk.known {
        world.lose(session, talk.line.number, code);
    }
    if let End::Close(code, reason) = end {
        close(wire.socket, code, reason).await;
    }
}

impl Talk {
    async fn run(&mut self, wire: &mut Wire, orders: &mut mpsc::Receiver<Say>) -> End {
        let every = *self.shared.heartbeat.lock().unwrap();
        let interval = u64::try_from(every.as_millis()).unwrap();
        let hello = json!({"op": 10, "s": null, "t": null, "d": {"heartbeat_interval": interval, "_trace": []}});
        if let Err(end) = wire.write(&hello).await {
            return end;
        }
        loop {
            let silent = tokio::time::sleep_until((self.beat + every * 2).into());
            let next = tokio::select! {
                order = orders.recv() => match order {
                    Some(Say::Frame(frame)) => wire.write(&frame).await,
                    Some(Say::Close(code, reason)) => Err(End::Close(code, reason)),
                    Some(Say::Cut) | None => Err(End::Cut),
                },
                heard = wire.socket.next() => match heard {
                    Some(Ok(message)) => self.hear(wire, message).await,
                    Some(Err(_)) | None => Err(End::Left(None)),
                },
                () = silent => Err(End::Close(4009, "Session timed out.")),
            };
            if let Err(end) = next {
                return end;
            }
        }
    }

    async fn hear(&mut self, wire: &mut Wire, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(End::Left(frame.map(|it| it.code.into()))),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Binary(_) | Message::Frame(_) => {
                return Err(End::Close(4002, "Error while decoding payload."));
            }
        };
        let frame: Option<Value> = serde_json::from_str(&text).ok();
        let Some(frame) = frame.filter(|_| text.len() <= MAX_FRAME) else {
            return Err(End::Close(4002, "Error while decoding payload."));
        };
        let now = Instant::now();
        self.sent.retain(|it| now.duration_since(*it).as_secs() < 60);
        self.sent.push(now);
        if self.sent.len() > MAX_FRAMES {
            return Err(End::Close(4008, "Rate limited."));
        }
        match (frame["op"].as_u64(), &self.known) {
            (Some(1), _) => self.heart(wire).await,
            (Some(2), None) => self.identify(&frame["d"]),
            (Some(6), None) => self.resume(wire, &frame["d"]).await,
            (Some(2 | 6), Some(_)) => Err(End::Close(4005, "Already authenticated.")),
            (Some(3 | 4 | 8), Some(_)) => Ok(()),
            (Some(3 | 4 | 8), None) => Err(End::Close(4003, "Not authenticated.")),
            _ => Err(End::Close(4001, "Unknown opcode.")),
        }
    }

    async fn heart(&mut self, wire: &mut Wire) -> Result<(), End> {
        self.beat = Instant::now();
        let known = self.known.as_ref();
        if known.is_some_and(|(world, _)| world.state.lock().unwrap().is_deaf) {
            return Ok(());
        }
        wire.write(&json!({"op": 11, "s": null, "t": null, "d": null})).await
    }

    fn world(&self, said: &Value) -> Result<Arc<World>, End> {
        let token = said["token"].as_str().unwrap_or_default();
        self.shared.by_token(token).ok_or(End::Close(4004, "Authentication failed."))
    }

    fn identify(&mut self, said: &Value) -> Result<(), End> {
        let world = self.world(said)?;
        let intents = said["intents"].as_u64().filter(|it| it & !INTENTS == 0);
        let intents = intents.ok_or(End::Close(4013, "Invalid intent(s)."))?;
        if !said["properties"].is_object() {
            return Err(End::Close(4002, "Error while decoding payload."));
        }
        {
            let mut state = world.state.lock().unwrap();
            if intents & state.withheld != 0 {
                return Err(End::Close(4014, "Disallowed intent(s)."));
            }
            state.identified += 1;
            if state.identified > MAX_IDENTIFIED {
                state.is_revoked = true;
                return Err(End::Close(4004, "Authentication failed."));
            }
        }
        let address = format!("ws://{}", self.shared.address);
        let session = world.begin(self.line.clone(), intents, &address);
        self.known = Some((world, session));
        Ok(())
    }

    async fn resume(&mut self, wire: &mut Wire, said: &Value) -> Result<(), End> {
        let world = self.world(said)?;
        let session = said["session_id"].as_str().unwrap_or_default();
        let seq = said["seq"].as_u64().unwrap_or(0);
        match world.resume(self.line.clone(), session, seq) {
            Ok(()) => {
                self.known = Some((world, session.to_owned()));
                Ok(())
            }
            Err(Gone::Ahead) => Err(End::Close(4007, "Invalid seq.")),
            Err(Gone::Unknown) => {
                wire.write(&json!({"op": 9, "s": null, "t": null, "d": false})).await
            }
        }
    }
}
