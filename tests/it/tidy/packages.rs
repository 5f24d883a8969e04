//! What may be linked, and how much of it. The lists of licences and banned crates are deny.toml's.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata};

use super::{metadata, quoted, read};

/// TLS, HTTP clients, stores: nothing that a worker could use must be reachable from it.
const NOT_IN_A_WORKER: [&str; 5] = ["rustls", "hyper-rustls", "webpki-roots", "sled", "host"];
/// What does I/O, and so must not be reachable from a pure crate.
const NOT_IN_A_PURE_CRATE: [&str; 5] = ["tokio", "nix", "libc", "hyper", "tonic"];

/// All that the crate `name` links, itself included.
fn tree<'a>(metadata: &'a Metadata, name: &str) -> BTreeSet<&'a str> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let start = metadata.workspace_packages().into_iter().find(|it| it.name.as_str() == name);
    let (mut found, mut todo) = (BTreeSet::new(), vec![&start.unwrap().id]);
    while let Some(id) = todo.pop() {
        if found.insert(id) {
            let node = nodes.iter().find(|node| node.id == *id).unwrap();
            todo.extend(node.deps.iter().filter_map(|it| {
                it.dep_kinds.iter().any(|it| it.kind == DependencyKind::Normal).then_some(&it.pkg)
            }));
        }
    }
    // Three come of features that the client of object stores asks of crates that a worker shares with it;
    // three are the reader of Markdown, which has no smaller set of features, and what it is called from:
    // what a model writes is read in the worker, so that the supervisor need not.
    assert!(found.len() < 125 || name == "openclawmu", "{name} links {} crates", found.len());
    found.into_iter().map(|id| metadata[id].name.as_str()).collect()
}

#[test]
fn a_worker_links_no_tls_no_provider_no_store_and_pure_crates_do_no_io() {
    let metadata = metadata();
    let pure = ["types", "api", "ledger", "control-api", "networks"]
        .map(|name| (name, NOT_IN_A_PURE_CRATE));
    for (name, banned) in pure.into_iter().chain([("openclawmu-worker", NOT_IN_A_WORKER)]) {
        let tree = tree(&metadata, name);
        let found: Vec<_> = banned.into_iter().filter(|it| tree.contains(it)).collect();
        assert!(found.is_empty(), "{name} links {found:?}");
    }
}

#[test]
fn the_lock_is_small_and_nothing_in_it_is_banned() {
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    let names: Vec<_> = lock.split("\n[[package]]").skip(1).map(|it| quoted(it)[0]).collect();
    // Some seventy of them are the client of object stores and what signs for it, thirty the S3
    // service that runs inside of tests.
    assert!(names.len() < 428, "{} packages", names.len());
    let banned = deny.split("deny = [").nth(1).unwrap().split("\n]").next().unwrap();
    for line in banned.lines().skip(1).filter(|line| !line.contains("wrappers")) {
        assert!(!names.contains(&quoted(line)[0]), "banned: {line}");
    }
}

#[test]
fn every_dependency_is_from_the_registry_and_under_an_allowed_licence() {
    let (metadata, deny) = (metadata(), read("deny.toml"));
    let allowed = deny.lines().find_map(|line| line.strip_prefix("allow = ")).map(quoted).unwrap();
    for package in &metadata.packages {
        let Some(source) = &package.source else { continue };
        assert!(source.is_crates_io(), "{} is from {source}", package.name);
        let licence = package.license.clone().unwrap_or_default().replace('/', " OR ");
        // Every AND part needs one allowed alternative: never laxer than SPDX, now and then stricter.
        let fine = licence.split(" AND ").all(|part| {
            let mut names = part.trim_matches(['(', ')']).split(" OR ").map(str::trim);
            names.any(|name| allowed.contains(&name))
        });
        assert!(fine, "{} is under {licence:?}", package.name);
    }
}
