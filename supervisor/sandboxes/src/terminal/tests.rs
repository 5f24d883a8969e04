//! Terminals over real ones, with an init that a thread plays.

use std::io::{Read as _, Write as _};

use hub::{Item, Next, Outbox};
use serde_json::{Value, json};

use super::*;
use crate::Bounds;
use crate::testing::{NOW, Script, Stage, World, world};

async fn open(script: Script, tools: Value) -> World {
    world(script, tools, Bounds::default()).await
}

fn wish(viewer: Option<Viewer>) -> Wish {
    let (shell, env) = (None, BTreeMap::new());
    let opener = Opener::default();
    Wish { agent: AgentId::main(), shell, size: (80, 24), env, viewer, opener, at: NOW }
}

fn viewer(connection: &Arc<Connection>, dialect: Dialect) -> Viewer {
    Viewer { connection: Arc::clone(connection), dialect }
}

/// The next event of a connection.
async fn event(outbox: &mut Outbox) -> (&'static str, Value) {
    match outbox.next().await {
        Next::Send(Item::Event { event, payload, .. }) => {
            (event.name, serde_json::from_slice(&payload).unwrap())
        }
        Next::Send(Item::Frame(_)) | Next::Close(_) => panic!("no event"),
    }
}

/// What a connection is shown until it has seen `wanted`.
async fn shown(outbox: &mut Outbox, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let (name, payload) = event(outbox).await;
        assert!(name == "terminal.output" || name == "terminal.data", "{name}");
        text.push_str(payload["data"].as_str().unwrap());
    }
    text
}

/// A shell that says what it was told, until it is told `x`.
fn shell(stage: &mut Stage) {
    let mut slave = stage.ready_terminal();
    slave.write_all("ready\u{1f99e}\n".as_bytes()).unwrap();
    let mut line = [0; 64];
    loop {
        let read = slave.read(&mut line).unwrap();
        let said = String::from_utf8_lossy(&line[..read]).into_owned();
        write!(slave, "said {said}").unwrap();
        if said.starts_with('x') {
            stage.end(7, 0);
            return;
        }
    }
}

/// A shell that nobody hears of.
fn idles(stage: &mut Stage) {
    let _slave = stage.ready_terminal();
    stage.killed.recv().unwrap();
}

#[tokio::test]
async fn a_shell_is_typed_into_and_ends() {
    let world = open(shell, json!({})).await;
    let (person, mut outbox) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&person, Dialect::Output)))).await;
    let opened = opened.unwrap();
    assert_eq!((opened.shell, opened.attached), ("/bin/bash", true));
    shown(&mut outbox, "ready\u{1f99e}").await;
    world.programs.type_into(&opened.id, "hello\n".to_owned(), NOW + 5).await.unwrap();
    shown(&mut outbox, "said hello").await;
    assert_eq!(world.programs.list_terminals()[0].typed_at, NOW + 5);
    world.programs.resize_terminal(&opened.id, 100, 40).unwrap();
    world.programs.type_into(&opened.id, "x\n".to_owned(), NOW).await.unwrap();
    let exit = loop {
        let (name, payload) = event(&mut outbox).await;
        if name == "terminal.exit" {
            break payload;
        }
    };
    let wanted = json!({"terminalId": opened.id, "sessionId": opened.id, "exitCode": 7,
        "signal": null, "reason": "process_exit"});
    assert_eq!(exit, wanted);
    let gone = world.programs.type_into(&opened.id, "y".to_owned(), NOW).await;
    assert!(matches!(gone, Err(Error::NoTerminal)));
    assert_eq!(world.killed(), [1]);
    let [begun, ended] = world.notes.lines().try_into().unwrap();
    assert_eq!(begun, "terminal 1 begins: /bin/bash of agent main");
    assert!(ended.starts_with("terminal 1 ends: process_exit"), "{ended}");
}

#[tokio::test]
async fn a_terminal_that_is_forbidden_ends() {
    let world = open(idles, json!({})).await;
    let id = world.programs.open_terminal(wish(None)).await.unwrap().id;
    let (settings, tenant) = (&world.programs.shared.settings, &world.programs.owner.tenant);
    let raw = r#"{"tools": {"terminal": {"enabled": false}}}"#;
    settings.set(tenant, raw, None, NOW).await.unwrap();
    let terminal = world.programs.find_terminal(&id).unwrap();
    world.programs.settings_changed();
    terminal.ended().await;
    assert_eq!(world.killed(), [1]);
    let refused = world.programs.open_terminal(wish(None)).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden("tools.terminal.enabled")), "{refused}");
}

#[tokio::test]
async fn a_terminal_ends_with_the_right_of_who_opened_it() {
    let world = open(idles, json!({})).await;
    let revoked = CancellationToken::new();
    let opener = Opener::until(revoked.clone().cancelled_owned());
    let id = world.programs.open_terminal(Wish { opener, ..wish(None) }).await.unwrap().id;
    let terminal = world.programs.find_terminal(&id).unwrap();
    revoked.cancel();
    terminal.ended().await;
    assert_eq!(world.killed(), [1]);
}

#[tokio::test]
async fn a_terminal_outlives_its_connection_and_is_seen_again() {
    let world = open(shell, json!({})).await;
    let (person, mut outbox) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&person, Dialect::Data)))).await;
    let id = opened.unwrap().id;
    shown(&mut outbox, "ready").await;
    drop((person, outbox));
    world.programs.type_into(&id, "away\n".to_owned(), NOW).await.unwrap();
    // The connection that is gone is found out with the next that is shown.
    while world.programs.list_terminals()[0].attached {
        tokio::task::yield_now().await;
    }
    let (person, mut outbox) = world.person();
    let (view, seen) =
        world.programs.see_terminal(&id, Some(viewer(&person, Dialect::Data))).unwrap();
    assert!(view.attached);
    assert!(seen.text.starts_with("ready\u{1f99e}"), "{}", seen.text);
    assert_eq!(seen.seq, u64::try_from(seen.text.encode_utf16().count()).unwrap());
    world.programs.type_into(&id, "back\n".to_owned(), NOW).await.unwrap();
    shown(&mut outbox, "said back").await;
}

#[tokio::test]
async fn closing_tells_everybody_and_leaves_nothing() {
    let world = open(idles, json!({})).await;
    let (one, mut first) = world.person();
    let (two, mut second) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&one, Dialect::Output)))).await;
    let id = opened.unwrap().id;
    world.programs.see_terminal(&id, Some(viewer(&two, Dialect::Data))).unwrap();
    world.programs.close_terminal(&id).await.unwrap();
    assert_eq!(event(&mut first).await.1["reason"], "closed");
    let (name, payload) = event(&mut second).await;
    assert_eq!((name, payload.get("terminalId")), ("terminal.exit", None));
    assert!(world.programs.list_terminals().is_empty());
    assert_eq!(world.killed(), [1]);
}

#[tokio::test]
async fn nobody_typing_ends_it() {
    let world = open(idles, json!({"terminal": {"idleMinutes": 1, "maxMinutes": 5}})).await;
    let (person, mut outbox) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&person, Dialect::Output)))).await;
    opened.unwrap();
    tokio::time::pause();
    assert_eq!(event(&mut outbox).await.1["reason"], "idle");
}

#[tokio::test]
async fn the_end_of_the_tenant_is_the_end_of_its_terminals() {
    let world = open(idles, json!({})).await;
    let (person, mut outbox) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&person, Dialect::Output)))).await;
    opened.unwrap();
    world.programs.close().await;
    assert_eq!(world.killed(), [1]);
    // Whoever sees it has been told before.
    let told = futures_util::FutureExt::now_or_never(event(&mut outbox)).unwrap();
    assert_eq!((told.0, &told.1["reason"]), ("terminal.exit", &json!("closed")));
    assert!(world.programs.list_terminals().is_empty());
    assert!(matches!(world.programs.open_terminal(wish(None)).await, Err(Error::Closed)));
}

#[tokio::test]
async fn what_may_not_be_opened() {
    let check = async |tools: Value, wish: Wish, part: &str| {
        let world = open(idles, tools).await;
        let refused = world.programs.open_terminal(wish).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
        assert!(world.orders().is_empty());
        assert!(world.notes.lines().concat().contains(part));
    };
    let named = |shell: &str| Wish { shell: Some(shell.to_owned()), ..wish(None) };
    check(json!({"terminal": {"enabled": false}}), wish(None), "tools.terminal.enabled").await;
    check(json!({"deny": ["terminal"]}), wish(None), "tools.deny").await;
    check(json!({}), named("/workspace/evil"), "shell: one of bash, sh, python3").await;
    check(json!({}), named("bash -c x"), "shell: ").await;
    check(json!({}), Wish { size: (0, 24), ..wish(None) }, "cols and rows").await;
    let env = BTreeMap::from([("LD_PRELOAD".to_owned(), "x".to_owned())]);
    check(json!({}), Wish { env, ..wish(None) }, "env.LD_PRELOAD may not be set").await;
}

#[tokio::test]
async fn a_tenant_has_so_many_and_no_more() {
    let world = world(idles, json!({}), Bounds { terminals: 1, ..Bounds::default() }).await;
    let opened = world.programs.open_terminal(wish(None)).await.unwrap();
    let full = world.programs.open_terminal(wish(None)).await;
    assert!(matches!(full, Err(Error::Full(Bound::Terminals))));
    world.programs.close_terminal(&opened.id).await.unwrap();
    world.programs.open_terminal(wish(None)).await.unwrap();
}

#[tokio::test]
async fn those_who_are_gone_take_no_place() {
    let world = open(idles, json!({})).await;
    let id = world.programs.open_terminal(wish(None)).await.unwrap().id;
    for _ in 0..20 {
        let (person, outbox) = world.person();
        world.programs.see_terminal(&id, Some(viewer(&person, Dialect::Output))).unwrap();
        assert!(world.programs.list_terminals()[0].attached);
        drop(outbox);
        assert!(!world.programs.list_terminals()[0].attached);
        drop(world.programs.listen_to_terminal(&id, "o").unwrap());
    }
}

#[tokio::test]
async fn what_an_operator_does_is_in_the_tenants_log() {
    let world = open(idles, json!({})).await;
    let id = world.programs.open_terminal(wish(None)).await.unwrap().id;
    let keys = || Bytes::from_static(b"x");
    for operator in ["ann", "ann", "bob"] {
        world.programs.type_as_operator(&id, operator, keys(), NOW).await.unwrap();
    }
    drop(world.programs.listen_to_terminal(&id, "ann").unwrap());
    let noted: Vec<_> = world.notes.lines().drain(1..).collect();
    assert_eq!(
        noted,
        [
            "terminal 1: the operator ann types",
            "terminal 1: the operator bob types",
            "terminal 1: the operator ann looks on",
        ]
    );
}

#[tokio::test]
async fn keys_that_nobody_reads_do_not_pile_up() {
    let world = open(idles, json!({})).await;
    let id = world.programs.open_terminal(wish(None)).await.unwrap().id;
    let long = world.programs.type_into(&id, "x".repeat(MAX_TYPED + 1), NOW).await;
    assert!(matches!(long, Err(Error::Invalid(_))));
    tokio::time::pause();
    let full = loop {
        if let Err(err) = world.programs.type_into(&id, "x".repeat(MAX_TYPED), NOW).await {
            break err;
        }
    };
    assert!(matches!(full, Error::Full(Bound::Input)), "{full}");
}

#[tokio::test]
async fn a_connection_that_does_not_read_is_left_behind() {
    fn floods(stage: &mut Stage) {
        let mut slave = stage.ready_terminal();
        while stage.killed.try_recv().is_err() && slave.write_all(&[b'x'; 4000]).is_ok() {}
    }
    let world = open(floods, json!({})).await;
    let (person, mut outbox) = world.person();
    let opened = world.programs.open_terminal(wish(Some(viewer(&person, Dialect::Output)))).await;
    let id = opened.unwrap().id;
    tokio::time::timeout(Duration::from_mins(1), async {
        while world.programs.list_terminals()[0].attached {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let mut bytes = 0;
    let last = loop {
        let (name, payload) = event(&mut outbox).await;
        if name == "terminal.exit" {
            break payload;
        }
        bytes += payload["data"].as_str().unwrap().len();
    };
    assert_eq!(last["reason"], "detached");
    assert!(bytes < 2 << 20, "{bytes}");
    world.programs.close_terminal(&id).await.unwrap();
}
