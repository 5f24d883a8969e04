//! The accounts at chat networks that there are, and that they run: connections with their secrets, tasks
//! with an owner, what is known of their health, and everything that is done with an account.
//!
//! What a network says and how it is spoken to is `channels`; who is woken by it is `tenants`.

mod add;
mod address;
mod bridge;
mod budget;
mod error;
mod health;
mod keeper;
mod lined;
mod lines;
mod manage;
mod pages;
mod pair;
mod run;
mod secrets;
mod socket;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use channels::sink::Shared;
use channels::{Inbound, Ways, intake};
use egress::Outlet;
use http::HeaderMap;
use records::Records;
use runtime::Tasks;
use settings::Settings;
use tenants::Tenants;
use types::Clock;

pub use add::{Added, New, is_address};
pub use channels::Reply;
pub use error::Error;
pub use health::Health;
pub use pages::{MAX_REQUEST, Page, Visit, Words};
pub use pair::{Code, Wanted};
pub use view::{Tested, View, Waiting};

use budget::Budget;
use health::Watch;
use keeper::Keep;
use lines::Reach;
use pages::{Pages, Recording};
use run::Running;
use secrets::Opener;

/// What the operator says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where a network is called instead of at its own address, by the network's name: reached whatever
    /// its address is.
    pub roots: BTreeMap<String, String>,
    /// Where the gateway is reached from outside, without a slash at its end. Without it nobody is told
    /// where events are to come.
    pub public_url: Option<String>,
}

/// What [`Accounts`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// What the operator says.
    pub config: Config,
    /// Where accounts are kept.
    pub records: Records,
    /// Where their secrets are sealed.
    pub settings: Settings,
    /// Who is woken.
    pub tenants: Tenants,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The scope in which every account's tasks run.
    pub tasks: Tasks,
}

/// Every account. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    records: Records,
    settings: Settings,
    tenants: Tenants,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    inbound: Inbound,
    lines: Arc<Reach>,
    pages: Arc<Pages>,
    watch: Arc<Watch>,
    /// What brings messages, by network.
    sending: HashMap<&'static str, Arc<Shared>>,
    /// The tasks of each account that runs.
    running: Arc<Running>,
    /// Held while an account's tasks are begun or ended.
    settling: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Connects every account that is to be, and is from now on who speaks with networks for tenants.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        let Parts { config, records, settings, tenants, clock, tasks } = parts;
        let running = Arc::new(Running::default());
        let watch = Watch::new(tenants.clone(), Arc::clone(&clock), Arc::clone(&running));
        let watch = Arc::new(watch);
        let own: Arc<Outlet> = tenants.own_way_out();
        let pages = Arc::new(Pages::new(records.clone(), settings.clone(), Arc::clone(&clock)));
        let lines = Arc::new(Reach::new(
            config.roots.clone(),
            settings.clone(),
            tenants.clone(),
            (own, Arc::clone(&pages)),
            Arc::clone(&clock),
        ));
        let secrets = Arc::new(Opener(settings.clone()));
        let keep = Keep {
            settings: settings.clone(),
            tenants: tenants.clone(),
            lines: Arc::clone(&lines),
            budget: Budget::default(),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            typing: Arc::new(tokio::sync::Semaphore::new(keeper::MAX_TYPING)),
        };
        let (shown, of) = (Arc::clone(&pages), tenants.clone());
        let inbound = Inbound::new(Ways {
            intake: intake::Intake::new(records.clone(), secrets, Arc::clone(&clock)),
            keeper: Arc::new(Recording::new(keep, shown, of, tasks.clone())),
            lines: Arc::<Reach>::clone(&lines),
            watcher: Arc::<Watch>::clone(&watch),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
        });
        let sending = sending(&records, &lines, &watch, &clock);
        let accounts = Self(Arc::new(Inner {
            config,
            records,
            settings,
            tenants,
            clock,
            tasks,
            inbound,
            lines,
            pages,
            watch,
            sending,
            running,
            settling: tokio::sync::Mutex::default(),
        }));
        accounts.0.tenants.connect(Arc::new(bridge::Bridge(Arc::downgrade(&accounts.0))));
        accounts.begin().await?;
        Ok(accounts)
    }

    /// A request to an address of an account, and what it is answered. Strangers learn nothing by it.
    pub async fn request(
        &self,
        channel: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Reply {
        self.0.inbound.request(channel, path, headers, body).await
    }
}

/// What brings messages, of each network.
fn sending(
    records: &Records,
    lines: &Arc<Reach>,
    watch: &Arc<Watch>,
    clock: &Arc<dyn Clock>,
) -> HashMap<&'static str, Arc<Shared>> {
    let shared = |adapter: &&'static dyn channels::Adapter| {
        let shared = Shared::new(
            records.clone(),
            Arc::<Reach>::clone(lines),
            Arc::<Watch>::clone(watch),
            Arc::clone(clock),
        );
        (adapter.network().is.name, Arc::new(shared))
    };
    channels::ALL.iter().map(shared).collect()
}
