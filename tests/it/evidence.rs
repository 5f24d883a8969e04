//! Evidence of a tenant's boundary: the one of a healthy worker verifies, with root and without; one
//! byte changed and it does not; of a worker that lacks a layer it names the layer. What its probes
//! attempt inside succeeds outside.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use control_api::Finding;
use evidence::{Opened, Report, Standing, check, layers};
use sandbox::STEPS;
use serde_json::{Value, json};
use tests::{Builder, Gateway, Tenant, is_alive, program, until};

/// Somebody without root.
const ORDINARY: u32 = 54_321;
/// What a probe exits with that got what it reached for, and what a program does that was executed in
/// its place.
const ALLOWED: [i32; 2] = [102, 0];
/// Changes of one byte that are tried.
const CHANGES: usize = 2_000;

/// Evidence of a tenant, as the command line writes it.
struct Evidence {
    folder: tempfile::TempDir,
    summary: Value,
    good: bool,
}

impl Evidence {
    fn of(gateway: &Gateway, tenant: &Tenant) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The command line runs as the gateway's own user.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        let (file, html) = (folder.path().join("acme.json"), folder.path().join("acme.html"));
        let (out, page) = (file.to_str().unwrap(), html.to_str().unwrap());
        let args = ["tenants", "evidence", &tenant.id, "--out", out, "--html", page, "--json"];
        let output = gateway.cli(&args);
        let summary = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&output.stderr)));
        Self { folder, summary, good: output.status.success() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("acme.json")
    }

    fn html(&self) -> PathBuf {
        self.folder.path().join("acme.html")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    fn report(&self) -> Report {
        let Opened { report, .. } = evidence::open(&self.bytes(), None).unwrap();
        report
    }
}

/// Runs `evidence verify`, which asks no gateway.
fn verify(file: &Path, key: Option<&Path>) -> (bool, Value) {
    let mut command = Command::new(program("openclawmu"));
    command.args(["--json", "evidence", "verify"]).arg(file);
    if let Some(key) = key {
        command.arg("--public-key").arg(key);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

fn check_healthy(gateway: &Gateway, tenant: &Tenant, mode: &str) -> Evidence {
    let evidence = Evidence::of(gateway, tenant);
    assert_eq!(evidence.summary["complaints"], json!([]), "{}", evidence.summary);
    assert!(evidence.good);
    let key = gateway.state_dir().join("keys/evidence.pub");
    for file in [evidence.file(), evidence.html()] {
        let (verified, summary) = verify(&file, Some(&key));
        assert!(verified, "{summary}");
        assert_eq!(summary["keyCompared"], true);
    }
    let report = evidence.report();
    assert_eq!((report.tenant.as_str(), report.host.mode.as_str()), (&*tenant.id, mode));
    assert!(report.layers.iter().all(|layer| layer.standing == Standing::Ok));
    assert!(report.probes.len() >= 40, "{}", report.probes.len());
    let told = gateway.cli(&["evidence", "key"]);
    assert_eq!(told.stdout, std::fs::read(&key).unwrap());
    evidence
}

#[test]
fn a_healthy_workers_evidence_verifies_and_a_changed_byte_does_not() {
    let gateway = Gateway::start();
    let (acme, globex) = (gateway.tenant("acme"), gateway.tenant("globex"));
    // What is reached for is really there. The other tenant's own worker sleeps.
    gateway.worker_pid(&globex);
    let evidence = check_healthy(&gateway, &acme, "root");
    let good = evidence.bytes();
    let mut seed = 9_u64;
    let mut chance = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % end
    };
    for _ in 0..CHANGES {
        let (at, by) = (chance(good.len()), 1 + chance(255));
        let mut bad = good.clone();
        bad[at] ^= u8::try_from(by).unwrap();
        assert!(evidence::open(&bad, None).is_err(), "byte {at} changed by {by}");
    }
    let bad = String::from_utf8(good).unwrap().replacen("SIGSYS", "EPERMS", 1);
    std::fs::write(evidence.file(), bad).unwrap();
    assert!(!verify(&evidence.file(), None).0);
    // Another installation's key.
    let other = evidence.folder.path().join("other.pub");
    let key = evidence::Key::random().unwrap().public();
    std::fs::write(&other, format!("{key}\n")).unwrap();
    assert!(verify(&evidence.html(), None).0);
    assert!(!verify(&evidence.html(), Some(&other)).0);
}

#[test]
fn without_root_the_same_probes_are_made_and_the_losses_are_named() {
    let gateway = Builder::default().uid(ORDINARY).start();
    gateway.announce("guarantee not given");
    let acme = gateway.tenant("acme");
    let report = check_healthy(&gateway, &acme, "rootless").report();
    assert!(report.not_given.iter().any(|lost| lost.guarantee == "distinct-uids"));
}

#[test]
fn evidence_of_one_tenant_is_gathered_once_at_a_time_and_leaves_nothing() {
    let gateway = Gateway::start();
    let acme = gateway.tenant("acme");
    let worker = gateway.worker_pid(&acme);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let ask = || gateway.cli(&["tenants", "evidence", "acme"]);
        let all: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for output in &outcomes {
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || told.contains("gathered already"), "{told}");
    }
    assert!(outcomes.iter().any(|output| output.status.success()));
    // The worker noticed nothing, and nobody is left in its process namespace.
    assert_eq!(gateway.worker_pid(&acme), worker);
    let inside = std::fs::read_link(format!("/proc/{worker}/ns/pid")).unwrap();
    let others = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path().join("ns/pid");
        std::fs::read_link(path).is_ok_and(|other| other == inside)
    });
    assert_eq!(others.count(), 1);
}

/// A worker that was changed behind the supervisor's back: the evidence says so, `drift` says so and
/// stops it, and the next one is whole.
#[test]
fn a_worker_that_drifts_is_named_and_stopped() {
    let gateway = Gateway::start();
    for told in ["layer not as declared", "not as declared", "confinement differs", "it differs"] {
        gateway.announce(told);
    }
    let (acme, globex) = (gateway.tenant("acme"), gateway.tenant("globex"));
    let workers = [&acme, &globex].map(|tenant| gateway.worker_pid(tenant));
    let drift = gateway.json(&["drift"]);
    assert_eq!(drift["ok"], true, "{drift}");
    assert_eq!(drift["workers"].as_array().unwrap().len(), 2);
    gateway.json(&["tenants", "limits", "globex", "--pids-max", "99"]);
    // As root, from outside: what was one bound becomes two.
    let pid = format!("--pid={}", workers[0]);
    let changed = Command::new("prlimit").args([&pid, "--nofile=100:1000"]).status().unwrap();
    assert!(changed.success());
    let evidence = Evidence::of(&gateway, &acme);
    assert!(!evidence.good);
    assert!(evidence.summary["complaints"].to_string().contains("layer limits"));
    let (verified, summary) = verify(&evidence.file(), None);
    assert!(!verified && summary["verified"] == false, "{summary}");
    let output = gateway.cli(&["drift", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let drift: Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = |n: usize| drift["workers"][n]["state"].as_str().unwrap();
    assert_eq!([state(0), state(1)], ["differs", "outdated"], "{drift}");
    assert_eq!(drift["workers"][0]["findings"][0]["what"], "open files limit");
    until("the worker is stopped", || !is_alive(workers[0]));
    assert!(is_alive(workers[1]), "one that is only outdated goes on");
    check_healthy(&gateway, &acme, "root");
}

/// The control: outside of any boundary every single attempt succeeds, so that each can fail.
#[test]
fn every_probe_succeeds_outside() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "x").unwrap();
    let _listener = UnixListener::bind(path("socket")).unwrap();
    let name = format!("evidence-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut target = Command::new("sleep").arg("60").spawn().unwrap();
    let (port, pid) = (tcp.local_addr().unwrap().port().to_string(), target.id().to_string());
    let list = Command::new(program("unconfined_probe")).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let mut failed = Vec::new();
    for (index, probe) in list.lines().enumerate() {
        let words = [&index.to_string(), &path("file"), &path(""), &path("file"), &path("socket")];
        let mut command = Command::new(program("unconfined_probe"));
        command.args(words).args([&name, &path(""), &pid, &pid, &port]);
        let code = command.output().unwrap().status.code();
        if !code.is_some_and(|code| ALLOWED.contains(&code)) {
            failed.push((probe, code));
        }
    }
    target.kill().unwrap();
    target.wait().unwrap();
    assert!(list.lines().count() >= 20, "{list}");
    assert_eq!(failed, []);
}

/// What is found of a worker whose launch, or whose own confinement, left something out; none where
/// there was no worker at all.
fn sabotaged(words: &[&str]) -> Option<Vec<Finding>> {
    let state = tempfile::Builder::new().prefix("ocmu-").tempdir().unwrap();
    let mut command = Command::new(program("boundary"));
    let output = command.arg(state.path()).arg(program("escape")).args(words).output().unwrap();
    assert!(!output.status.success(), "{words:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let finding = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        Some(Finding { what: text("finding")?, expected: text("expected")?, found: text("found")? })
    };
    lines.lines().map(finding).collect()
}

/// Which layer a step makes. One that is not here makes no worker at all when it is left out.
fn layer_of(step: &str) -> &'static str {
    match step {
        "seccomp" => "seccomp",
        "landlock" => "landlock",
        "pid namespace" => "pid namespace",
        "net namespace" => "net namespace",
        "ipc namespace" => "ipc namespace",
        "cgroup namespace" => "cgroup namespace",
        "user namespace" => "user namespace",
        "cgroup" | "resource limits" => "limits",
        "devices" | "read-only root" => "mounts",
        "ids" => "ids",
        "no new privileges" => "no_new_privs",
        other => panic!("nothing is known of the step {other}"),
    }
}

/// For each layer in turn, a real worker that lacks it: its evidence names the layer, and does not
/// verify however it is signed.
#[test]
fn every_missing_layer_is_named() {
    let gateway = Gateway::start();
    let healthy = check_healthy(&gateway, &gateway.tenant("acme"), "root").report();
    let launch = STEPS.iter().filter(|step| step.is_for_workers());
    let launch = launch.map(|step| ("without", step.name()));
    let mut named = 0;
    for (how, step) in launch.chain([("skip", "seccomp"), ("skip", "landlock")]) {
        let Some(findings) = sabotaged(&[how, step]) else { continue };
        let layer = layer_of(step);
        let mut report = healthy.clone();
        report.boundary.findings = findings;
        report.boundary.verified = false;
        report.verified = false;
        report.layers = layers(&report.boundary, &report.declared, &report.host);
        let bad = report.layers.iter().filter(|it| it.standing != Standing::Ok);
        let bad: Vec<_> = bad.map(|it| it.name.as_str()).collect();
        assert!(bad.contains(&layer), "{step}: {bad:?}");
        let key = evidence::Key::random().unwrap();
        report.installation = key.public().installation();
        for lie in [false, true] {
            report.verified = lie;
            let file = evidence::seal(&report, &key).unwrap();
            let complaints = check(&evidence::open(&file, None).unwrap().report);
            let what = format!("layer {layer}: ");
            assert!(complaints.iter().any(|it| it.what.starts_with(&what)), "{complaints:?}");
        }
        named += 1;
    }
    assert!(named >= 8, "only {named} steps left a worker to look at");
}
