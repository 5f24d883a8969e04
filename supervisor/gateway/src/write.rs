//! What goes out: items of the outbox in their order, ticks, pings, and the end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt as _, StreamExt as _};
use hub::{Close, Item, Next, Outbox};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::session::{Session, TICK};
use crate::{Ws, frame};

/// Bytes of one fragment: a long message leaves no long buffer behind on its connection.
const FRAGMENT: usize = 64 << 10;

/// How long a client may take to read why its connection ends, and to end it too.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Sends what waits until the connection ends.
pub(crate) async fn run<K>(session: &Session<'_>, sink: &mut K, outbox: &mut Outbox)
where
    K: Sink<Message, Error = WsError> + Unpin,
{
    match tell(session, sink, outbox).await {
        Ok(close) => {
            let said = tokio::time::timeout(LAST_WORD, sink.send(self::close(close))).await;
            if !matches!(said, Ok(Ok(()))) {
                tracing::debug!(reason = close.reason, "a client did not hear why it was cut");
            }
        }
        Err(err) => tracing::debug!(error = %types::Chain(&err), "a client is gone"),
    }
}

async fn tell<K>(session: &Session<'_>, sink: &mut K, outbox: &mut Outbox) -> Result<Close, WsError>
where
    K: Sink<Message, Error = WsError> + Unpin,
{
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at_once = outbox.next().now_or_never();
        let next = if let Some(next) = at_once {
            next
        } else {
            if let Some(close) = unless_cut(outbox, sink.flush()).await? {
                return Ok(close);
            }
            tokio::select! {
                biased;
                next = outbox.next() => next,
                _ = ticks.tick() => {
                    session.tick();
                    let ping = sink.feed(Message::Ping(Bytes::new()));
                    if let Some(close) = unless_cut(outbox, ping).await? {
                        return Ok(close);
                    }
                    continue;
                }
            }
        };
        match next {
            Next::Close(close) => return Ok(close),
            Next::Send(item) => {
                if let Some(close) = unless_cut(outbox, feed(sink, item)).await? {
                    return Ok(close);
                }
            }
        }
    }
}

/// Does it, unless the connection is to end before it is done.
async fn unless_cut(
    outbox: &Outbox,
    done: impl Future<Output = Result<(), WsError>>,
) -> Result<Option<Close>, WsError> {
    tokio::select! {
        biased;
        close = outbox.cut() => Ok(Some(close)),
        done = done => done.map(|()| None),
    }
}

async fn feed<K>(sink: &mut K, item: Item) -> Result<(), WsError>
where
    K: Sink<Message, Error = WsError> + Unpin,
{
    match item {
        Item::Frame(frame) => pieces(sink, [frame]).await,
        Item::Event { event, payload, seq, state_version } => {
            pieces(sink, frame::event(event.wire, payload, seq, state_version)).await
        }
    }
}

/// One message of some pieces, in fragments where it is long.
async fn pieces<K, const N: usize>(sink: &mut K, parts: [Bytes; N]) -> Result<(), WsError>
where
    K: Sink<Message, Error = WsError> + Unpin,
{
    let total: usize = parts.iter().map(Bytes::len).sum();
    if total <= FRAGMENT {
        let whole = match parts.as_slice() {
            [one] => one.clone(),
            parts => parts.concat().into(),
        };
        return sink.feed(data(whole, Data::Text, true)).await;
    }
    let (mut left, mut kind) = (total, Data::Text);
    for mut part in parts {
        while !part.is_empty() {
            let piece = part.split_to(part.len().min(FRAGMENT));
            left -= piece.len();
            sink.feed(data(piece, kind, left == 0)).await?;
            kind = Data::Continue;
        }
    }
    Ok(())
}

fn data(payload: Bytes, kind: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(payload, OpCode::Data(kind), is_final))
}

/// One message on a connection that has no outbox yet.
pub(crate) async fn frame<S, const N: usize>(
    ws: &mut Ws<S>,
    parts: [Bytes; N],
) -> Result<(), WsError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    pieces(ws, parts).await?;
    ws.flush().await
}

pub(crate) fn close(why: Close) -> Message {
    Message::Close(Some(CloseFrame { code: why.code.into(), reason: why.reason.into() }))
}

/// Reads on until the client has ended the connection too: what it was told last would be lost
/// with what it has sent and nobody has read.
pub(crate) async fn linger<S>(ws: &mut Ws<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let over = async {
        while let Some(Ok(_)) = ws.next().await {}
        ws.get_mut().discard().await
    };
    if !matches!(tokio::time::timeout(LAST_WORD, over).await, Ok(Ok(()))) {
        tracing::debug!("a client did not end its connection");
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair() -> (Ws<tokio::io::DuplexStream>, WebSocketStream<tokio::io::DuplexStream>) {
        let (near, far) = tokio::io::duplex(4096);
        let near = crate::meter::Metered::new(near, crate::meter::Meter::strict(1000));
        let server = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        (server, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    #[tokio::test]
    async fn a_long_message_goes_out_in_fragments_and_arrives_whole() {
        let (mut server, mut client) = pair().await;
        for length in [0, 1, FRAGMENT - 10, FRAGMENT, 3 * FRAGMENT + 7] {
            let payload = format!("\"{}\"", "\u{e4}".repeat(length / 2));
            let parts = frame::event("chat", payload.clone().into(), Some(1), None);
            let (sent, got) = tokio::join!(frame(&mut server, parts), client.next());
            sent.unwrap();
            let want = format!(r#"{{"type":"event","event":"chat","payload":{payload},"seq":1}}"#);
            assert_eq!(got.unwrap().unwrap().into_text().unwrap().as_str(), want, "{length}");
        }
    }

    #[tokio::test]
    async fn an_end_is_heard_by_who_still_sends() {
        let (mut server, mut client) = pair().await;
        let serving = async {
            while let Some(Ok(_)) = server.next().await {}
            server.send(close(Close::SLOW)).await.unwrap();
            linger(&mut server).await;
        };
        let sending = async {
            client.send(Message::text("x".repeat(100_000))).await.unwrap();
            match client.next().await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    assert_eq!(
                        (u16::from(frame.code), frame.reason.as_str()),
                        (1008, "slow consumer")
                    );
                }
                other => panic!("no close frame: {other:?}"),
            }
            drop(client);
        };
        tokio::join!(serving, sending);
    }
}
