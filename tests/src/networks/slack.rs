//! Slack on loopback: its Web API, events over HTTP with its signatures and retries, and Socket Mode;
//! any number of apps, each in a workspace of its own. Held against Slack's own library in
//! `tests/it/networks/slack.rs`.
//!
//! What it leaves out: blocks are kept and not looked into; nothing expires by itself; an app is in
//! every room; the tiers of the API are not kept, but a pace for each room where a test asks for it.

mod app;
mod deliver;
mod files;
mod socket;
mod web;
mod workspace;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::serve::{self, Asked, Poster, Server, Side, Socket, Told, poster};
use workspace::{Is, Workspace};

pub use app::App;

/// How long Slack waits for an answer to an event.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// How long it waits before each retry of an event.
pub const GAPS: [Duration; 3] = [Duration::ZERO, Duration::from_mins(1), Duration::from_mins(5)];

/// Apps of one network.
const MAX_APPS: usize = 10_000;

/// The network; the last handle dropped, it ends, and all connections with it.
#[derive(Debug, Clone)]
pub struct Slack {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    apps: Mutex<BTreeMap<String, Arc<Workspace>>>,
    poster: Poster,
    tasks: CancellationToken,
}

/// A call of a method of the Web API.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was answered.
    pub at: SystemTime,
    /// The method.
    pub method: String,
    /// What it was given to know.
    pub args: Value,
    /// The status of the answer; 0 where there was none.
    pub status: u16,
}

/// An attempt to deliver something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The `event_id`, or the `trigger_id` of a command.
    pub event: String,
    /// 0 for the first.
    pub number: u32,
    /// Why it is a retry, as Slack says it.
    pub reason: Option<&'static str>,
    /// The status of the answer, 200 for an acknowledgement through a socket; 0 where none came in
    /// time.
    pub status: u16,
    /// The body of the answer, or what came with the acknowledgement.
    pub answer: String,
}

impl Attempt {
    /// Whether Slack is content.
    pub const fn is_taken(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

impl Slack {
    /// Starts it.
    pub async fn start() -> Self {
        let (server, listener) = Server::bind().await;
        let shared = Arc::new(Shared {
            address: server.address,
            apps: Mutex::default(),
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

    /// What stands in the place of `https://slack.com`; the API is below it in `/api/`.
    pub fn root(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Installs a new app in a workspace of its own.
    pub fn app(&self, name: &str) -> App {
        let mut apps = self.shared.apps.lock().unwrap();
        assert!(apps.len() < MAX_APPS, "more apps than any test needs");
        let number = apps.len() + 1;
        let id = |letter: &str| format!("{letter}0APP{number:05}");
        let is = Is {
            name: name.to_owned(),
            app: id("A"),
            team: id("T"),
            user: id("U"),
            bot: id("B"),
            bot_token: format!("xoxb-{}", random()),
            app_token: format!("xapp-1-{}-{}", id("A"), random()),
            secret: random(),
        };
        let workspace = Arc::new(Workspace::new(is));
        apps.insert(workspace.is.team.clone(), Arc::clone(&workspace));
        App::new(Arc::clone(&self.shared), workspace)
    }
}

/// Thirty-two hexadecimal digits that nobody guesses.
fn random() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

impl Shared {
    fn by_team(&self, team: &str) -> Option<Arc<Workspace>> {
        self.apps.lock().unwrap().get(team).cloned()
    }

    fn by_token(&self, token: &str) -> Option<Arc<Workspace>> {
        let apps = self.apps.lock().unwrap();
        let has = |it: &&Arc<Workspace>| it.is.bot_token == token || it.is.app_token == token;
        apps.values().find(has).cloned()
    }

    /// The workspace for whose socket that ticket was given; it is good once.
    fn by_ticket(&self, ticket: &str) -> Option<Arc<Workspace>> {
        let apps = self.apps.lock().unwrap();
        apps.values().find(|it| it.state.lock().unwrap().tickets.remove(ticket)).cloned()
    }
}

impl Side for Shared {
    async fn answer(self: Arc<Self>, asked: Asked) -> Told {
        if let Some(method) = asked.path.strip_prefix("/api/") {
            let method = method.to_owned();
            return web::answer(&self, &method, asked).await;
        }
        let path = asked.path.as_str();
        if path.starts_with("/upload/v1/") {
            files::bring(&self, &asked)
        } else if path.starts_with("/files-pri/") {
            files::fetch(&self, &asked).await
        } else if path == "/link/" && asked.upgrades {
            Told::Socket
        } else {
            Told::failure(404, Vec::new(), "not found".to_owned())
        }
    }

    async fn socket(self: Arc<Self>, asked: Asked, socket: Socket) {
        match asked.query("ticket").and_then(|it| self.by_ticket(it)) {
            Some(workspace) => socket::serve(workspace, socket).await,
            None => serve::close(socket, 1008, "the ticket is used or unknown").await,
        }
    }
}
