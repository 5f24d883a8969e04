//! Discord on loopback: its REST API with its limits, its gateway with sessions that are resumed, and
//! interactions that it signs; any number of bots, each in a world of its own. Held against discord.py
//! in `tests/it/networks/discord.rs`.
//!
//! What it leaves out: permissions, roles, voice, more than one shard, and zstd; what is compressed is
//! so in form only. Whoever calls without saying who calls is turned away, as Discord says it does.

mod bot;
mod gateway;
mod interactions;
mod limits;
mod messages;
mod rest;
mod sessions;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::Ed25519KeyPair;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::serve::{Asked, Poster, Server, Side, Socket, Told, poster};
use world::{Is, World};

pub use bot::Bot;
pub use interactions::Interaction;

/// Milliseconds since the epoch at which ids begin.
pub const EPOCH_MS: u128 = 1_420_070_400_000;

/// How often a client must say that it is there, where a test says nothing of it.
pub const HEARTBEAT: Duration = Duration::from_millis(41_250);

/// How long a session without a connection is kept, where a test says nothing of it.
pub const RESUMABLE: Duration = Duration::from_mins(2);

/// How long an interaction may go without a first answer, and how long it may be answered after one.
pub const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// See [`FIRST_ANSWER`].
pub const ANSWERABLE: Duration = Duration::from_mins(15);

/// Sessions that a bot may begin in a day; one more, and Discord takes its token away.
pub const MAX_IDENTIFIED: usize = 1000;

/// Bots of one network.
const MAX_BOTS: usize = 10_000;

/// The network; the last handle dropped, it ends, and all connections with it.
#[derive(Debug, Clone)]
pub struct Discord {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    bots: Mutex<Vec<Arc<World>>>,
    invalid: AtomicUsize,
    heartbeat: Mutex<Duration>,
    poster: Poster,
    tasks: CancellationToken,
}

/// A call of the REST API.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was answered.
    pub at: SystemTime,
    /// Method and path, with a star for each id or token.
    pub route: String,
    /// The path as it came.
    pub path: String,
    /// The body, of a form its `payload_json`; null where it is no JSON.
    pub body: Value,
    /// The status of the answer; 0 where there was none.
    pub status: u16,
}

impl Discord {
    /// Starts it.
    pub async fn start() -> Self {
        let (server, listener) = Server::bind().await;
        let shared = Arc::new(Shared {
            address: server.address,
            bots: Mutex::default(),
            invalid: AtomicUsize::new(0),
            heartbeat: Mutex::new(HEARTBEAT),
            poster: poster(),
            tasks: server.tasks(),
        });
        server.serve(listener, &shared);
        Self { shared, server: Arc::new(server) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What stands in the place of `https://discord.com`; the API is below it in `/api/v10`.
    pub fn root(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What stands in the place of `wss://gateway.discord.gg`.
    pub fn gateway(&self) -> String {
        format!("ws://{}/", self.address())
    }

    /// Has whoever connects from now on say so often that it is there.
    pub fn heartbeat(&self, every: Duration) {
        *self.shared.heartbeat.lock().unwrap() = every;
    }

    /// Answers with 401, 403, or 429 but of a shared limit, to anybody: at ten thousand in ten minutes
    /// Discord shuts out the address from which they were asked for.
    pub fn invalid(&self) -> usize {
        self.shared.invalid.load(Ordering::SeqCst)
    }

    /// A new bot.
    pub fn bot(&self, name: &str) -> Bot {
        let mut bots = self.shared.bots.lock().unwrap();
        assert!(bots.len() < MAX_BOTS, "more bots than any test needs");
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).unwrap();
        let id = snowflake();
        let is = Is {
            name: name.to_owned(),
            token: format!("{}.test.{}", base64(&id), random()),
            id,
            key: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(),
        };
        let world = Arc::new(World::new(is));
        bots.push(Arc::clone(&world));
        Bot::new(Arc::clone(&self.shared), world)
    }
}

/// A new id: a time, and a number of its own.
fn snowflake() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() - EPOCH_MS;
    let number = NUMBER.fetch_add(1, Ordering::SeqCst) % (1 << 22);
    ((millis << 22) | u128::from(number)).to_string()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Thirty-two hexadecimal digits that nobody guesses.
fn random() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

impl Shared {
    fn world(&self, is: impl Fn(&World) -> bool) -> Option<Arc<World>> {
        self.bots.lock().unwrap().iter().find(|it| is(it)).cloned()
    }

    /// The bot whose token that is.
    fn by_token(&self, token: &str) -> Option<Arc<World>> {
        self.world(|it| it.is.token == token && !it.state.lock().unwrap().is_revoked)
    }
}

impl Side for Shared {
    async fn answer(self: Arc<Self>, asked: Asked) -> Told {
        if asked.upgrades {
            return Told::Socket;
        }
        let told = rest::answer(&self, asked).await;
        let shared = "shared";
        let of_all = |reply: &http::Response<bytes::Bytes>| {
            reply.headers().get("x-ratelimit-scope").is_some_and(|it| it == shared)
        };
        let counts = match &told {
            Told::Whole(reply) => !of_all(reply),
            Told::Within(_) | Told::Cut | Told::Socket => true,
        };
        if counts && matches!(told.status(), 401 | 403 | 429) {
            self.invalid.fetch_add(1, Ordering::SeqCst);
        }
        told
    }

    async fn socket(self: Arc<Self>, asked: Asked, socket: Socket) {
        gateway::serve(&self, &asked, socket).await;
    }
}

/// Bytes kept beside a name and a media type.
type Kept = (String, String, Vec<u8>);

/// Ids with what they name.
type Named<T> = BTreeMap<String, T>;
