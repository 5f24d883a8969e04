//! `SeaweedFS`: a real S3 service on loopback, with a bucket, and a second client of it. What both need is
//! installed by `make test`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::until;

/// Who may do everything.
const OWNER: (&str, &str) = ("owner", "owner-secret-of-the-tests");

/// Who the gateway is: no administrator, so that a bucket that is missing stays missing.
pub const GATEWAY: (&str, &str) = ("gateway", "gateway-secret-of-the-tests");

/// The bucket.
pub const BUCKET: &str = "backups";

/// How often it is started, and how long one start may take on a machine that does other things too.
const STARTS: usize = 3;
const ONE_START: Duration = Duration::from_secs(30);

/// The service; dropped, it is killed.
#[derive(Debug)]
pub struct Weed {
    child: Child,
    state: TempDir,
    address: SocketAddr,
    ports: Vec<u16>,
}

/// A program of the tests' own environment.
pub fn tool(name: &str) -> PathBuf {
    let path = folder().join("venv/bin").join(name);
    assert!(path.exists(), "no {}: run `make stores`", path.display());
    path
}

/// Where the scripts are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("backup")
}

/// Runs a script of the tests; its answer is JSON.
///
/// # Errors
/// With what it said where it failed.
pub fn script(name: &str, args: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(tool("python"));
    let output = command.arg(folder().join(name)).args(args).output().unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

impl Weed {
    /// Starts the service and makes the bucket; anew where somebody else took one of its ports.
    pub fn start() -> Self {
        let started = (0..STARTS).find_map(|_| Self::started());
        started.unwrap_or_else(|| panic!("no service in {STARTS} starts"))
    }

    fn started() -> Option<Self> {
        let state = tempfile::tempdir().unwrap();
        let held: Vec<_> = (0..9).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> = held.iter().map(|it| it.local_addr().unwrap().port()).collect();
        let one = |(name, secret): (&str, &str), actions: &[&str]| json!({"name": name, "actions": actions, "credentials": [{"accessKey": name, "secretKey": secret}]});
        let owner = one(OWNER, &["Admin", "Read", "Write", "List", "Tagging"]);
        let actions: Vec<_> =
            ["Read", "Write", "List"].iter().map(|it| format!("{it}:{BUCKET}")).collect();
        let actions: Vec<_> = actions.iter().map(String::as_str).collect();
        let config = json!({"identities": [owner, one(GATEWAY, &actions)]});
        std::fs::write(state.path().join("s3.json"), config.to_string()).unwrap();
        drop(held);
        let child = spawn(state.path(), &ports);
        let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        let weed = Self { child, state, address, ports };
        let begun = Instant::now();
        while begun.elapsed() < ONE_START {
            if TcpStream::connect(weed.address).is_ok() && weed.owner("make", &[]).is_ok() {
                return Some(weed);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    fn ready(&self) {
        until("the service answers", || TcpStream::connect(self.address).is_ok());
    }

    /// What a configuration says of it.
    pub fn store(&self) -> Value {
        self.store_with(BUCKET, GATEWAY.1)
    }

    /// The same with another bucket or secret.
    pub fn store_with(&self, bucket: &str, secret: &str) -> Value {
        let printed = |text: &str| json!({"command": ["printf", text]});
        json!({
            "kind": "s3",
            "endpoint": format!("http://{}", self.address),
            "bucket": bucket,
            "prefix": "here",
            "pathStyle": true,
            "accessKeyId": printed(GATEWAY.0),
            "secretAccessKey": printed(secret),
        })
    }

    /// What the second client finds or does.
    ///
    /// # Errors
    /// With what it said where it failed.
    pub fn owner(&self, act: &str, rest: &[&str]) -> Result<Value, String> {
        let endpoint = format!("http://{}", self.address);
        let args = [&endpoint, OWNER.0, OWNER.1, act, BUCKET];
        script("bucket.py", &args.iter().chain(rest).copied().collect::<Vec<_>>())
    }

    /// Kills the service.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again over the same data.
    pub fn restart(&mut self) {
        self.child = spawn(self.state.path(), &self.ports);
        self.ready();
        until("the bucket is there again", || self.owner("list", &[]).is_ok());
    }
}

fn spawn(state: &Path, ports: &[u16]) -> Child {
    let [s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc, admin] =
        ports[..]
    else {
        panic!("nine ports");
    };
    let mut command = Command::new(tool("weed"));
    command
        .args(["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false"])
        .args(["-master.telemetry=false"])
        .arg(format!("-dir={}", state.display()))
        .arg(format!("-s3.config={}", state.join("s3.json").display()))
        .args([format!("-s3.port={s3}"), format!("-s3.port.grpc={s3_grpc}")])
        .args([format!("-master.port={master}"), format!("-master.port.grpc={master_grpc}")])
        .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_grpc}")])
        .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_grpc}")])
        .arg(format!("-admin.port={admin}"))
        .stdin(Stdio::null());
    let log = std::fs::File::create(state.join("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Drop for Weed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
