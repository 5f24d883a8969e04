//! `OpenClaw`'s headless node, unmodified: offered, approved, asked, missed, and back again.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::ws::{Connect, Ws};
use tests::{Gateway, Official};

const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write", "operator.pairing"];

/// How long something may take that Node must start for.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_approved_and_asked() {
    let gateway = Gateway::start();
    let (mine, theirs) = (gateway.tenant("acme"), gateway.tenant("other"));
    let mut operator = Connect::new(gateway.address(), &mine.token, ALL).open().await;
    let mut stranger = Connect::new(gateway.address(), &theirs.token, ALL).open().await;
    let machine = Official::new(&gateway, &mine);
    let mut host = Host::start(&machine, gateway.address());

    let asked = operator.next_event("node.pair.requested").await;
    let list = operator.ok("node.pair.list", json!({})).await;
    let pending = &list["pending"][0];
    assert_eq!(list["paired"], json!([]));
    assert_eq!(pending["requestId"], asked["requestId"], "{list}");
    assert!(pending["commands"].as_array().unwrap().contains(&json!("system.which")), "{list}");
    let id = pending["nodeId"].as_str().unwrap().to_owned();
    let early = which(&mut operator, &id).await.unwrap_err();
    assert_eq!(early["code"], "UNAVAILABLE");
    assert_eq!(early["details"]["code"], "PAIRING_REQUIRED", "{early}");

    let approve = json!({"requestId": pending["requestId"]});
    stranger.call("node.pair.approve", approve.clone()).await.unwrap_err();
    operator.ok("node.pair.approve", approve).await;
    assert_eq!(operator.next_event("node.pair.resolved").await["decision"], "approved");
    assert_shell(which(&mut operator, &id).await);

    let none = json!({"pending": [], "paired": []});
    assert_eq!(stranger.ok("node.pair.list", json!({})).await, none);
    assert_eq!(stranger.ok("node.list", json!({})).await["nodes"], json!([]));
    let unknown = which(&mut stranger, "0000").await.unwrap_err();
    assert_eq!(which(&mut stranger, &id).await.unwrap_err(), unknown);
    assert_eq!(stranger.seen("node.pair.requested"), 0);

    host.stop();
    let gone = when(&mut operator, &id, Result::is_err).await.unwrap_err();
    assert_eq!(gone["details"]["code"], "NOT_CONNECTED", "{gone}");
    assert_eq!(operator.ok("node.list", json!({})).await["nodes"][0]["connected"], false);

    // Approved once is approved: the same machine only has to come back.
    host = Host::start(&machine, gateway.address());
    assert_shell(when(&mut operator, &id, Result::is_ok).await);
    host.stop();
    operator.close().await;
    stranger.close().await;
}

fn assert_shell(answer: Result<Value, Value>) {
    let answer = answer.unwrap();
    let payload: Value = serde_json::from_str(answer["payloadJSON"].as_str().unwrap()).unwrap();
    assert_eq!(answer["payload"], payload);
    assert!(payload["bins"]["sh"].as_str().unwrap().ends_with("/sh"), "{answer}");
}

/// Asks the node where the shell is.
async fn which(operator: &mut Ws, id: &str) -> Result<Value, Value> {
    let key = format!("{:?}", Instant::now());
    let params = json!({"nodeId": id, "command": "system.which", "params": {"bins": ["sh"]},
        "timeoutMs": 30_000, "idempotencyKey": key});
    operator.call("node.invoke", params).await
}

/// Asks until the answer is as `wanted`.
async fn when(
    operator: &mut Ws,
    id: &str,
    wanted: fn(&Result<Value, Value>) -> bool,
) -> Result<Value, Value> {
    let started = Instant::now();
    loop {
        let answer = which(operator, id).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A running node with everything that it starts; dropped, all of it is killed.
struct Host {
    child: Child,
    output: PathBuf,
}

impl Host {
    fn start(machine: &Official, gateway: SocketAddr) -> Self {
        let output = machine.home().join("node.log");
        let log = File::create(&output).unwrap();
        let (host, port) = (gateway.ip().to_string(), gateway.port().to_string());
        let mut command = machine.openclaw(&["node", "run", "--host", &host, "--port", &port]);
        command.current_dir(machine.home()).process_group(0).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, output }
    }

    fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        match killpg(group, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(err) => panic!("{err}"),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.output).unwrap_or_default());
        }
    }
}
