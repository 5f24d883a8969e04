//! A WebSocket over a connection that was checked.

use async_trait::async_trait;
use channels::{Heard, Wire};
use egress::Stream;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Bytes of one frame: the longest that a network has.
const MAX_FRAME: usize = 1 << 20;

/// An open socket.
pub(crate) struct Socket(WebSocketStream<Stream>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket(..)")
    }
}

/// Shakes hands with whoever is at the other end of `stream`.
///
/// # Errors
/// When there is no WebSocket, with why.
pub(crate) async fn open(address: &str, stream: Stream) -> Result<Socket, String> {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MAX_FRAME);
    config.max_frame_size = Some(MAX_FRAME);
    let shaken = tokio_tungstenite::client_async_with_config(address, stream, Some(config)).await;
    shaken.map(|(socket, _)| Socket(socket)).map_err(|err| format!("no WebSocket: {err}"))
}

#[async_trait]
impl Wire for Socket {
    async fn next(&mut self) -> Heard {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Heard::Frame(text.as_bytes().to_vec()),
            Some(Ok(Message::Binary(bytes))) => Heard::Frame(bytes.to_vec()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Heard::Pulse,
            Some(Ok(Message::Close(frame))) => Heard::Ended(frame.map(|it| it.code.into())),
            Some(Err(_)) | None => Heard::Ended(None),
        }
    }

    async fn say(&mut self, frame: Vec<u8>) {
        let Ok(text) = Utf8Bytes::try_from(frame) else { return };
        if let Err(err) = self.0.send(Message::Text(text)).await {
            // Heard by what comes next, or by its not coming.
            tracing::debug!(error = %types::Chain(&err), "a frame was not sent");
        }
    }

    async fn end(&mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::default() };
        if let Err(err) = self.0.close(Some(frame)).await {
            tracing::debug!(error = %types::Chain(&err), "a socket was ended already");
        }
    }
}
