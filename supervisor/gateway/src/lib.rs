//! `OpenClaw`'s protocol over one WebSocket: handshake, frames, events.
//!
//! Reads the envelope of a frame and passes parameters and results on as bytes; what a method does
//! is decided in `methods`.

mod admit;
pub mod connect;
pub mod frame;
mod handshake;
mod hello;
mod meter;
pub mod origin;
mod read;
mod refusal;
mod session;
mod write;

use std::net::IpAddr;
use std::sync::Arc;

use auth::{Auth, Principal};
use hub::Hub;
use methods::Methods;
use runtime::Tasks;
use tenants::Tenants;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use types::{Clock, UnixMillis};

use meter::{Meter, Metered, Pools};

/// Bytes of the one frame that a client may send before it is known.
pub const MAX_STRANGER: usize = 64 << 10;

/// Bytes of one frame of a known client. A worker's pair takes a little more.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// Bytes that are read at once: most frames are shorter, and there are thousands of connections.
const READ_BUFFER: usize = 8 << 10;

/// Bytes that are collected before they are written.
const WRITE_BUFFER: usize = 16 << 10;

/// Bytes that may be collected: a fragment and what stands around it.
const MAX_WRITE_BUFFER: usize = 256 << 10;

const _: () = assert!(MAX_PAYLOAD < runtime::limits::MAX_BODY);

/// The gateway's WebSocket side. Clones are the same.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auth: Auth,
    hub: Hub,
    methods: Methods,
    tenants: Tenants,
    clock: Arc<dyn Clock>,
    version: &'static str,
    started_at: UnixMillis,
    allowed_origins: Vec<String>,
    tasks: Tasks,
    pools: Pools,
}

/// What the gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who calls, and may they.
    pub auth: Auth,
    /// Live connections.
    pub hub: Hub,
    /// Who answers methods.
    pub methods: Methods,
    /// Whether a worker is awake.
    pub tenants: Tenants,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What clients are told.
    pub version: &'static str,
    /// Pages beside the gateway's own that may connect, as `https://host[:port]`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Owns what outlives a connection for a moment.
    pub tasks: Tasks,
}

/// One upgraded connection.
pub struct Socket<S> {
    /// The stream, from the first byte after the upgrade on.
    pub stream: S,
    /// The path of the upgrade.
    pub path: String,
    /// Its `Host`.
    pub host: Option<String>,
    /// Its `Origin`, which only browsers send.
    pub origin: Option<String>,
    /// The address at the far end.
    pub peer: IpAddr,
    /// Whether the gateway is not ready yet.
    pub starting: bool,
    /// Counts the connection as its tenant's, or says why it cannot be one more.
    pub claim: Claim,
}

/// Counts a connection as its tenant's, or says why it cannot be one more.
pub type Claim = Box<dyn Fn(&Principal) -> Result<(), String> + Send + Sync>;

impl<S> std::fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The socket, as the rest of this crate sees it.
type Ws<S> = WebSocketStream<Metered<S>>;

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            started_at: parts.clock.now(),
            auth: parts.auth,
            hub: parts.hub,
            methods: parts.methods,
            tenants: parts.tenants,
            clock: parts.clock,
            version: parts.version,
            allowed_origins: parts.allowed_origins,
            tasks: parts.tasks,
            pools: Pools::default(),
        }))
    }

    /// Serves one connection until either side ends it, or `stopping` resolves.
    pub async fn serve<S>(&self, socket: Socket<S>, stopping: impl Future<Output = ()> + Send)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let meter = Meter::strict(MAX_STRANGER);
        let Socket { stream, path, host, origin, peer, starting, claim } = socket;
        let from = handshake::From { path, host, origin, peer, starting, claim };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_message_size(Some(MAX_PAYLOAD))
            .max_frame_size(Some(MAX_PAYLOAD));
        let stream = Metered::new(stream, meter.clone());
        let mut ws = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let mut stopping = std::pin::pin!(stopping);
        let entered = tokio::select! {
            biased;
            () = &mut stopping => None,
            entered = Box::pin(handshake::shake(&self.0, &mut ws, &from)) => entered,
        };
        match entered {
            Some(entered) => {
                meter.open(self.0.pools.of(entered.connection.tenant()));
                session::run(&self.0, ws, &meter, entered, stopping).await;
            }
            None => write::linger(&mut ws).await,
        }
    }
}

/// The answer to a client's `Sec-WebSocket-Key`.
pub fn accept_key(key: &[u8]) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(key)
}
