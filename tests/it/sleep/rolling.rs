//! All workers replaced one after the other while their tenants go on.

use serde_json::json;
use tests::ws::Connect;
use tests::{Provider, until};

use super::{is_awake, pid, with};

const ALL: [&str; 3] = ["operator.admin", "operator.read", "operator.write"];

#[tokio::test(flavor = "multi_thread")]
async fn all_running_workers_are_replaced_and_nobody_else_notices() {
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({"sleep": "never"}));
    let tenants: Vec<_> = (0..5).map(|n| gateway.tenant(&format!("t{n}"))).collect();
    let asleep = gateway.tenant("asleep");
    for tenant in &tenants {
        gateway.client(tenant).chat("mock", "hi").await.answer();
    }
    let before: Vec<_> = tenants.iter().map(|it| pid(&gateway, it).unwrap()).collect();
    let mut ws = Connect::new(gateway.address(), &tenants[0].token, &ALL).open().await;
    let text = "word ".repeat(40);
    let stream = gateway.client(&tenants[1]).stream("mock", &text).await;
    let rest = tokio::spawn(stream.rest());
    let report = gateway.json(&["tenants", "restart", "--all", "--at-once", "2"]);
    assert_eq!(report["restarted"].as_array().unwrap().len(), 5, "{report}");
    assert_eq!((&report["failed"], &report["stopped"]), (&json!([]), &json!(false)));
    for (tenant, before) in tenants.iter().zip(&before) {
        assert_ne!(pid(&gateway, tenant), Some(*before));
    }
    assert!(!is_awake(&gateway, &asleep), "who sleeps is left alone");
    assert_eq!(rest.await.unwrap().0, text, "what was under way was finished");
    ws.ok("sessions.list", json!({})).await;
    ws.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_worker_is_replaced_while_anothers_stream_goes_on() {
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({}));
    let (one, two) = (gateway.tenant("one"), gateway.tenant("two"));
    gateway.client(&one).chat("mock", "hi").await.answer();
    let (old, mut stream) = (pid(&gateway, &one), gateway.client(&two).stream("slow", "go").await);
    stream.next().await.unwrap();
    let neighbour = pid(&gateway, &two);
    gateway.json(&["tenants", "restart", "one", "--now"]);
    until("it is another", || pid(&gateway, &one).is_some() && pid(&gateway, &one) != old);
    for _ in 0..5 {
        let event = stream.next().await.unwrap();
        assert!(!event.contains("error"), "{event}");
    }
    assert_eq!(pid(&gateway, &two), neighbour);
}
