//! Synapse, the homeserver, on a loopback port: people of it, their rooms, and what is said there.
//! Nothing is replaced but the limits on how often somebody may ask, which a test sets where it wants
//! them.

mod person;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::LOOK;
use crate::client::Client;

pub use person::Person;

/// What stands behind the colon of every id.
pub const NAME: &str = "matrix.test";

/// Whoever knows it makes users.
const SHARED: &str = "whoever knows this makes users";

/// How long one start may take: seconds where nothing else is done, and many times that where all is.
const STARTING: Duration = Duration::from_mins(3);

/// How often it is started on another port before that is given up.
const STARTS: usize = 5;

/// How often one may ask, where a test says nothing else of it: as often as one likes.
const UNLIMITED: [&str; 11] = [
    "rc_message",
    "rc_registration",
    "rc_room_creation",
    "rc_admin_redaction",
    "rc_login.address",
    "rc_login.account",
    "rc_joins.local",
    "rc_joins_per_room",
    "rc_invites.per_room",
    "rc_invites.per_user",
    "rc_media_create",
];

/// Where its data is, if there is that much room: what a disk costs is of no interest here, and a process that is
/// killed leaves its files behind there as well.
const MEMORY: (&str, u64) = ("/dev/shm", 4 << 30);

/// The one that several tests of one process share, as long as one of them has it.
static SHARED_ONE: Mutex<Weak<Inner>> = Mutex::new(Weak::new());

/// The server; the last handle dropped, it is killed.
#[derive(Debug, Clone)]
pub struct Synapse {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    child: Mutex<Child>,
    state: TempDir,
    address: SocketAddr,
    took: Duration,
    users: AtomicUsize,
}

impl Synapse {
    /// Starts one, and waits until it answers: some seconds.
    pub async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// The same with other settings beside the usual, or in their place: top-level members of
    /// `homeserver.yaml`. With `{"rc_message": {"per_second": 0.2, "burst_count": 3}}` it answers 429.
    pub async fn start_with(more: Value) -> Self {
        for _ in 0..STARTS {
            if let Some(server) = Self::started(&more).await {
                return server;
            }
        }
        panic!("no server in {STARTS} starts");
    }

    /// The one that the tests of this process share: started where there is none.
    pub async fn shared() -> Self {
        if let Some(inner) = SHARED_ONE.lock().unwrap().upgrade() {
            return Self { inner };
        }
        let server = Self::start().await;
        let mut shared = SHARED_ONE.lock().unwrap();
        if let Some(inner) = shared.upgrade() {
            return Self { inner };
        }
        *shared = Arc::downgrade(&server.inner);
        server
    }

    async fn started(more: &Value) -> Option<Self> {
        let begun = Instant::now();
        let (state, address) = (folder(), super::free());
        configure(state.path(), address, more);
        let child = Mutex::new(spawn(state.path()));
        let users = AtomicUsize::new(0);
        let mut inner = Inner { child, state, address, took: Duration::ZERO, users };
        if !inner.answers().await {
            return None;
        }
        inner.took = begun.elapsed();
        Some(Self { inner: Arc::new(inner) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Its address as a base of the client-server API.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.inner.child.lock().unwrap().id().try_into().unwrap()
    }

    /// How long the start took.
    pub fn took(&self) -> Duration {
        self.inner.took
    }

    /// Kills it, as a cut of power would.
    pub fn kill(&self) {
        let mut child = self.inner.child.lock().unwrap();
        drop(child.kill());
        child.wait().unwrap();
    }

    /// Starts it again over the same data, and waits until it answers.
    pub async fn restart(&self) {
        *self.inner.child.lock().unwrap() = spawn(self.inner.state.path());
        assert!(self.inner.answers().await, "{}", self.inner.log());
    }

    /// A new person: `name` and a number of its own, so that tests that share the server share nobody.
    pub async fn person(&self, name: &str) -> Person {
        let number = self.inner.users.fetch_add(1, Ordering::SeqCst);
        let name = format!("{name}-{number}");
        let path = "/_synapse/admin/v1/register";
        let client = Client::new(self.inner.address, None);
        let nonce = client.get(path).await.json()["nonce"].as_str().unwrap().to_owned();
        let password = format!("password of {name}");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SHARED.as_bytes());
        let signed = [nonce.as_str(), &name, &password, "notadmin"].join("\0");
        let mac = hmac::sign(&key, signed.as_bytes());
        let mac = mac.as_ref().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let body = json!({"nonce": nonce, "username": name, "password": password, "admin": false, "mac": mac});
        let reply = client.post(path, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Person::new(self.inner.address, &password, &reply.json())
    }
}

impl Inner {
    /// Whether it answers before it ends or all patience does.
    async fn answers(&self) -> bool {
        let begun = Instant::now();
        let client = Client::new(self.address, None);
        while begun.elapsed() < STARTING {
            if self.child.lock().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            let health = client.try_open(Method::GET, "/health", Bytes::new()).await;
            if health.is_ok_and(|it| it.status() == 200) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("it does not answer: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        drop(child.kill());
        drop(child.wait());
    }
}

/// Where its data is.
fn folder() -> TempDir {
    let (memory, room) = MEMORY;
    let free = nix::sys::statvfs::statvfs(memory);
    let is_there = free.is_ok_and(|it| it.blocks_available() * it.fragment_size() >= room);
    if is_there { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Writes its files: JSON, which is YAML as well.
fn configure(state: &Path, address: SocketAddr, more: &Value) {
    let at = |name: &str| state.join(name).to_str().unwrap().to_owned();
    let resources = json!([{"names": ["client", "media"], "compress": false}]);
    let listener = json!({
        "port": address.port(), "type": "http", "bind_addresses": ["127.0.0.1"],
        "resources": resources,
    });
    let mut config = json!({
        "server_name": NAME,
        "public_baseurl": format!("http://{address}/"),
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": at("db")}},
        "media_store_path": at("media"),
        "signing_key_path": at("key"),
        "log_config": at("log.yaml"),
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "report_stats": false,
        "registration_shared_secret": SHARED,
        "macaroon_secret_key": "a secret of the tests",
        "form_secret": "another secret of the tests",
        // What passwords cost is of no interest here.
        "bcrypt_rounds": 4,
        // Nor is what it works out for phones, searches and statistics, with every message.
        "presence": {"enabled": false},
        "push": {"enabled": false},
        "stats": {"enabled": false},
        "enable_search": false,
        // A sixth of its time goes into looking for garbage else: objects between two looks at the young, and
        // those between two at the older.
        "gc_thresholds": [1_000_000, 100, 100],
    });
    let unlimited = json!({"per_second": 100_000, "burst_count": 100_000});
    for name in UNLIMITED {
        match name.split_once('.') {
            Some((group, name)) => config[group][name] = unlimited.clone(),
            None => config[name] = unlimited.clone(),
        }
    }
    let more: serde_json::Map<_, _> = serde_json::from_value(more.clone()).unwrap();
    config.as_object_mut().unwrap().extend(more);
    let root = json!({"level": "WARNING", "handlers": ["console"]});
    let console = json!({"class": "logging.StreamHandler"});
    let log = json!({"version": 1, "handlers": {"console": console}, "root": root});
    std::fs::write(state.join("log.yaml"), log.to_string()).unwrap();
    std::fs::write(state.join("homeserver.yaml"), config.to_string()).unwrap();
    // A key of 32 bytes in base64 without padding; it signs for nobody but this server.
    std::fs::write(state.join("key"), format!("ed25519 a_test {}\n", "a2".repeat(21) + "M"))
        .unwrap();
}

fn spawn(state: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(state.join("log")).unwrap();
    let mut command = Command::new(super::tool("python"));
    command.args(["-m", "synapse.app.homeserver", "-c"]).arg(state.join("homeserver.yaml"));
    command.current_dir(state).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}
