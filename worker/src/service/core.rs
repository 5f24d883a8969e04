//! What every operation of a worker may use.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use runtime::Tasks;
use runtime::pair::Client;
use types::{Clock, UnixMillis};

use crate::adopted::Adopted;
use crate::agent::Desk;
use crate::archive::Exporting;
use crate::channels::{Aside, Order};
use crate::cron::Cron;
use crate::events::Events;
use crate::heartbeat::Pulse;
use crate::memory::Memory;
use crate::openai::Models;
use crate::runs::Runs;
use crate::settings::Live;
use crate::skills::Cache;
use crate::store::Store;
use crate::tools::{Programs, Spawns};
use crate::upcalls::{Attachments, Egress, Llm, Outbox, Sandbox, Timers};

/// How often one looks whether a connection is broken, and how many times: by then it is known.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 10;

/// What every operation may use. Clones are handles to the same things.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) store: Store,
    host: Client,
    pub(crate) llm: Llm,
    pub(crate) sandbox: Sandbox,
    pub(crate) egress: Egress,
    pub(crate) outbox: Outbox,
    pub(crate) attachments: Attachments,
    /// In which order conversations at networks are answered.
    pub(crate) answers: Order,
    /// Files that wait to be sent.
    pub(crate) aside: Aside,
    pub(crate) programs: Programs,
    pub(crate) memory: Memory,
    pub(crate) runs: Runs,
    pub(crate) tasks: Tasks,
    pub(crate) events: Events,
    pub(crate) live: Live,
    pub(crate) skills: Cache,
    pub(crate) desk: Desk,
    pub(crate) adopted: Arc<Adopted>,
    pub(crate) cron: Arc<Cron>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) spawns: Spawns,
    /// Held by whoever remembers an idempotency key of a hook.
    pub(crate) hook_keys: Arc<tokio::sync::Mutex<()>>,
    pub(crate) exporting: Exporting,
    /// Set by `Start`.
    pub(super) models: Arc<OnceLock<Models>>,
    pub(crate) started_at: UnixMillis,
}

impl Core {
    /// On the tenant's root. `host` is pair B; turns are tasks of `tasks`.
    pub(super) fn new(root: PathBuf, host: Client, clock: Arc<dyn Clock>, tasks: &Tasks) -> Self {
        let started_at = clock.now();
        let live = Live::default();
        let store = Store::new(root, clock, live.clone());
        let cron = Arc::new(Cron::new(Timers::new(host.clone())));
        let (sandbox, egress) = (Sandbox::new(host.clone()), Egress::new(host.clone()));
        let (outbox, attachments) = (Outbox::new(host.clone()), Attachments::new(host.clone()));
        let connection = host.clone();
        let (llm, runs, tasks) = (Llm::new(host), Runs::default(), tasks.clone());
        let events = Events::default();
        let models = Arc::default();
        Self {
            store,
            host: connection,
            llm,
            sandbox,
            egress,
            outbox,
            attachments,
            answers: Order::default(),
            aside: Aside::default(),
            programs: Programs::default(),
            memory: Memory::default(),
            runs,
            tasks,
            events,
            live,
            skills: Cache::default(),
            desk: Desk::default(),
            adopted: Arc::default(),
            cron,
            pulse: Arc::default(),
            spawns: Spawns::default(),
            hook_keys: Arc::default(),
            exporting: Exporting::default(),
            models,
            started_at,
        }
    }

    /// The models that this tenant may use; none before `Start`.
    pub(crate) fn models(&self) -> &Models {
        static NONE: LazyLock<Models> = LazyLock::new(Models::default);
        self.models.get().unwrap_or(&NONE)
    }

    /// Whether this process is about to end: it was told so, or the supervisor is gone, which ends it.
    pub(crate) async fn is_ending(&self) -> bool {
        if self.runs.is_stopping() {
            return true;
        }
        // What fails because the connection breaks may be noticed a moment before that it has.
        let mut looks = tokio::time::interval(LOOK);
        for _ in 0..LOOKS {
            looks.tick().await;
            if self.host.is_closed() || self.runs.is_stopping() {
                return true;
            }
        }
        false
    }
}
