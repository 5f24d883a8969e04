//! A gateway that is killed in the middle of a backup or a restore: the next start finishes or undoes it,
//! and nothing half done is to be seen.

use std::time::{Duration, Instant};

use tests::until;

use crate::backup::{House, said, say};

/// Kills of each kind: the step that is hit differs with the moment.
const KILLS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_restore_leaves_the_one_or_the_other() {
    let mut house = House::start();
    let acme = house.gateway.tenant("acme");
    say(&house.gateway, &acme, "the old word").await;
    let backup = house.create("acme");
    say(&house.gateway, &acme, "the new word").await;
    let took = {
        let started = Instant::now();
        house.gateway.json(&["backup", "verify", &backup]);
        started.elapsed()
    };
    for text in [
        "under way is undone",
        "decided when the tenant starts",
        "half restored",
        "a timer could not be rung",
        "old root",
    ] {
        house.gateway.announce(text);
    }
    for kill in 0..KILLS {
        let wait = took * kill / (KILLS - 2);
        std::thread::scope(|scope| {
            let gateway = &house.gateway;
            let backup = &backup;
            let restore =
                scope.spawn(move || gateway.cli(&["backup", "restore", backup, "--force"]));
            std::thread::sleep(wait + Duration::from_millis(20));
            let pid = nix::unistd::Pid::from_raw(gateway.supervisor_pid());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            restore.join().unwrap();
        });
        house.gateway.gone_and_restart();
        let text = said(&house.gateway, &acme).await;
        assert!(text.contains("the old word"), "{kill}: {text}");
        // Whichever it is, it works, and the same restore can be asked for again.
        say(&house.gateway, &acme, "the new word").await;
        house.gateway.json(&["backup", "verify", &backup]);
        let root = house.gateway.root(&acme);
        let beside = std::fs::read_dir(root.parent().unwrap()).unwrap();
        let beside: Vec<_> = beside.map(|it| it.unwrap().file_name()).collect();
        assert!(beside.iter().all(|it| !it.to_string_lossy().contains("staged")), "{beside:?}");
    }
    house.gateway.json(&["backup", "restore", &backup, "--force"]);
    assert!(!said(&house.gateway, &acme).await.contains("the new word"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_backup_or_of_a_new_tenant_leaves_nothing() {
    let mut house = House::start();
    let acme = house.gateway.tenant("acme");
    say(&house.gateway, &acme, "a word").await;
    let backup = house.create("acme");
    house.gateway.announce("half restored");
    for kill in 0..KILLS {
        std::thread::scope(|scope| {
            let gateway = &house.gateway;
            let backup = &backup;
            let create = scope.spawn(move || gateway.cli(&["backup", "create", "acme"]));
            let restore =
                scope.spawn(move || gateway.cli(&["backup", "restore", backup, "--as", "fresh"]));
            std::thread::sleep(Duration::from_millis(u64::from(kill) * 60 + 5));
            let pid = nix::unistd::Pid::from_raw(gateway.supervisor_pid());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            let (created, restored) = (create.join().unwrap(), restore.join().unwrap());
            drop((created, restored));
        });
        house.gateway.gone_and_restart();
        until("what is left over is removed", || {
            let folder = house.store.path().join("backups/acme");
            let names = std::fs::read_dir(folder).unwrap().flatten();
            names.into_iter().all(|it| it.path().join("manifest").exists())
        });
        // It is whole, and then it has its token; or it is not there.
        if house.gateway.cli(&["tenants", "show", "fresh"]).status.success() {
            house.gateway.json(&["tenants", "delete", "fresh", "--yes"]);
        }
        let listed = house.gateway.json(&["backup", "list", "acme"]);
        for listed in listed["backups"].as_array().unwrap() {
            house.gateway.json(&["backup", "verify", listed["id"].as_str().unwrap()]);
        }
    }
}
