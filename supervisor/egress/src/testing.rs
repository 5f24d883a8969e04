//! Hosts on loopback with a name server of their own, for the tests of this crate. Loopback is
//! opened by a constructor that no configuration reaches.

mod farm;
mod names;

use std::sync::{Arc, Mutex};

use ledger::{Account, Ledger, MemoryJournal};
use prometheus_client::registry::Registry;
use runtime::Tasks;
use serde_json::{Value, json};
use types::{Clock, Limits, ManualClock};

use crate::address::Networks;
use crate::{Broker, Config, Journal, Outlet};

pub(crate) use farm::{Answer, Farm, client_config, ok, text};
pub(crate) use names::{Names, Zone};

/// One tenant's way out, and what was written into its log.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) account: Arc<Account>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) names: Names,
    pub(crate) tasks: Tasks,
}

#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Journal for Notes {
    fn note(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Notes {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl House {
    /// Every name leads to loopback, which is open.
    pub(crate) async fn build() -> Self {
        Self::with(|_, _| vec!["127.0.0.1".parse().unwrap()], |_| ()).await
    }

    /// As the operator has it: loopback is closed.
    pub(crate) async fn closed(zone: impl Zone) -> Self {
        Self::with(zone, |config| config.networks = Networks::default()).await
    }

    pub(crate) async fn with(zone: impl Zone, change: impl FnOnce(&mut Config)) -> Self {
        let tasks = Tasks::default();
        let names = Names::serve(zone, &tasks).await;
        let mut config = Config {
            resolver: Some(names.address),
            networks: Networks::unchecked("127.0.0.0/8"),
            authorities: include_bytes!("testing/authority.pem").to_vec(),
            ..Config::default()
        };
        change(&mut config);
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let broker = Broker::new(config, time, &mut Registry::default(), tasks.clone()).unwrap();
        let notes = Arc::new(Notes::default());
        let books = Arc::new(MemoryJournal::default());
        let ledger = Arc::new(Ledger::new(books, &[], clock.now()));
        let tenant = "acme".parse().unwrap();
        let account = Account::new(&ledger, tenant, &Limits::default(), clock.now());
        let account = Arc::new(account);
        let outlet = broker.outlet(Arc::<Notes>::clone(&notes), Arc::clone(&account));
        Self { broker, outlet, account, notes, clock, names, tasks }
    }

    pub(crate) fn allow(&self, rules: &[String]) {
        self.settle(rules, &json!({}));
    }

    pub(crate) fn settle(&self, rules: &[String], settings: &Value) {
        let rules: Vec<_> = rules.iter().map(|it| it.parse().unwrap()).collect();
        self.outlet.set(self.broker.rules(&rules, settings.to_string().as_bytes()));
    }
}
