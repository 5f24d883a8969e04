//! The authorisation matrix: every method of the table and every route × no token, a wrong one,
//! another tenant's, one of too small a scope, the right one. No list by hand.

use api::routes::{ROUTES, Route};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Gateway};
use types::Scope;

/// A gateway with two tenants and, for the first, one token per scope.
struct House {
    gateway: Gateway,
    none: Client,
    wrong: Client,
    other: Client,
    by_scope: Vec<(Scope, Client)>,
}

impl House {
    fn build() -> Self {
        let gateway = Gateway::start();
        gateway.tenant("acme");
        let other = gateway.tenant("globex");
        let client = |token: Option<String>| Client::new(gateway.address(), token);
        let by_scope = Scope::ALL
            .into_iter()
            .map(|scope| {
                let made = gateway.json(&[
                    "tokens",
                    "create",
                    "acme",
                    "--label",
                    scope.name(),
                    "--scope",
                    scope.name(),
                ]);
                (scope, client(Some(made["token"].as_str().unwrap().to_owned())))
            })
            .collect();
        let wrong = client(Some(format!("tk_acme_{}", "B".repeat(43))));
        let (none, other) = (client(None), client(Some(other.token)));
        Self { gateway, none, wrong, other, by_scope }
    }
}

async fn rpc(client: &Client, method: &str) -> (StatusCode, Value) {
    // Done, it would end the token of the rest of the matrix.
    let params = if method == "tenants.rotate" { json!({"noSuchField": 1}) } else { json!({}) };
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let reply = client.post("/rpc", &body).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn every_method_needs_its_own_scope_and_no_other() {
    let mut house = House::build();
    for method in api::methods() {
        for client in [&house.none, &house.wrong] {
            let (status, body) = rpc(client, method.name).await;
            assert!(
                matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS),
                "{}: {status}",
                method.name
            );
            assert!(body["result"].is_null(), "{}: {body}", method.name);
        }
        for (scope, client) in &mut house.by_scope {
            let (_, body) = rpc(client, method.name).await;
            let denied = body["error"]["data"]["code"] == "UNAUTHORIZED";
            assert_eq!(denied, *scope != method.scope, "{} with {scope}: {body}", method.name);
            if let Some(token) = body["result"]["token"].as_str() {
                // The token has rotated itself.
                *client = Client::new(house.gateway.address(), Some(token.to_owned()));
            }
        }
    }
}

#[tokio::test]
async fn another_tenants_token_sees_another_tenant() {
    let house = House::build();
    let read = &house.by_scope.iter().find(|(scope, _)| *scope == Scope::Read).unwrap().1;
    let mine = rpc(read, "tenants.get").await.1;
    let theirs = rpc(&house.other, "tenants.get").await.1;
    assert_eq!(mine["result"]["tenantId"], "acme");
    assert_eq!(theirs["result"]["tenantId"], "globex");
    let write = &house.by_scope.iter().find(|(scope, _)| *scope == Scope::Write).unwrap().1;
    let answer = write.clone().header("x-openclaw-session-key", "main");
    answer.chat("openclaw", "only acme may see this").await.answer();
    let sessions = rpc(&house.other, "sessions.list").await.1;
    assert_eq!(sessions["result"]["count"], 0, "{sessions}");
}

#[tokio::test]
async fn an_unknown_method_looks_the_same_to_all_who_have_a_token() {
    let house = House::build();
    let mut bodies = Vec::new();
    for (_, client) in &house.by_scope {
        bodies.push(rpc(client, "no.such.method").await.1);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0]["error"].is_object());
}

async fn call(client: &Client, route: &Route) -> StatusCode {
    let path = route.path.replace("{*id}", "openclaw");
    let method: Method = route.method.parse().unwrap();
    let messages = json!([{"role": "user", "content": "hi"}]);
    let hook = route.path.starts_with("/hooks/");
    let path = if hook { "/hooks/wake".to_owned() } else { path };
    let body = if route.path.ends_with("completions") {
        json!({"model": "demo", "messages": messages})
    } else if hook {
        json!({"text": "hi"})
    } else {
        json!({"model": "demo", "input": "hi"})
    };
    client.send(method, &path, body.to_string()).await.status
}

#[tokio::test]
async fn every_route_needs_its_own_scope_and_no_other() {
    let house = House::build();
    for route in ROUTES {
        for client in [&house.none, &house.wrong] {
            let status = call(client, route).await;
            assert!(
                matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS),
                "{}: {status}",
                route.path
            );
        }
        let Some(needed) = route.scope else { continue };
        for (scope, client) in &house.by_scope {
            let status = call(client, route).await;
            let expected = if *scope == needed { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, expected, "{} with {scope}", route.path);
        }
        let other = if route.method == "GET" { "DELETE" } else { "GET" };
        let path = route.path.replace("{*id}", "openclaw");
        let reply = house.other.send(other.parse().unwrap(), &path, "").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{other} {}", route.path);
    }
    assert_eq!(house.other.get("/v1/unknown").await.status, StatusCode::NOT_FOUND);
    assert!(house.gateway.log().iter().all(|line| !line.contains("tk_")));
}
