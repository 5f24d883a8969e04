//! Who decides what, and who is faster: a decision, the end of the time, or whoever asked going away.

mod book;
mod races;

use std::net::{IpAddr, Ipv4Addr};

use futures_util::FutureExt as _;
use hub::{Client, Item, Next, Outbox, Role, Spec};
use serde_json::Value;
use types::{AgentId, Limits, ManualClock, Scopes};

use super::*;

struct World {
    office: Office,
    clock: Arc<ManualClock>,
    records: Records,
    hub: Hub,
    tenant: TenantId,
    approvals: Approvals,
}

const START: UnixMillis = 1_800_000_000_000;

async fn world() -> World {
    let (records, hub) = (Records::in_memory(), Hub::default());
    let clock = Arc::new(ManualClock::at(START));
    let tenant: TenantId = "a".parse().unwrap();
    records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
    let office = Office::new(records.clone(), hub.clone(), Arc::<ManualClock>::clone(&clock));
    let approvals = office.open(&tenant);
    World { office, clock, records, hub, tenant, approvals }
}

impl World {
    fn watcher(&self, scope: Scope) -> Outbox {
        let spec = Spec {
            role: Role::Operator,
            client: Client::default(),
            device_id: None,
            scopes: std::iter::once(scope).collect::<Scopes>(),
            caps: Vec::new(),
            commands: Vec::new(),
            path_env: None,
            permissions: std::collections::BTreeMap::default(),
            connected_at: 0,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        self.hub.join(&self.tenant, spec).unwrap().1
    }

    async fn decide(&self, argv: &[&str], policy: Policy) -> Result<Verdict, Denied> {
        let argv: Vec<String> = argv.iter().map(|&it| it.to_owned()).collect();
        self.approvals.decide(&command(&argv, &AgentId::main()), policy).await
    }

    async fn asked(&self, argv: &[&str]) -> Asked {
        match self.decide(argv, ALWAYS).await.unwrap() {
            Verdict::Asked(asked) => asked,
            Verdict::Granted(_) => panic!("{argv:?} runs"),
        }
    }
}

const ALWAYS: Policy = Policy { security: Security::Full, ask: api::approvals::AskWhen::Always };
const LISTED: Policy = Policy { security: Security::Allowlist, ask: api::approvals::AskWhen::Off };

fn command<'a>(argv: &'a [String], agent: &'a AgentId) -> Ask<'a> {
    Ask {
        agent,
        argv,
        env: &[],
        cwd: "/workspace",
        files: &[],
        session_key: "agent:main:main",
        run_id: "r",
        tool_call_id: "t",
    }
}

fn by(name: &str) -> By {
    By::Token(name.to_owned())
}

fn events(outbox: &mut Outbox) -> Vec<(&'static str, Value)> {
    let mut seen = Vec::new();
    while let Some(Next::Send(Item::Event { event, payload, .. })) = outbox.next().now_or_never() {
        seen.push((event.wire, serde_json::from_slice(&payload).unwrap()));
    }
    seen
}

#[tokio::test]
async fn a_decision_is_for_one_command_once() {
    let world = world().await;
    let (mut watcher, mut stranger) = (world.watcher(Scope::Approvals), world.watcher(Scope::Read));
    let asked = world.asked(&["git", "push"]).await;
    let id = asked.id().to_owned();
    let waiting = world.approvals.waiting();
    assert_eq!((waiting.len(), waiting[0].request.command.as_str()), (1, "git push"));
    assert!(world.approvals.resolve(&id, Decision::AllowOnce, by("x")).await.unwrap());
    let approved = asked.answer().await.unwrap();
    let (argv, agent) = (["git".to_owned(), "push".to_owned()], AgentId::main());
    let ask = command(&argv, &agent);
    assert!(approved.covers(&ask));
    assert!(!approved.covers(&Ask { cwd: "/", ..ask }));
    assert_eq!(approved.search_path(), Some(SYSTEM_PATH));
    // The same again is asked again.
    drop(world.asked(&["git", "push"]).await);
    let seen = events(&mut watcher);
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    let (requested, resolved) = ("exec.approval.requested", "exec.approval.resolved");
    assert_eq!(names, [requested, resolved, requested, resolved]);
    assert_eq!(seen[0].1["request"]["commandArgv"], serde_json::json!(["git", "push"]));
    assert_eq!(seen[0].1["request"]["host"], "sandbox");
    assert_eq!(seen[0].1["expiresAtMs"], START + 120_000);
    let over = serde_json::json!({
        "id": id, "decision": "allow-once", "resolvedBy": "x", "ts": START
    });
    assert_eq!(seen[1].1, over);
    assert!(events(&mut stranger).is_empty());
}

#[tokio::test]
async fn the_same_decision_again_changes_nothing_and_another_is_refused() {
    let world = world().await;
    let approvals = &world.approvals;
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    assert!(approvals.resolve(&id, Decision::Deny, by("x")).await.unwrap());
    assert!(!approvals.resolve(&id, Decision::Deny, by("y")).await.unwrap());
    let refused = |result: Result<bool, ResolveError>| match result {
        Err(ResolveError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let other = approvals.resolve(&id, Decision::AllowOnce, by("y")).await;
    assert_eq!(refused(other), Refused::Decided);
    assert!(matches!(asked.answer().await, Err(Denied::Decided)));
    let unknown = approvals.resolve("forged", Decision::AllowOnce, by("y")).await;
    assert_eq!(refused(unknown), Refused::Unknown);
    let snapshot = approvals.snapshot(&id).unwrap();
    assert_eq!((snapshot.status, snapshot.resolver.unwrap().id), ("denied", Some("x".to_owned())));
}

#[tokio::test]
async fn an_id_is_one_tenants() {
    let world = world().await;
    let b: TenantId = "b".parse().unwrap();
    world.records.insert_tenant(&b, 1, Limits::default()).await.unwrap();
    let theirs = world.office.open(&b);
    let asked = world.asked(&["git"]).await;
    let err = theirs.resolve(asked.id(), Decision::AllowOnce, by("b")).await.unwrap_err();
    assert!(matches!(err, ResolveError::Refused(Refused::Unknown)));
    assert!(theirs.snapshot(asked.id()).is_none() && theirs.waiting().is_empty());
}

#[tokio::test]
async fn from_now_on_is_for_that_command_and_is_written_down_first() {
    let world = world().await;
    let text = "echo a && git push";
    let asked = world.asked(&["bash", "-c", text]).await;
    world.approvals.resolve(asked.id(), Decision::AllowAlways, by("x")).await.unwrap();
    asked.answer().await.unwrap();
    // Another office over the same records, as after a restart.
    let restarted =
        Office::new(world.records.clone(), Hub::default(), Arc::clone(&world.office.clock));
    let world = World { approvals: restarted.open(&world.tenant), office: restarted, ..world };
    let granted = world.decide(&["bash", "-c", text], LISTED).await.unwrap();
    assert!(matches!(granted, Verdict::Granted(it) if it.search_path() == Some(SYSTEM_PATH)));
    let denied = world.decide(&["bash", "-c", "git push"], LISTED).await.unwrap_err();
    assert!(matches!(denied, Denied::Missed));
    assert!(world.approvals.waiting().is_empty());
}

#[tokio::test]
async fn what_is_not_shown_as_a_whole_is_never_approved_for_good() {
    let world = world().await;
    let long = "x".repeat(show::MAX_SHOWN + 1);
    let asked = world.asked(&["echo", &long]).await;
    let waiting = world.approvals.waiting_for(asked.id()).unwrap();
    assert_eq!(waiting.request.allowed_decisions, [Decision::AllowOnce, Decision::Deny]);
    assert!(waiting.request.warning_text.is_some());
    let err = world.approvals.resolve(asked.id(), Decision::AllowAlways, by("x")).await;
    assert!(matches!(err, Err(ResolveError::Refused(Refused::Unavailable))));
    assert!(world.approvals.resolve(asked.id(), Decision::AllowOnce, by("x")).await.unwrap());
}

#[tokio::test]
async fn a_file_that_can_still_change_is_warned_of() {
    let world = world().await;
    let check = async |argv: &[&str], warned: bool, always: bool| {
        let asked = world.asked(argv).await;
        let request = world.approvals.waiting_for(asked.id()).unwrap().request;
        assert_eq!(request.warning_text.is_some_and(|it| it.contains("run.py")), warned);
        assert_eq!(request.allowed_decisions.contains(&Decision::AllowAlways), always);
    };
    check(&["python3", "run.py"], true, false).await;
    check(&["cat", "run.py"], true, true).await;
    check(&["git", "push"], false, true).await;
}

#[tokio::test]
async fn what_is_forbidden_meanwhile_does_not_run() {
    let world = world().await;
    let asked = world.asked(&["git"]).await;
    world.approvals.resolve(asked.id(), Decision::AllowOnce, by("x")).await.unwrap();
    let file = r#"{"version":1,"agents":{"main":{"security":"deny"}}}"#;
    let file = serde_json::from_str(file).unwrap();
    world.approvals.replace_book(file, None).await.unwrap();
    assert!(matches!(asked.answer().await, Err(Denied::Policy)));
    assert!(matches!(world.decide(&["git"], Policy::OPEN).await, Err(Denied::Policy)));
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let world = world().await;
    let mut asked = Vec::new();
    for _ in 0..MAX_PENDING {
        asked.push(world.asked(&["git"]).await);
    }
    assert!(matches!(world.decide(&["git"], ALWAYS).await, Err(Denied::Full)));
    // What others run has places of its own.
    let foreign = || Foreign { id: None, request: Request::default(), wait: None, tell: false };
    let theirs: Vec<_> = (0..MAX_FOREIGN).map(|_| world.approvals.ask_for(foreign())).collect();
    assert!(theirs.iter().all(Result::is_ok));
    assert!(matches!(world.approvals.ask_for(foreign()), Err(Denied::Full)));
    assert_eq!(world.office.places.available_permits(), MAX_TOTAL - MAX_FOREIGN);
    asked.pop();
    asked.push(world.asked(&["git"]).await);
    drop((asked, theirs));
    assert_eq!(world.office.places.available_permits(), MAX_TOTAL);
    assert!(world.approvals.waiting().is_empty());
}

#[tokio::test]
async fn a_free_command_is_searched_for_where_the_agent_likes() {
    let world = world().await;
    let granted = world.decide(&["git"], Policy::OPEN).await.unwrap();
    assert!(matches!(granted, Verdict::Granted(it) if it.search_path().is_none()));
}
