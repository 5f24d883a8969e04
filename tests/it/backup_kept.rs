//! What becomes of backups in the store: refused where anything in them was changed, unreadable when their
//! tenant is gone, made by schedule, and removed when they are not to be kept.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::backup::{House, rpc, said, say};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_the_store_is_refused_and_the_tenant_stays_as_it_is() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "before").await;
    let backup = house.create("acme");
    let (data, manifest) = house.objects(&backup);
    let (good, signed) = (std::fs::read(&data).unwrap(), std::fs::read(&manifest).unwrap());
    say(gateway, &acme, "after").await;
    gateway.announce("failed its drill");
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let middle = good.len() / 2;
    let broken = [
        ("a bit of the header", flipped(&good, 30), signed.clone()),
        ("a bit of a chunk", flipped(&good, middle), signed.clone()),
        ("the last bit", flipped(&good, good.len() - 1), signed.clone()),
        ("cut", good[..middle].to_vec(), signed.clone()),
        ("longer", [&good[..], b"x"].concat(), signed.clone()),
        ("nothing", Vec::new(), signed.clone()),
        ("a bit of the manifest", good.clone(), flipped(&signed, 40)),
        ("no manifest", good.clone(), Vec::new()),
    ];
    for (what, bytes, text) in broken {
        std::fs::write(&data, &bytes).unwrap();
        std::fs::write(&manifest, &text).unwrap();
        for args in [&["backup", "restore", &backup, "--force"][..], &["backup", "verify", &backup]]
        {
            let refused = gateway.cli(args);
            assert_eq!(refused.status.code(), Some(1), "{what} {args:?}");
        }
        let as_new = gateway.cli(&["backup", "restore", &backup, "--as", "fresh"]);
        assert_eq!(as_new.status.code(), Some(1), "{what}");
        assert_eq!(gateway.cli(&["tenants", "show", "fresh"]).status.code(), Some(4), "{what}");
        assert!(said(gateway, &acme).await.contains("after"), "{what}");
    }
    std::fs::write(&data, &good).unwrap();
    std::fs::write(&manifest, &signed).unwrap();
    gateway.json(&["backup", "verify", &backup]);
    // With the tenant its key goes, and with the key its backups.
    gateway.json(&["tenants", "delete", "acme", "--yes"]);
    assert_eq!(gateway.cli(&["backup", "restore", &backup]).status.code(), Some(2));
    gateway.tenant("acme");
    let gone = gateway.cli(&["backup", "restore", &backup, "--force"]);
    assert_eq!(gone.status.code(), Some(1));
    let listed = gateway.json(&["backup", "list", "acme"]);
    assert_eq!(listed["backups"][0]["verified"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_by_schedule_while_the_tenant_sleeps_and_old_ones_go() {
    let house = House::with(", every: '1d', keep: { newest: 2 }");
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "hello").await;
    let listed = || gateway.json(&["backup", "list", "acme"])["backups"].as_array().unwrap().len();
    gateway.json(&["backup", "schedule", "acme", "--every", "1m"]);
    tests::until("the schedule makes one", || listed() > 0);
    gateway.json(&["backup", "schedule", "acme", "--every", "off"]);
    let shown = gateway.json(&["backup", "schedule", "acme"]);
    assert_eq!((&shown["everySeconds"], &shown["nextAt"]), (&Value::Null, &Value::Null));
    assert!(shown["lastAt"].is_string() && shown["failures"] == 0, "{shown}");
    let newest = (0..3).map(|_| house.create("acme")).last().unwrap();
    assert_eq!(listed(), 2);
    assert_eq!(gateway.json(&["backup", "list", "acme"])["backups"][0]["id"], newest.as_str());
    gateway.json(&["backup", "schedule", "acme", "--keep", "1"]);
    let pruned = gateway.json(&["backup", "prune", "acme"]);
    assert_eq!(pruned["removed"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.json(&["backup", "list", "acme"])["backups"][0]["id"], newest.as_str());
    assert_eq!(
        gateway.cli(&["backup", "schedule", "acme", "--every", "5s"]).status.code(),
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenants_programs_have_closed_goes_along_and_comes_back_closed() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "hello").await;
    let workspace = || {
        let worker = gateway.worker_pid(&acme);
        PathBuf::from(format!("/proc/{worker}/root/tenant/agents/main/workspace"))
    };
    let at = workspace();
    let owner = std::fs::metadata(&at).unwrap();
    std::fs::create_dir(at.join("vault")).unwrap();
    let closed = [("vault/inner", 0o000), ("key", 0o000), ("write-only", 0o200), ("vault", 0o600)];
    for (name, mode) in closed {
        let path = at.join(name);
        if name != "vault" {
            std::fs::write(&path, name).unwrap();
        }
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let made = gateway.json(&["backup", "create", "acme"]);
    assert_eq!((&made["contents"]["leftOut"], &made["askedBy"]), (&json!(0), &json!("operator")));
    let check = || {
        for (name, mode) in closed {
            let path = workspace().join(name);
            let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, mode, "{name}");
            assert!(name == "vault" || std::fs::read_to_string(&path).unwrap() == name);
        }
    };
    check();
    std::fs::remove_file(at.join("key")).unwrap();
    gateway.json(&["backup", "restore", made["id"].as_str().unwrap(), "--force"]);
    check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_backs_itself_up_and_costs_its_operator_nothing() {
    let house = House::with(", keep: { newest: 1 }");
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "hello").await;
    let operators = house.create("acme");
    for _ in 0..3 {
        let made = rpc(&gateway.client(&acme), "tenants.backup", json!({})).await;
        assert!(made["error"].is_null(), "{made}");
    }
    let listed = |by: &str| {
        let all = gateway.json(&["backup", "list", "acme"])["backups"].clone();
        let all = all.as_array().unwrap().clone().into_iter().filter(|it| it["askedBy"] == by);
        all.map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((listed("operator"), listed("tenant").len()), (vec![operators.clone()], 3));
    let newest = house.create("acme");
    assert_eq!((listed("operator"), listed("tenant").len()), (vec![newest], 3));
    let trail = gateway.cli(&["audit", "tail", "--lines", "50", "--json"]);
    let trail = String::from_utf8_lossy(&trail.stdout).into_owned();
    let retired = |line: &str| line.contains("backup.retire") && line.contains(&operators);
    assert!(trail.lines().any(retired), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_with_a_key_says_which_tokens_are_good_again_or_leaves_them_out() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "hello").await;
    let args = ["tokens", "create", "acme", "--label", "late", "--scope", "operator.read"];
    let token = gateway.json(&args)["id"].as_str().unwrap().to_owned();
    let backup = house.create("acme");
    gateway.json(&["tokens", "revoke", "acme", &token]);
    let out = tempfile::tempdir().unwrap();
    let key = out.path().join("key.json");
    let key = key.to_str().unwrap();
    gateway.json(&["backup", "key", "export", "acme", "--out", key]);
    gateway.json(&["tenants", "delete", "acme", "--yes"]);
    let without = ["backup", "restore", &backup, "--key-file", key, "--without-tokens"];
    let restored = gateway.json(&without);
    assert_eq!((&restored["tokens"], &restored["validTokens"]), (&json!("new"), &Value::Null));
    assert!(restored["token"].is_string());
    let listed = gateway.json(&["tokens", "list", "acme"]);
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1, "{listed}");
    gateway.json(&["tenants", "delete", "acme", "--yes"]);
    let restored = gateway.json(&["backup", "restore", &backup, "--key-file", key]);
    assert_eq!((&restored["tokens"], &restored["validTokens"]), (&json!("restored"), &json!(2)));
    assert!(said(gateway, &acme).await.contains("hello"));
}
