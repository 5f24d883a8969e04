//! A terminal in a real browser: a page with xterm.js over the gateway's WebSocket. Pictures of it are
//! left in the target folder, to be looked at.

use serde_json::json;
use tests::ws::{Connect, Ws};
use tests::{Official, Toolbox};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_works_in_a_terminal_in_the_browser() {
    for backend in ["native", "bwrap"] {
        let toolbox = Toolbox::start(json!({"sandbox": {"backend": backend}})).await;
        let hands = toolbox.hands("acme").await;
        let user = Official::new(&toolbox.gateway, hands.tenant());
        let page = format!("http://{}/t/acme/", toolbox.gateway.address());
        let shots = env!("CARGO_TARGET_TMPDIR").to_owned();
        let look = move || {
            let variables =
                [("OPENCLAWMU_PAGE", page.as_str()), ("OPENCLAWMU_SHOTS", shots.as_str())];
            user.script("terminal.mjs", &variables)
        };
        assert_eq!(tokio::task::spawn_blocking(look).await.unwrap().len(), 9, "{backend}");
    }
}

async fn attach(
    toolbox: &Toolbox,
    token: &str,
    id: &str,
) -> Result<(Ws, serde_json::Value), serde_json::Value> {
    let mut ws = Connect::new(toolbox.gateway.address(), token, &tests::house::SCOPES).open().await;
    let attached = ws.call("terminal.attach", json!({"terminalId": id})).await?;
    Ok((ws, attached))
}

/// Whoever comes back sees what was shown, and nobody of another tenant ever does.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_its_tenants_and_outlives_a_connection() {
    let toolbox = Toolbox::start(json!({})).await;
    let (acme, globex) = (toolbox.hands("acme").await, toolbox.hands("globex").await);
    let mut shell = toolbox.shell(&acme, 80, 24).await;
    shell.run("echo one-$((1 + 1))").await;
    let id = shell.id().to_owned();
    for method in ["terminal.attach", "terminal.close"] {
        let mut other = toolbox.operator(&globex).await;
        let refused = other.call(method, json!({"terminalId": id})).await;
        assert!(refused.is_err(), "{method}: {refused:?}");
    }
    let mut other = toolbox.operator(&globex).await;
    let refused =
        other.call("terminal.write", json!({"terminalId": id, "data": "touch stolen\r"})).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(other.ok("terminal.list", json!({})).await["sessions"], json!([]));
    drop(shell);
    let (mut ws, attached) = attach(&toolbox, &acme.tenant().token, &id).await.unwrap();
    assert!(attached["buffer"].as_str().unwrap().contains("one-2"), "{attached}");
    ws.ok("terminal.write", json!({"terminalId": id, "data": "echo two-$((1 + 1))\r"})).await;
    let mut seen = String::new();
    while !seen.contains("two-2") {
        seen.push_str(ws.next_event("terminal.output").await["data"].as_str().unwrap());
    }
    assert!(!acme.workspace().join("stolen").exists());
}

/// A reader that stops reading holds up its own terminal and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_holds_up_nobody() {
    let toolbox = Toolbox::start(json!({})).await;
    let hands = toolbox.hands("acme").await;
    let mut lazy = toolbox.shell(&hands, 80, 24).await;
    lazy.keys("yes | head -c 200000000; touch flooded\r").await;
    let mut other = toolbox.shell(&hands, 80, 24).await;
    assert!(other.run("echo well-$((40 + 2))").await.contains("well-42"));
    let resident = tests::resident(toolbox.gateway.supervisor_pid());
    assert!(resident < 400 << 20, "{resident} bytes of what nobody read");
    let id = lazy.id().to_owned();
    let mut operator = toolbox.operator(&hands).await;
    operator.ok("terminal.close", json!({"terminalId": id})).await;
    let left = operator.ok("terminal.list", json!({})).await;
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1, "{left}");
    assert!(other.run("echo still-$((40 + 2))").await.contains("still-42"));
}

/// That is the caller's mistake, and no failure of the launcher's.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_there_has_no_terminal() {
    for backend in ["native", "bwrap"] {
        let toolbox = Toolbox::start(json!({"sandbox": {"backend": backend}})).await;
        let hands = toolbox.hands("acme").await;
        let mut ws = toolbox.operator(&hands).await;
        let wish = json!({"agentId": "nobody", "cols": 80, "rows": 24});
        let err = ws.call("terminal.open", wish).await.unwrap_err();
        assert!(err["message"].as_str().unwrap().contains("no such agent"), "{backend}: {err}");
        ws.ok("terminal.spawn", json!({"cols": 80, "rows": 24})).await;
    }
}
