//! What becomes of backups in the store: refused where anything in them was changed, unreadable when their
//! tenant is gone, made by schedule, and removed when they are not to be kept.

use serde_json::Value;

use crate::backup::{House, said, say};

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
