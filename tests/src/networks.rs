//! Counterparts of the channels: networks on loopback that a test decides over. Genuine servers where
//! there is one to be had, and our own where the network is closed: those are held against the
//! vendor's library in `tests/it/networks/` before anything of ours is held against them.

mod between;
pub mod discord;
mod fork;
pub mod ircd;
mod receiver;
mod script;
pub(crate) mod serve;
pub mod slack;
pub mod synapse;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use between::{Between, Fate, Side};
pub use fork::Fork;
pub use receiver::{Came, Receiver, Says};
pub use script::Script;
pub use serve::Failure;

/// How long a counterpart may take for anything on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at whether something has come about.
const LOOK: Duration = Duration::from_millis(5);

/// Where the scripts and what they need are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("networks")
}

/// A program of the environment that `make networks` makes.
pub fn tool(name: &str) -> PathBuf {
    let path = folder().join("venv/bin").join(name);
    assert!(path.exists(), "no {}: run `make networks`", path.display());
    path
}

/// Waits until `look` finds something, and gives it.
pub async fn found<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(it) = look() {
            return it;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// An address on loopback that was free a moment ago: whoever starts a server there tries again with
/// another where somebody was faster.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
