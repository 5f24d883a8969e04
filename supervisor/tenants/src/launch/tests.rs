//! Tenants over a launcher that the test plays: its socket's records, without any process.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use auth::{Auth, Grant, TokenSpec};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use prometheus_client::registry::Registry;
use records::Records;
use runtime::Tasks;
use sandbox::{CgroupLayout, Disk, HostReport, Launcher, Mode};
use types::{Clock, LimitsPatch, Role, Scopes, SystemClock, TenantId};

use super::*;
use crate::{Certificate, Certifying, Erased, Notary, Tenants, Workers};

/// The numbers of the requests, as they cross.
const HOST: u16 = 0;
const PREPARE: u16 = 1;
const LAUNCH: u16 = 2;
const KILL: u16 = 5;

/// Bytes of a request, and where in it the kind stands.
const REQUEST: usize = 88;
const KIND: usize = 6;

/// The launcher's number for the one worker that it launches.
const WORKER: u64 = 7;

/// The test's hold on the launcher.
struct Played {
    /// What was asked, by kind.
    asked: Receiver<u16>,
    /// A launch is answered when the test says so.
    launch: Sender<()>,
}

struct World {
    tenants: Tenants,
    auth: Auth,
    launcher: Played,
}

fn report() -> HostReport {
    HostReport {
        kernel: String::new(),
        mode: Mode::Rootless,
        cgroup: CgroupLayout::None,
        disk: Disk::None,
        landlock_abi: 0,
        user_namespaces: true,
        worker_digest: None,
        worker_inode: None,
        namespaces: std::collections::BTreeMap::new(),
        supervisor_uid: 0,
        supervisor_gid: 0,
        uid_base: 0,
        degraded: Vec::new(),
        bwrap: None,
    }
}

/// Plays a launcher on `socket` until it closes.
fn play(socket: &OwnedFd, asked: &Sender<u16>, launch: &Receiver<()>) {
    let mut request = [0; REQUEST];
    // Nobody ever writes to it, so the process that it stands for does not end by itself.
    let (process, _running) = nix::unistd::pipe().unwrap();
    while nix::unistd::read(socket, &mut request).is_ok_and(|length| length == REQUEST) {
        let kind = u16::from_le_bytes([request[KIND], request[KIND + 1]]);
        asked.send(kind).unwrap_or_default();
        let (values, payload) = match kind {
            HOST => ([0; 4], serde_json::to_vec(&report()).unwrap()),
            PREPARE => ([2, 0, 0, 0], Vec::new()),
            LAUNCH => {
                launch.recv().unwrap_or_default();
                ([WORKER, 1, 0, 0], Vec::new())
            }
            KILL => ([1, 9, 0, 0], Vec::new()),
            _ => ([0; 4], Vec::new()),
        };
        // Header, verdict `done`, the number of the request, values, no error, the payload.
        let mut reply = [&request[..KIND], &[0, 0], &request[8..16]].concat();
        reply.extend(values.iter().flat_map(|value: &u64| value.to_le_bytes()));
        reply.extend(0_u32.to_le_bytes());
        reply.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        reply.extend(payload);
        let process = [process.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&process)];
        let rights = if kind == LAUNCH { &rights[..] } else { &[] };
        let slice = [IoSlice::new(&reply)];
        sendmsg::<()>(socket.as_raw_fd(), &slice, rights, MsgFlags::empty(), None).unwrap();
    }
}

/// Certifies without keeping anything.
#[derive(Debug)]
struct Nobody;

impl Notary for Nobody {
    fn certify<'a>(&'a self, _: &'a Erased) -> Certifying<'a> {
        let certificate = Certificate { text: String::new(), file: String::new() };
        Box::pin(std::future::ready(Ok(certificate)))
    }
}

async fn world() -> World {
    let (near, far) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let ((asking, asked), (launch, launching)) = (channel(), channel());
    std::thread::spawn(move || play(&far, &asking, &launching));
    let (clock, mut registry): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), Registry::default());
    let records = Records::in_memory();
    let demo = host::Provider {
        name: "demo".to_owned(),
        kind: host::Kind::Demo,
        base_url: String::new(),
        api_key: None,
        models: vec![host::Model { name: "m".to_owned(), prices: ledger::Prices::default() }],
    };
    let config = host::Config {
        providers: vec![demo],
        default_model: "demo/m".to_owned(),
        fallbacks: Vec::new(),
        timeouts: host::Timeouts::default(),
    };
    let everyones = vec!["https://all.example".parse().unwrap()];
    let way_out = egress::Config { allow: everyones, ..egress::Config::default() };
    let dir = tempfile::tempdir().unwrap();
    let books = books::Books::open(dir.path(), Arc::clone(&clock), &mut registry).unwrap();
    let parts = crate::Parts {
        launcher: Launcher::new(near),
        records: records.clone(),
        host: host::Host::new(config, Arc::clone(&clock), &mut registry).unwrap(),
        egress: egress::Broker::new(
            way_out,
            Arc::clone(&clock),
            &mut Registry::default(),
            Tasks::default(),
        )
        .unwrap(),
        hub: hub::Hub::default(),
        settings: settings::Settings::new(
            records.clone(),
            settings::Platform::default(),
            settings::SealKey::random().unwrap(),
        ),
        sandboxes: sandboxes::Config::default(),
        audit: audit::Audit::none(),
        ledger: Arc::new(ledger::Ledger::new(Arc::new(books.clone()), &[], clock.now())),
        books,
        alerts: alerts::Alerts::none(),
        workers: Workers::default(),
        notary: Arc::new(Nobody),
        tenant_labels: 0,
        clock: Arc::clone(&clock),
        tasks: Tasks::default(),
        registry: &mut registry,
    };
    let tenants = Tenants::start(parts).await.unwrap();
    let auth = Auth::load(records, clock).await.unwrap();
    World { tenants, auth, launcher: Played { asked, launch } }
}

impl Played {
    /// Whether the launcher is asked for this within a few seconds.
    async fn asks(self, kind: u16) -> (bool, Self) {
        let asked = move || {
            let patience = Duration::from_secs(5);
            let asked = std::iter::from_fn(|| self.asked.recv_timeout(patience).ok());
            let found = asked.into_iter().any(|it| it == kind);
            (found, self)
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    }
}

#[tokio::test]
async fn a_worker_that_is_launched_too_late_is_killed() {
    let World { tenants, launcher, .. } = world().await;
    let id: TenantId = "acme".parse().unwrap();
    tenants.create(&id, &LimitsPatch::default()).await.unwrap();
    let tenant = tenants.find(&id).unwrap();
    let (_place, seat) = tenants.0.starts.enter(&tenant.wanted).await.unwrap();
    let mut start = Box::pin(launch_unbounded(&tenants.0, &tenant, seat));
    let (asked, launcher) = tokio::select! {
        _ = &mut start => panic!("started without a launch"),
        asked = launcher.asks(LAUNCH) => asked,
    };
    assert!(asked);
    // The deadline has passed; then the launcher answers.
    drop(start);
    launcher.launch.send(()).unwrap();
    assert!(launcher.asks(KILL).await.0, "a worker without an owner");
}

async fn set_timer(tenants: &Tenants, id: &TenantId, at_ms: u64) -> Result<(), tonic::Code> {
    use proto::host::timers_server::Timers as _;
    let power = crate::timers::Power::new(&tenants.0, &tenants.find(id).unwrap());
    let set = power.set(tonic::Request::new(proto::host::TimerRequest { at_ms })).await;
    set.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn egress_rules_hold_at_once_and_are_a_tenants_own() {
    let World { tenants, launcher: _launcher, auth: _auth } = world().await;
    let [one, other]: [TenantId; 2] = ["one".parse().unwrap(), "other".parse().unwrap()];
    for id in [&one, &other] {
        tenants.create(id, &LimitsPatch::default()).await.unwrap();
    }
    let is_open = |id: &TenantId| tenants.find(id).unwrap().outlet.rules().is_open();
    assert!(!is_open(&one), "nothing is reached before the settings are known");
    let rule = "GET https://api.example".parse().unwrap();
    tenants.set_reach(&one, &[rule]).await.unwrap();
    assert!(is_open(&one) && !is_open(&other));
    let reach = tenants.reach(&one).unwrap();
    assert_eq!(reach.own, ["GET https://api.example"]);
    assert_eq!(reach.everyones, ["https://all.example"]);
    assert!(tenants.reach(&other).unwrap().own.is_empty());
    let stored = tenants.0.records.tenant(&one).await.unwrap().unwrap();
    assert_eq!(stored.egress, reach.own);
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(tenants.set_reach(&nobody, &[]).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_due_timer_starts_its_own_tenants_worker_unless_that_is_suspended() {
    let World { tenants, launcher, auth: _auth } = world().await;
    let [due, suspended]: [TenantId; 2] = ["due".parse().unwrap(), "suspended".parse().unwrap()];
    for id in [&due, &suspended] {
        tenants.create(id, &LimitsPatch::default()).await.unwrap();
    }
    tenants.suspend(&suspended).await.unwrap();
    set_timer(&tenants, &suspended, 1).await.unwrap();
    set_timer(&tenants, &due, u64::MAX).await.unwrap();
    let rows = tenants.0.records.timers().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [u64::MAX, 1]);
    let (early, launcher) = launcher.asks(LAUNCH).await;
    assert!(!early, "one is not due, the other not allowed");
    set_timer(&tenants, &due, 1).await.unwrap();
    let (asked, launcher) = launcher.asks(LAUNCH).await;
    assert!(asked);
    launcher.launch.send(()).unwrap();
    set_timer(&tenants, &due, 0).await.unwrap();
    assert_eq!(tenants.0.records.timers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_resumes_a_tenant_that_is_being_suspended_has_the_last_word() {
    let World { tenants, launcher: _launcher, auth: _auth } = world().await;
    let id: TenantId = "a".parse().unwrap();
    tenants.create(&id, &LimitsPatch::default()).await.unwrap();
    let tenant = tenants.find(&id).unwrap();
    let until = async |suspended: bool| {
        while tenant.row.load().suspended != suspended {
            tokio::task::yield_now().await;
        }
    };
    let held = tenant.control.lock().await;
    let (mut suspend, mut resume) = (Box::pin(tenants.suspend(&id)), Box::pin(tenants.resume(&id)));
    tokio::select! { biased; _ = &mut suspend => panic!("did not wait"), () = until(true) => {} }
    tokio::select! { biased; _ = &mut resume => panic!("did not wait"), () = until(false) => {} }
    drop(held);
    let (suspended, resumed) = tokio::join!(suspend, resume);
    suspended.and(resumed).unwrap();
    let wish = sandboxes::terminal::Wish {
        agent: types::AgentId::main(),
        shell: Some("none".to_owned()),
        size: (80, 24),
        env: std::collections::BTreeMap::new(),
        viewer: None,
        opener: sandboxes::terminal::Opener::default(),
        at: 0,
    };
    let refused = tenant.programs.open_terminal(wish).await.unwrap_err();
    assert!(matches!(refused, sandboxes::Error::Invalid(_)), "{refused}");
}

#[tokio::test]
async fn a_timer_of_a_hostile_worker_writes_so_often_and_no_oftener() {
    let World { tenants, launcher: _launcher, auth: _auth } = world().await;
    let id: TenantId = "acme".parse().unwrap();
    tenants.create(&id, &LimitsPatch::default()).await.unwrap();
    let far = u64::MAX - 10_000;
    let mut refused = None;
    for n in 0..10_000 {
        refused = set_timer(&tenants, &id, far + n).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some(tonic::Code::ResourceExhausted));
}

#[tokio::test]
async fn a_name_is_taken_until_the_last_token_of_its_old_tenant_has_ended() {
    let World { tenants, auth, .. } = world().await;
    let id: TenantId = "acme".parse().unwrap();
    let permit = auth.authorize_operator(&auth.local_operator(0), Role::Owner, "test").unwrap();
    let spec = || TokenSpec {
        label: "first".to_owned(),
        scopes: Scopes::all_of_tenant(),
        expires_at: None,
    };
    let issue = async || auth.issue(&Grant::Operator(&permit), &id, spec()).await.unwrap().token;
    tenants.create(&id, &LimitsPatch::default()).await.unwrap();
    let old = issue().await;
    let anew = async {
        while tenants.create(&id, &LimitsPatch::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
        issue().await
    };
    let (deleted, new) = tokio::join!(tenants.delete(&id, &auth, "test"), anew);
    deleted.unwrap();
    let here = std::net::Ipv4Addr::LOCALHOST.into();
    auth.authenticate(Some(new.expose()), here).unwrap();
    auth.authenticate(Some(old.expose()), here).unwrap_err();
}
