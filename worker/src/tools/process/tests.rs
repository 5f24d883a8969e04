//! Arguments that make no sense; what programs do is tested with `exec`.

use serde_json::json;

use crate::tools::testing::Bench;

#[tokio::test]
async fn what_is_missing_is_named() {
    let bench = Bench::new().await;
    assert_eq!(bench.refusal("process", json!({})).await, "action is missing");
    let wrong = bench.refusal("process", json!({"action": "poll"})).await;
    assert_eq!(wrong, "sessionId is missing");
    let wrong = bench.refusal("process", json!({"action": "list", "data": "x"})).await;
    assert_eq!(wrong, "data is no argument of this tool");
    let wrong = bench.refusal("process", json!({"action": "kill", "sessionId": "x"})).await;
    assert_eq!(wrong, "sessionId names no program: see list");
}
