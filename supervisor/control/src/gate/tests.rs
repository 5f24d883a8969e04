//! Every row of the table against every kind of caller, and what every reply carries.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ::auth::{Auth, KeySpec};
use axum::body::Body;
use control_api::Failure;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use records::Records;
use runtime::Tasks;
use tower::ServiceExt as _;
use types::{ManualClock, Role};

use super::*;
use crate::document::document;
use crate::routes::{routes, rows};

const REMOTE: Peer = Peer::Remote(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const LOCAL: Peer = Peer::Local { uid: 0 };

/// Answers for every handler, so that what comes through is what the gate let through.
#[derive(Clone)]
pub(crate) struct LetThrough;

impl Run for LetThrough {
    fn run(&self, _: &dyn Handler, allowed: Allowed, _: Request) -> Running {
        Box::pin(async move {
            if let Some(intent) = allowed.intent {
                intent.end(audit::Ended::done()).await;
            }
            reply::json(StatusCode::OK, &allowed.permit.what())
        })
    }
}

struct Bench {
    router: Router,
    auth: Auth,
    tasks: Tasks,
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(1_795_334_400_000));
        let auth = Auth::load(Records::in_memory(), clock).await.unwrap();
        let (requests, tasks) = (Requests::default(), Tasks::default());
        let audit = Audit::none();
        let gate = Gate { auth: auth.clone(), audit, requests, tasks: tasks.clone() };
        Self { router: router(rows(), &gate, &LetThrough), auth, tasks }
    }

    async fn key(&self, role: Role) -> String {
        let owner = self.auth.local_operator(0);
        let permit = self.auth.authorize_operator(&owner, Role::Owner, "createKey").unwrap();
        let spec = KeySpec { label: role.name().to_owned(), role, expires_at: None };
        self.auth.issue_key(&permit, spec).await.unwrap().key.expose().to_owned()
    }

    async fn ask(&self, method: &str, path: &str, peer: Peer, key: Option<&str>) -> Reply {
        let path = path.replace("{id}", "acme").replace("{tokenId}", "t").replace("{keyId}", "k");
        let mut request = http::Request::builder().method(method).uri(path).extension(peer);
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        reply.holds_what_every_reply_holds();
        reply
    }
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Reply {
    fn holds_what_every_reply_holds(&self) {
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(self.headers.get("cache-control").unwrap(), "no-store");
        assert_eq!(self.headers.get("x-content-type-options").unwrap(), "nosniff");
        if self.status >= 400 {
            let failure: Failure = serde_json::from_slice(&self.body).unwrap();
            assert_eq!(failure.error.request_id, id);
            assert_eq!(failure.error.code.status(), self.status);
        }
    }
}

#[tokio::test]
async fn every_row_lets_through_whom_it_names_and_nobody_else() {
    let bench = Bench::new().await;
    let mut callers = vec![(REMOTE, None, None), (LOCAL, None, Some(Role::Owner))];
    callers.push((REMOTE, Some("ak_wrong".to_owned()), None));
    callers.push((REMOTE, Some("tk_acme_wrong".to_owned()), None));
    for role in [Role::Auditor, Role::Operator, Role::Owner] {
        callers.push((REMOTE, Some(bench.key(role).await), Some(role)));
    }
    for row in rows() {
        for (peer, key, role) in &callers {
            let reply = bench.ask(row.method.as_str(), row.path, *peer, key.as_deref()).await;
            let who = role.map_or("nobody", Role::name);
            let seen = format!("{} {} as {who}: {}", row.method, row.path, reply.status);
            match (row.needs(), role) {
                (None, _) => assert_eq!(reply.status, 200, "{seen}"),
                (Some(_), None) => assert!(matches!(reply.status, 401 | 429), "{seen}"),
                (Some(needs), Some(role)) if *role < needs => {
                    assert_eq!(reply.status, 403, "{seen}");
                }
                (Some(_), Some(_)) => {
                    assert_eq!(reply.status, 200, "{seen}");
                    assert_eq!(reply.body, format!("\"{}\"", row.operation));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_says_how_to_come_in() {
    let bench = Bench::new().await;
    let reply = bench.ask("GET", "/v1/status", REMOTE, None).await;
    assert_eq!(reply.status, 401);
    assert!(reply.headers.get("www-authenticate").is_some());
    let mut statuses = BTreeSet::new();
    for _ in 0..100 {
        let reply = bench.ask("GET", "/v1/status", REMOTE, Some("ak_guess")).await;
        assert_eq!(reply.headers.contains_key("retry-after"), reply.status == 429);
        statuses.insert(reply.status);
    }
    assert_eq!(statuses, BTreeSet::from([401, 429]), "guessing is slowed down");
    let key = bench.key(Role::Auditor).await;
    assert_eq!(bench.ask("GET", "/v1/status", REMOTE, Some(&key)).await.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_envelope() {
    let bench = Bench::new().await;
    assert_eq!(bench.ask("GET", "/v1/nothing", LOCAL, None).await.status, 404);
    assert_eq!(bench.ask("GET", "/v1/tenants/a/b/c", LOCAL, None).await.status, 404);
    assert_eq!(bench.ask("PUT", "/v1/tenants", LOCAL, None).await.status, 405);
    assert_eq!(bench.ask("DELETE", "/health", LOCAL, None).await.status, 405);
}

#[tokio::test]
async fn only_readiness_changes_when_the_gateway_stops() {
    let bench = Bench::new().await;
    assert_eq!(bench.ask("GET", "/readyz", REMOTE, None).await.status, 200);
    bench.tasks.stop();
    assert_eq!(bench.ask("GET", "/healthz", REMOTE, None).await.status, 200);
    let request = http::Request::get("/ready").extension(REMOTE).body(Body::empty()).unwrap();
    assert_eq!(bench.router.clone().oneshot(request).await.unwrap().status(), 503);
}

#[test]
fn a_key_stands_in_one_place_only() {
    let check = |headers: &[(&str, &str)], expected: Option<&str>| {
        let mut request = http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        assert_eq!(bearer(&request.body(Body::empty()).unwrap()), expected, "{headers:?}");
    };
    check(&[("authorization", "Bearer ak_x")], Some("ak_x"));
    check(&[("authorization", "bearer ak_x")], Some("ak_x"));
    check(&[("authorization", "ak_x")], None);
    check(&[("authorization", "Basic ak_x")], None);
    check(&[("authorization", "Bearer ak_x"), ("authorization", "Bearer ak_y")], None);
    check(&[("x-api-key", "ak_x")], None);
}

#[test]
fn the_document_holds_every_row_and_no_other() {
    let json = document(&rows()).to_json().unwrap();
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            documented.insert((method.to_uppercase(), path.clone(), id.to_owned()));
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = name.trim_end_matches('}');
                let named = |one: &serde_json::Value| one["name"] == name && one["in"] == "path";
                assert!(parameters.iter().any(named), "{path} does not document {name}");
            }
        }
    }
    let table = routes();
    let rows: BTreeSet<_> = table
        .iter()
        .map(|row| (row.method.to_owned(), row.path.to_owned(), row.operation.to_owned()))
        .collect();
    assert_eq!(documented, rows);
    let operations: BTreeSet<_> = table.iter().map(|row| row.operation).collect();
    assert_eq!(operations.len(), table.len(), "operations have names of their own");
    for reference in json.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is missing");
    }
}

#[test]
fn deleting_and_keys_need_an_owner_and_reading_changes_nothing() {
    for route in routes() {
        let (needs, path) = (route.needs, route.path);
        match route.method {
            "GET" => assert!(needs <= Some(Role::Owner), "{path}"),
            _ => assert!(needs >= Some(Role::Operator), "{path}"),
        }
        if path.starts_with("/v1/keys") || (route.method == "DELETE" && path.ends_with("{id}")) {
            assert_eq!(needs, Some(Role::Owner), "{path}");
        }
    }
}
