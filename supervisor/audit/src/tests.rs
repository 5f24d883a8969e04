//! The writer with a disk that can be full, and one that a crash interrupts.

mod crash;
mod full;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use tempfile::TempDir;
use trail::{Record, Report, Wanted};
use types::ManualClock;

use super::*;

const START: u64 = 1_795_305_600_000;

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) clock: Arc<ManualClock>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    pub(super) fn audit(&self) -> Audit {
        let parts = Parts {
            dir: self.trail(),
            keys: self.dir.path().join("keys"),
            config: Config::default(),
            clock: Arc::<ManualClock>::clone(&self.clock),
            registry: &mut Registry::default(),
        };
        Audit::open(parts).unwrap()
    }

    pub(super) fn trail(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    pub(super) fn verify(&self) -> Report {
        let text = std::fs::read_to_string(self.dir.path().join("keys/audit.pub")).unwrap();
        verify(&self.trail(), text.parse().unwrap())
    }
}

pub(super) fn verify(dir: &Path, key: PublicKey) -> Report {
    let mut report = trail::directory(dir, key, None).unwrap();
    trail::settle(&mut report, dir, key).unwrap();
    report
}

pub(super) async fn all(audit: &Audit) -> Vec<Record> {
    let query = Query { wanted: Wanted::Newest, tenant: None, limit: 100_000 };
    audit.page(query).await.unwrap().records
}

pub(super) fn act(name: &str) -> Act {
    Act::new(name, Who::named(WhoKind::OperatorKey, "key_1")).of_tenant("acme").by_request("r1")
}

#[tokio::test]
async fn an_act_is_recorded_before_and_after() {
    let world = World::new();
    let audit = world.audit();
    let mut intent = audit.intend(act("createTenant").on("/v1/tenants")).await.unwrap();
    assert_eq!(all(&audit).await.len(), 1);
    intent.changed(None, Some(Digest::of(b"row")));
    intent.end(Ended::done()).await;
    drop(audit.intend(act("deleteTenant")).await.unwrap());
    audit.close().await;
    let records = all(&audit).await;
    let told: Vec<_> = records.iter().map(|it| (it.act.as_str(), it.outcome)).collect();
    let expected = [
        ("createTenant", None),
        ("createTenant", Some(Verdict::Done)),
        ("deleteTenant", None),
        ("deleteTenant", Some(Verdict::Unknown)),
        (trail::CHECKPOINT, Some(Verdict::Done)),
    ];
    assert_eq!(told, expected);
    assert_eq!(records[0].id, records[1].id);
    assert_eq!(records[1].after, Some(Digest::of(b"row")));
    assert!(world.verify().is_fine());
    assert_eq!(audit.intend(act("late")).await.unwrap_err(), Unrecorded::Closed);
}

#[tokio::test]
async fn a_trail_goes_on_over_days_and_starts() {
    let world = World::new();
    for _ in 0..3 {
        let audit = world.audit();
        for _ in 0..3 {
            audit.record(act("a"), Ended::done()).await.unwrap();
            world.clock.advance(trail::DAY / 2);
        }
        audit.close().await;
    }
    let report = world.verify();
    assert!(report.is_fine() && report.notices.is_empty(), "{report:?}");
    assert_eq!(report.first, Some(0));
    assert!(Files::list(&world.trail()).unwrap().iter().count() >= 4);
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_records_and_counted() {
    let world = World::new();
    let audit = world.audit();
    let who = Who::unknown(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let refusal = Repeated::refused(who, "authenticate", "wrong");
    for _ in 0..10_000 {
        audit.repeated(refusal.clone());
    }
    audit.close().await;
    let records = all(&audit).await;
    let refused: Vec<_> = records.iter().filter(|it| it.act.as_str() == "authenticate").collect();
    assert_eq!(refused.iter().map(|it| it.count).collect::<Vec<_>>(), [None, Some(9999)]);
}

#[tokio::test]
async fn what_was_changed_while_nobody_looked_stays_to_be_seen() {
    let world = World::new();
    let audit = world.audit();
    for _ in 0..5 {
        audit.record(act("a"), Ended::done()).await.unwrap();
    }
    audit.close().await;
    let path = world.trail().join("2026-11-22.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(3).collect();
    std::fs::write(&path, kept).unwrap();
    let audit = world.audit();
    audit.record(act("b"), Ended::done()).await.unwrap();
    audit.close().await;
    let report = world.verify();
    assert_eq!(report.faults.first().map(|it| (it.seq, it.kind)), Some((3, trail::Kind::Missing)));
    let told = all(&audit).await;
    let told = told.iter().find(|it| it.act.as_str() == trail::RECOVERED).unwrap();
    assert_eq!(told.code.as_ref().unwrap().as_str(), "cut");
}

#[tokio::test]
async fn a_trail_that_is_gone_is_told() {
    let world = World::new();
    let audit = world.audit();
    audit.record(act("a"), Ended::done()).await.unwrap();
    audit.close().await;
    std::fs::remove_dir_all(world.trail()).unwrap();
    world.audit().close().await;
    assert_eq!(world.verify().faults.first().unwrap().kind, trail::Kind::Head);
    std::fs::remove_file(world.dir.path().join("keys/audit.pk8")).unwrap();
    let keys = world.dir.path().join("keys");
    let lost = SigningKey::load(&keys, &world.trail()).unwrap_err();
    assert!(matches!(lost, Error::KeyLost(_)), "{lost}");
}
