//! A launcher and a supervisor with tenants and no network, for tests of what becomes of their roots
//! when any of the three processes is killed.
//!
//! `roots STATE_DIR WORKER`; standard input has one command per line, each is begun at once, and
//! standard output has one line of JSON per command that has ended: its number, and what it gave.
//! Files of archives are in the state directory.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "what is held is held until the process is killed, and fields are added to an object"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use auth::{Action, Auth, Grant, Permit, TokenSpec};
use bytes::Bytes;
use futures_util::StreamExt as _;
use prometheus_client::registry::Registry;
use proto::worker::{CallRequest, Caller, call_reply::Outcome};
use records::Records;
use runtime::Tasks;
use sandbox::{Launcher, Options, STEPS, Side};
use serde_json::{Value, json};
use tenants::{Certificate, Certifying, Erased, Notary, Summary, Tenants};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use types::{Clock, LimitsPatch, Role, Scope, Scopes, SystemClock, TenantId};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of an archive that are passed on at once.
const PIECE: usize = 100_000;

/// Numbers the calls.
static CALLS: AtomicU64 = AtomicU64::new(1);

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(err) => {
            use std::io::Write as _;
            let text = format!("roots: {}\n", types::Chain(&*err));
            std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let mut arguments = std::env::args().skip(1);
    let state_dir = PathBuf::from(arguments.next().ok_or("no state directory")?).canonicalize()?;
    let worker = PathBuf::from(arguments.next().ok_or("no worker")?);
    let options = Options { state_dir: state_dir.clone(), worker, uid_base: None, steps: STEPS };
    let (socket, uid_base) = match sandbox::split(options)? {
        Side::Launcher(code) => return Ok(code),
        Side::Supervisor { launcher, uid_base } => (launcher, uid_base),
    };
    sandbox::become_supervisor(uid_base, &state_dir)?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks = Tasks::default();
        let house = House::open(Launcher::new(socket), &tasks).await?;
        house.attend(&tasks).await?;
        house.tenants.shut_down(Duration::from_secs(2)).await;
        tasks.shut_down(Duration::from_secs(2)).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Certifies without keeping anything.
#[derive(Debug)]
struct Nobody;

impl Notary for Nobody {
    fn certify<'a>(&'a self, _: &'a Erased) -> Certifying<'a> {
        let certificate = Certificate { text: String::new(), file: String::new() };
        Box::pin(std::future::ready(Ok(certificate)))
    }
}

#[derive(Clone)]
struct House {
    tenants: Tenants,
    auth: Auth,
    permits: Arc<tokio::sync::Mutex<BTreeMap<TenantId, Permit>>>,
}

impl House {
    async fn open(launcher: Launcher, tasks: &Tasks) -> Result<Self, Failure> {
        let (clock, mut registry): (Arc<dyn Clock>, _) =
            (Arc::new(SystemClock), Registry::default());
        let records = Records::open(Path::new("records")).await?;
        let demo = host::Provider {
            name: "demo".to_owned(),
            kind: host::Kind::Demo,
            base_url: String::new(),
            api_key: None,
            models: vec![host::Model { name: "m".to_owned(), prices: ledger::Prices::default() }],
        };
        let config = host::Config {
            providers: vec![demo],
            default_model: "demo/m".to_owned(),
            fallbacks: Vec::new(),
            timeouts: host::Timeouts::default(),
        };
        let books = books::Books::open(Path::new("books"), Arc::clone(&clock), &mut registry)?;
        let way_out = egress::Config::default();
        let egress = egress::Broker::new(
            way_out,
            Arc::clone(&clock),
            &mut Registry::default(),
            tasks.clone(),
        );
        let settings = settings::Settings::new(
            records.clone(),
            settings::Platform::default(),
            settings::SealKey::random()?,
        );
        let parts = tenants::Parts {
            launcher,
            records: records.clone(),
            host: host::Host::new(config, Arc::clone(&clock), &mut registry)?,
            egress: egress?,
            hub: hub::Hub::default(),
            settings,
            sandboxes: sandboxes::Config::default(),
            audit: audit::Audit::none(),
            ledger: Arc::new(ledger::Ledger::new(Arc::new(books.clone()), &[], clock.now())),
            books,
            alerts: alerts::Alerts::none(),
            tenant_labels: 0,
            workers: tenants::Workers::default(),
            notary: Arc::new(Nobody),
            clock: Arc::clone(&clock),
            tasks: tasks.child(),
            registry: &mut registry,
        };
        let tenants = Tenants::start(parts).await?;
        Ok(Self { tenants, auth: Auth::load(records, clock).await?, permits: Arc::default() })
    }

    /// Begins each command when it comes, until there are no more.
    async fn attend(&self, tasks: &Tasks) -> Result<(), Failure> {
        let (told, mut tell) = tokio::sync::mpsc::channel::<String>(16);
        drop(tasks.spawn(async move {
            while let Some(line) = tell.recv().await {
                let mut out = tokio::io::stdout();
                if out.write_all(line.as_bytes()).await.is_err() || out.flush().await.is_err() {
                    return;
                }
            }
        }));
        told.send("{\"ready\":true}\n".to_owned()).await?;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut number = 0_u32;
        while let Some(line) = lines.next_line().await? {
            let (house, told, of) = (self.clone(), told.clone(), number);
            number += 1;
            drop(tasks.spawn(async move {
                let gave = match house.command(&line).await {
                    Ok(gave) => json!({"of": of, "gave": gave}),
                    Err(err) => json!({"of": of, "failed": types::Chain(&*err).to_string()}),
                };
                told.send(format!("{gave}\n")).await.unwrap_or_default();
            }));
        }
        Ok(())
    }

    async fn command(&self, line: &str) -> Result<Value, Failure> {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let id: TenantId = words.get(1).ok_or("no tenant")?.parse()?;
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        match word(0) {
            "create" => {
                let patch = match word(2) {
                    "" => LimitsPatch::default(),
                    disk => LimitsPatch { disk_max: Some(disk.parse()?), ..LimitsPatch::default() },
                };
                self.tenants.create(&id, &patch).await?;
                Ok(Value::Null)
            }
            "suspend" => Ok(json!(self.tenants.suspend(&id).await?)),
            "restart" => Ok(json!(self.tenants.restart(&id, Duration::from_secs(2), false).await?)),
            "show" => {
                let view = self.tenants.show(&id).await?;
                Ok(json!({"pid": view.worker.map(|it| it.pid)}))
            }
            "call" => self.call(&id, word(2), word(3)).await,
            "export" => self.export(&id, Path::new(word(2)), word(3)).await,
            "stage" => self.stage(&id, Path::new(word(2)), word(3)).await,
            other => Err(format!("no command {other}").into()),
        }
    }

    /// A permit of the tenant, made once.
    async fn permit(&self, id: &TenantId) -> Result<Permit, Failure> {
        let mut permits = self.permits.lock().await;
        if let Some(permit) = permits.get(id) {
            return Ok(permit.clone());
        }
        let operator = self.auth.local_operator(0);
        let permit = self.auth.authorize_operator(&operator, Role::Owner, "roots")?;
        let spec = TokenSpec {
            label: "roots".to_owned(),
            scopes: Scopes::all_of_tenant(),
            expires_at: None,
        };
        let issued = self.auth.issue(&Grant::Operator(&permit), id, spec).await?;
        let principal = self
            .auth
            .authenticate(Some(issued.token.expose()), Ipv4Addr::LOCALHOST.into())
            .map_err(|_unknown| "the token is not known")?;
        let action = Action { name: "roots", scope: Scope::Admin };
        let permit = self.auth.authorize(&principal, action)?;
        permits.insert(id.clone(), permit.clone());
        Ok(permit)
    }

    async fn call(&self, id: &TenantId, method: &str, params: &str) -> Result<Value, Failure> {
        let permit = self.permit(id).await?;
        let request = CallRequest {
            method: method.to_owned(),
            params: Bytes::copy_from_slice(params.as_bytes()),
            caller: Some(Caller { admin: true, ..Caller::default() }),
            request_id: format!("req_{:032x}", CALLS.fetch_add(1, Ordering::Relaxed)),
            ..CallRequest::default()
        };
        let ticket = self.tenants.admit(&permit)?;
        match self.tenants.call(ticket, request).await?.outcome {
            Some(Outcome::Result(json)) => Ok(serde_json::from_slice(&json)?),
            Some(Outcome::Error(err)) => Err(err.message.into()),
            _ => Err("no answer".into()),
        }
    }

    /// `hold` takes the first part and no more.
    async fn export(&self, id: &TenantId, file: &Path, how: &str) -> Result<Value, Failure> {
        use std::io::Write as _;
        let begun = std::time::Instant::now();
        let mut export = self.tenants.export(id).await?;
        let mut out = std::fs::File::create(file)?;
        let (mut bytes, mut largest) = (0, 0);
        while let Some(part) = export.next().await {
            let part = part?;
            bytes += part.len();
            largest = largest.max(part.len());
            out.write_all(&part)?;
            if how == "hold" {
                drop(tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(export);
                }));
                return Ok(json!({"held": true}));
            }
        }
        out.sync_all()?;
        let summary = export.summary().ok_or("no summary")?;
        let mut gave = shown(summary);
        gave["archiveBytes"] = bytes.into();
        gave["largestPart"] = largest.into();
        gave["micros"] = u64::try_from(begun.elapsed().as_micros())?.into();
        Ok(gave)
    }

    /// `commit`, `discard`, `drop`; `hold` keeps it, `stall` stops in the middle of the archive.
    async fn stage(&self, id: &TenantId, file: &Path, how: &str) -> Result<Value, Failure> {
        let begun = std::time::Instant::now();
        let file = std::fs::File::open(file)?;
        let length = file.metadata()?.len();
        let stalls = how == "stall";
        let parts = futures_util::stream::try_unfold((file, 0), move |(mut file, at)| async move {
            use std::io::Read as _;
            if stalls && at > length / 2 {
                std::future::pending::<()>().await;
            }
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            let at = at + u64::try_from(read).unwrap_or(0);
            let part = (read > 0).then(|| (Bytes::from(piece), (file, at)));
            Ok::<_, std::io::Error>(part)
        });
        let staged = self.tenants.stage(id, parts.boxed()).await?;
        let mut gave = shown(staged.summary());
        gave["micros"] = u64::try_from(begun.elapsed().as_micros())?.into();
        match how {
            "commit" => staged.commit().await?,
            "discard" => staged.discard().await?,
            "hold" => drop(tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(staged);
            })),
            _ => drop(staged),
        }
        gave["allMicros"] = u64::try_from(begun.elapsed().as_micros())?.into();
        Ok(gave)
    }
}

fn shown(summary: &Summary) -> Value {
    json!({
        "files": summary.files,
        "directories": summary.directories,
        "links": summary.links,
        "bytes": summary.bytes,
        "leftOut": summary.left_out,
        "firstLeftOut": summary.first_left_out,
        "changed": summary.changed,
        "heldMicros": summary.held_micros,
    })
}
