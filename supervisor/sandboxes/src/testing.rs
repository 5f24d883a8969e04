//! One tenant over a launcher that runs nothing: a thread plays the init of each sandbox by a script,
//! over the descriptors that a real one gets.

use std::collections::HashMap;
use std::fs::File;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use egress::{Broker, Journal};
use hub::{Client, Connection, Hub, Outbox, Role, Spec};
use ledger::{Account, Ledger, MemoryJournal};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use prometheus_client::registry::Registry;
use records::Records;
use runtime::Tasks;
use sandbox::{Exit, RunFds, RunOrder, Started, Status, WorkerUsage};
use serde_json::{Value, json};
use settings::{Platform, SealKey, Settings};
use types::{Limits, ManualClock, Scope, TenantId};

use crate::approvals::Office;
use crate::error::Bound;
use crate::launch::Launch;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::programs::{Owner, Programs};
use crate::{Bounds, Inner};

pub(crate) const NOW: u64 = 1_800_000_000_000;

/// What one sandbox does between its order and its end.
pub(crate) type Script = fn(&mut Stage);

/// The far ends of one sandbox.
pub(crate) struct Stage {
    pub(crate) stdin: File,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
    status: OwnedFd,
    /// Says so when it is killed.
    pub(crate) killed: Receiver<()>,
}

/// A launcher that runs scripts.
#[derive(Debug)]
pub(crate) struct Fake {
    script: Script,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) orders: Vec<RunOrder>,
    pub(crate) killed: Vec<u64>,
    /// What the kernel killed in each.
    pub(crate) oom_kills: u64,
    playing: HashMap<u64, (Sender<()>, JoinHandle<()>)>,
}

/// A tenant's log that a test reads.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

/// One tenant with its programs.
pub(crate) struct World {
    pub(crate) programs: Arc<Programs>,
    pub(crate) fake: Arc<Fake>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) books: Arc<MemoryJournal>,
    pub(crate) hub: Hub,
    pub(crate) tasks: Tasks,
}

impl Stage {
    /// Says that it is ready, and waits for the word.
    pub(crate) fn ready(&self) {
        self.say(&[0], None);
        assert_eq!(self.told(), [0]);
    }

    /// The same with a terminal, whose slave it gives.
    pub(crate) fn ready_terminal(&self) -> File {
        let pair = nix::pty::openpty(None, None).unwrap();
        self.say(&[0], Some(&pair.master));
        assert_eq!(self.told(), [0]);
        File::from(pair.slave)
    }

    /// Refuses at this step, and waits for its end.
    pub(crate) fn refused(&self, step: &str, errno: i32) {
        self.refuse(step, errno);
        self.killed.recv().unwrap();
    }

    fn refuse(&self, step: &str, errno: i32) {
        let record = [&[1], &errno.to_le_bytes()[..], step.as_bytes()].concat();
        self.say(&record, None);
    }

    pub(crate) fn end(&self, code: i32, signal: i32) {
        self.say(&[&[2], &code.to_le_bytes()[..], &signal.to_le_bytes()].concat(), None);
    }

    /// What the supervisor says next; nothing where it is gone.
    pub(crate) fn told(&self) -> Vec<u8> {
        let mut record = [0; 16];
        let length = recv(self.status.as_raw_fd(), &mut record, MsgFlags::empty()).unwrap_or(0);
        record[..length].to_vec()
    }

    fn say(&self, record: &[u8], master: Option<&OwnedFd>) {
        let sent: Vec<_> = master.iter().map(|it| it.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&sent)];
        let rights = if sent.is_empty() { &[][..] } else { &rights };
        let status = self.status.as_raw_fd();
        sendmsg::<()>(status, &[IoSlice::new(record)], rights, MsgFlags::empty(), None).unwrap();
    }
}

impl Launch for Fake {
    fn run(&self, order: &RunOrder, fds: RunFds) -> Result<Started, sandbox::Error> {
        let mut state = self.state.lock().unwrap();
        state.orders.push(order.clone());
        let id = u64::try_from(state.orders.len()).unwrap();
        let (kill, killed) = channel();
        let mut far = Stage {
            stdin: fds.stdin.into(),
            stdout: fds.stdout.into(),
            stderr: fds.stderr.into(),
            status: fds.status,
            killed,
        };
        let script = self.script;
        state.playing.insert(id, (kill, std::thread::spawn(move || script(&mut far))));
        Ok(Started { id, pid: 1, pidfd: fds.spec, listener: None })
    }

    fn usage(&self, _: u64) -> Result<WorkerUsage, sandbox::Error> {
        let (pss_bytes, memory_current) = (None, None);
        Ok(WorkerUsage { pss_bytes, memory_current, cpu_micros: 42_000, oom_kills: 0 })
    }

    fn kill(&self, id: u64) -> Result<Exit, sandbox::Error> {
        let mut state = self.state.lock().unwrap();
        let (kill, playing) = state.playing.remove(&id).unwrap();
        state.killed.push(id);
        let oom_kills = state.oom_kills;
        drop(state);
        kill.send(()).unwrap_or_default();
        playing.join().unwrap();
        Ok(Exit { status: Status::Exited(0), oom_kills })
    }
}

impl Journal for Notes {
    fn note(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Notes {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A tenant with these tools in its settings.
pub(crate) async fn world(script: Script, tools: Value, bounds: Bounds) -> World {
    let tenant: TenantId = "acme".parse().unwrap();
    let records = Records::in_memory();
    records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
    let platform = Platform { defaults: json!({"tools": tools}), ..Platform::default() };
    let settings = Settings::new(records.clone(), platform, SealKey::random().unwrap());
    let (hub, tasks, clock) = (Hub::default(), Tasks::default(), Arc::new(ManualClock::at(NOW)));
    let fake = Arc::new(Fake { script, state: Mutex::default() });
    let shared = Arc::new(Inner {
        launch: Arc::<Fake>::clone(&fake),
        backend: sandbox::Backend::Native,
        commands: Places::new(bounds.concurrency, bounds.total, Bound::Commands),
        terminals: Places::new(bounds.terminals, bounds.total, Bound::Terminals),
        bounds,
        settings,
        hub: hub.clone(),
        tasks: tasks.clone(),
        metrics: Metrics::default(),
    });
    let mut registry = Registry::default();
    let config = egress::Config::default();
    let broker =
        Broker::new(config, Arc::<ManualClock>::clone(&clock), &mut registry, tasks.clone())
            .unwrap();
    let notes = Arc::<Notes>::default();
    let books = Arc::new(MemoryJournal::default());
    let house = Arc::new(Ledger::new(Arc::<MemoryJournal>::clone(&books), &[], NOW));
    let account = Arc::new(Account::new(&house, tenant.clone(), &Limits::default(), NOW));
    let owner = Owner {
        approvals: Office::new(records, hub.clone(), Arc::<ManualClock>::clone(&clock))
            .open(&tenant),
        tenant,
        index: 3,
        way_out: broker.outlet(Arc::<Notes>::clone(&notes), Arc::clone(&account)),
        account,
        clock,
        journal: Arc::<Notes>::clone(&notes),
    };
    World { programs: Programs::new(&shared, owner), fake, notes, books, hub, tasks }
}

impl World {
    /// A connection of somebody who may do everything.
    pub(crate) fn person(&self) -> (Arc<Connection>, Outbox) {
        let spec = Spec {
            role: Role::Operator,
            client: Client::default(),
            device_id: None,
            scopes: [Scope::Admin, Scope::Read, Scope::Approvals].into_iter().collect(),
            caps: Vec::new(),
            commands: Vec::new(),
            path_env: None,
            permissions: std::collections::BTreeMap::new(),
            connected_at: NOW,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        self.hub.join(&self.programs.owner.tenant, spec).unwrap()
    }

    pub(crate) fn killed(&self) -> Vec<u64> {
        self.fake.state.lock().unwrap().killed.clone()
    }

    pub(crate) fn orders(&self) -> Vec<RunOrder> {
        self.fake.state.lock().unwrap().orders.clone()
    }
}
