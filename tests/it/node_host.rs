//! The official node host: it pairs, is approved, answers what it is asked, and comes back after
//! the gateway was away.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tests::{Gateway, Official, until};

/// A running node host; dropped, it is gone.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(machine: &Official, gateway: &Gateway) -> Host {
    let port = gateway.address().port().to_string();
    let mut command = machine.openclaw(&["node", "run", "--host", "127.0.0.1", "--port", &port]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Host(command.spawn().unwrap())
}

async fn call(client: &tests::Client, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    client.post("/rpc", &body).await.json()
}

fn pending(user: &Official) -> Vec<Value> {
    let listed = user.json(&["nodes", "pending", "--json"]);
    listed.as_array().or_else(|| listed["pending"].as_array()).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_pairs_and_answers() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let other = gateway.client(&gateway.tenant("globex"));
    let client = gateway.client(&tenant);
    let (user, machine) = (Official::new(&gateway, &tenant), Official::new(&gateway, &tenant));
    let host = start(&machine, &gateway);
    let (user, id) = tokio::task::spawn_blocking(move || {
        let mut asked = Vec::new();
        until("the node asks to be paired", || {
            asked = pending(&user);
            !asked.is_empty()
        });
        let request = asked[0]["requestId"].as_str().unwrap();
        let id = asked[0]["nodeId"].as_str().unwrap().to_owned();
        user.text(&["nodes", "approve", request]);
        let status = user.text(&["nodes", "status"]);
        assert!(status.contains("Paired: 1") && status.contains("Connected: 1"), "{status}");
        (user, id)
    })
    .await
    .unwrap();
    let node = id.clone();
    let found = tokio::task::spawn_blocking(move || {
        let ask = ["nodes", "invoke", "--node", &node, "--command", "system.which"];
        let ask = [&ask[..], &["--params", r#"{"bins":["sh"]}"#, "--json"]].concat();
        user.json(&ask)
    });
    let found = found.await.unwrap();
    assert!(found["payload"]["bins"]["sh"].as_str().unwrap().ends_with("/sh"), "{found}");
    let ask = json!({"nodeId": id, "command": "system.which", "params": {"bins": ["sh"]},
        "idempotencyKey": "one"});
    let stranger = call(&other, "node.invoke", ask.clone()).await;
    assert!(stranger["result"].is_null() && stranger["error"].is_object(), "{stranger}");
    assert_eq!(call(&other, "node.list", json!({})).await["result"]["nodes"], json!([]));
    drop(host);
    let gone = async || {
        let listed = call(&client, "node.describe", json!({"nodeId": id})).await;
        listed["result"]["connected"] == false
    };
    while !gone().await {
        tokio::task::yield_now().await;
    }
    let late = call(&client, "node.invoke", ask).await;
    assert_eq!(late["error"]["data"]["code"], "UNAVAILABLE", "{late}");
}
