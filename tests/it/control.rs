//! The control plane and the command line: the machine-readable shapes that scripts rely on.

use http::{Method, StatusCode};
use serde_json::json;
use tests::{Client, Gateway};

#[tokio::test(flavor = "multi_thread")]
async fn the_shapes_that_scripts_rely_on() {
    let gateway = Gateway::start();
    let created = gateway.json(&["tenants", "create", "acme", "--memory-max", "128M"]);
    for key in ["id", "token", "createdAt"] {
        assert!(created.get(key).is_some(), "{created}");
    }
    let list = gateway.json(&["tenants", "list"]);
    assert_eq!(list["tenants"][0]["id"], "acme");
    assert_eq!(list["tenants"][0]["state"], "stopped");
    assert!(list["next"].is_null());
    let shown = gateway.json(&["tenants", "show", "acme"]);
    assert!(shown["worker"].is_null() && shown["limits"].is_object(), "{shown}");
    let token =
        gateway.json(&["tokens", "create", "acme", "--label", "x", "--scope", "operator.read"]);
    for key in ["id", "token", "scopes", "label", "expiresAt"] {
        assert!(token.get(key).is_some(), "{token}");
    }
    let usage = gateway.json(&["usage", "acme"]);
    for key in
        ["tenant", "window", "requests", "inputTokens", "outputTokens", "costMicros", "limits"]
    {
        assert!(usage.get(key).is_some(), "{usage}");
    }
    let doctor = gateway.json(&["doctor"]);
    assert!(!doctor["checks"].as_array().unwrap().is_empty());
    assert!(doctor["checks"].as_array().unwrap().iter().all(|check| check["status"] != "fail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_shows_the_boundary_that_the_kernel_sees() {
    let gateway = Gateway::start();
    gateway.tenant_with("acme", &["--memory-max", "128M", "--pids-max", "32", "--cpu-max", "0.5"]);
    let seen = gateway.json(&["tenants", "inspect", "acme"]);
    assert_eq!(seen["verified"], true, "{seen}");
    assert_eq!(seen["findings"], json!([]));
    assert_eq!(seen["mode"], "root");
    assert_eq!(seen["seccomp"]["mode"], 2);
    assert_eq!(seen["noNewPrivs"], true);
    for set in ["effective", "permitted", "bounding", "inheritable", "ambient"] {
        assert_eq!(seen["capabilities"][set], "0000000000000000", "{set}");
    }
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        assert!(seen["namespaces"][name].is_u64(), "{name}: {seen}");
        assert_ne!(seen["namespaces"][name], seen["supervisorNamespaces"][name], "{name}");
    }
    assert_eq!(seen["networkInterfaces"], json!(["lo"]));
    assert_eq!(seen["cgroup"]["memoryMax"], 128 << 20);
    assert_eq!(seen["cgroup"]["pidsMax"], 32);
    assert!(seen["pssBytes"].as_u64().unwrap() > 0);
    let fds = seen["descriptors"].as_array().unwrap();
    let kind = |n: usize| fds[n]["kind"].as_str().unwrap();
    assert_eq!([kind(0), kind(1), kind(2), kind(3)], ["socket", "null", "pipe", "socket"]);
    assert!(fds.iter().all(|fd| fd["kind"] != "directory" && fd["kind"] != "file"), "{fds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_what_went_wrong() {
    let gateway = Gateway::start();
    gateway.tenant("acme");
    let check = |args: &[&str], code: i32| {
        let output = gateway.cli(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    };
    check(&["tenants", "show", "acme"], 0);
    check(&["tenants", "create", "acme"], 1);
    check(&["tenants", "create", "Not An Id"], 2);
    check(&["nonsense"], 2);
    check(&["tenants", "show", "nobody"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_keys_have_roles() {
    let gateway = Gateway::start();
    gateway.tenant("acme");
    let key = |role: &str| {
        let made = gateway.json(&["keys", "create", "--label", role, "--role", role]);
        Client::new(gateway.control(), Some(made["key"].as_str().unwrap().to_owned()))
    };
    let (auditor, operator, owner) = (key("auditor"), key("operator"), key("owner"));
    let none = Client::new(gateway.control(), None);
    assert_eq!(none.get("/v1/tenants").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(auditor.get("/v1/tenants").await.status, StatusCode::OK);
    let create = json!({"id": "globex"});
    assert_eq!(auditor.post("/v1/tenants", &create).await.status, StatusCode::FORBIDDEN);
    assert_eq!(operator.post("/v1/tenants", &create).await.status, StatusCode::CREATED);
    assert_eq!(operator.post("/v1/tenants", &create).await.status, StatusCode::CONFLICT);
    let unknown = json!({"id": "x", "role": "owner"});
    let refused = operator.post("/v1/tenants", &unknown).await.status;
    assert!(matches!(refused, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY));
    let delete =
        async |client: &Client| client.send(Method::DELETE, "/v1/tenants/globex", "").await.status;
    assert_eq!(delete(&operator).await, StatusCode::FORBIDDEN);
    assert!(delete(&owner).await.is_success());
    assert_eq!(owner.get("/openapi.json").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_an_idempotency_key_happens_once() {
    let gateway = Gateway::start();
    let made = gateway.json(&["keys", "create", "--label", "x", "--role", "operator"]);
    let client = Client::new(gateway.control(), Some(made["key"].as_str().unwrap().to_owned()));
    let client = client.header("idempotency-key", "create-acme-1");
    let first = client.post("/v1/tenants", &json!({"id": "acme"})).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = client.post("/v1/tenants", &json!({"id": "acme"})).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.json()["id"], "acme");
    assert!(again.json()["token"].is_null());
    let other = client.post("/v1/tenants", &json!({"id": "globex"})).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
}
