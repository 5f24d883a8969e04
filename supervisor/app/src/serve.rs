//! `serve`: the order of a start. The launcher is split off before any secret is read; secrets are
//! read and sockets bound before root is dropped; the runtime starts last.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sandbox::{Launcher, Side};
use serde::Serialize;

use crate::app::{App, CONTROL_SOCKET, Listeners, Opened};
use crate::config::{self, Config};
use crate::{backup, log, money, notify, platform, provide, reach};

/// The configuration file, below the state directory, where none is named.
const CONFIG_FILE: &str = "openclawmu.json5";

/// Where clients connect, where nothing else is said.
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18789);

/// Where operators connect, where nothing else is said.
const CONTROL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18790);

/// Threads of the supervisor's runtime at most; more than cores only adds memory.
const MAX_THREADS: usize = 8;

/// What a gateway is started with.
#[derive(Debug)]
pub struct Serve {
    /// Where everything is kept.
    pub state_dir: PathBuf,
    /// The configuration; `openclawmu.json5` in the state directory, if it is there, by default.
    pub config: ConfigSource,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub control_listen: SocketAddr,
    /// The first host uid of the reserved range; a free one where none is named.
    pub uid_base: Option<u32>,
    /// The steps of confinement; [`sandbox::STEPS`] but in the tests that prove that each is
    /// checked from outside.
    pub steps: &'static [sandbox::Step],
    /// The worker's program; beside this one by default.
    pub worker: Option<PathBuf>,
    /// From which level on to log.
    pub log: tracing::Level,
}

/// Where the configuration comes from.
pub enum ConfigSource {
    /// A file that must be there.
    File(PathBuf),
    /// The file in the state directory if it is there, else the defaults.
    StateDir,
    /// Made by the caller, after the launcher was split off and before privilege is dropped.
    Made(Box<dyn FnOnce() -> Result<Config, Error>>),
}

impl std::fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::StateDir => f.write_str("StateDir"),
            Self::Made(_) => f.write_str("Made"),
        }
    }
}

/// The first line on standard output.
#[derive(Debug, Serialize)]
struct Listening<'a> {
    event: &'static str,
    gateway: String,
    control: String,
    socket: &'a Path,
}

/// A gateway that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory cannot be made.
    #[error("the state directory {path} cannot be used")]
    StateDir {
        /// Which directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration cannot be used.
    #[error("configuration")]
    Config(#[source] config::Error),
    /// The browser UI's folder cannot be opened.
    #[error("controlUi.root {path} is no folder with a built UI")]
    ControlUi {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A secret cannot be had.
    #[error("configuration")]
    Secret(#[source] provide::Error),
    /// What the operator has set for all tenants cannot be had.
    #[error("configuration")]
    Platform(#[source] platform::Error),
    /// The way out cannot be made.
    #[error("configuration")]
    Egress(#[source] reach::Error),
    /// The operator's webhook cannot be had.
    #[error("configuration")]
    Alerts(#[source] notify::Error),
    /// The store of backups cannot be had.
    #[error("configuration")]
    Backup(#[source] backup::Error),
    /// The price table cannot be had.
    #[error("configuration")]
    Prices(#[source] money::Error),
    /// An address cannot be bound.
    #[error("{address} cannot be listened on")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The launcher or the drop of privilege failed.
    #[error("the process could not be split or confined")]
    Sandbox(#[source] sandbox::Error),
    /// The runtime or a signal handler could not be started.
    #[error("the runtime could not be started")]
    Runtime(#[source] std::io::Error),
    /// The provider does not say which models it has.
    #[error("the provider does not list its models")]
    Provider(#[source] host::DiscoverError),
    /// The provider lists no model.
    #[error("the provider lists no model; name one: --provider-model")]
    NoModels,
    /// A part of the gateway could not be started.
    #[error("the gateway could not be started")]
    App(#[source] crate::error::Error),
}

pub(crate) fn run(options: &cli::Options, args: &cli::Serve) -> ExitCode {
    let config = options.config().map_or(ConfigSource::StateDir, ConfigSource::File);
    finish(serve(Serve::new(options, args, config), async |app, socket| announce(app, socket)))
}

impl Serve {
    /// What the command line says, with a configuration.
    pub(crate) fn new(options: &cli::Options, args: &cli::Serve, config: ConfigSource) -> Self {
        Self {
            state_dir: options.state_dir(),
            config,
            listen: args.listen.unwrap_or(GATEWAY),
            control_listen: args.control_listen.unwrap_or(CONTROL),
            uid_base: args.uid_base,
            steps: sandbox::STEPS,
            worker: None,
            log: args.log_level.parse().unwrap_or(tracing::Level::INFO),
        }
    }
}

/// An error as one line on standard error, and the exit code.
pub(crate) fn finish(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|err| {
        let line = format!("openclawmu: {}\n", types::Chain(&err));
        match std::io::stderr().write_all(line.as_bytes()) {
            Ok(()) | Err(_) => ExitCode::FAILURE,
        }
    })
}

fn announce(app: &App, socket: &Path) -> Option<ExitCode> {
    let line = Listening {
        event: "listening",
        gateway: app.gateway().to_string(),
        control: app.control().to_string(),
        socket,
    };
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, &line)
        .map_err(std::io::Error::from)
        .and_then(|()| writeln!(stdout))
        .and_then(|()| stdout.flush());
    if let Err(err) = written {
        tracing::warn!(error = %types::Chain(&err), "standard output is closed");
    }
    None
}

/// Runs a gateway until it is asked to stop, or until `once_up` gives an exit code.
///
/// # Errors
/// When it cannot be started.
pub fn serve(
    options: Serve,
    once_up: impl AsyncFnOnce(&App, &Path) -> Option<ExitCode>,
) -> Result<ExitCode, Error> {
    let state_dir = make_state_dir(&options.state_dir)?;
    let launcher = sandbox::Options {
        state_dir: state_dir.clone(),
        worker: options.worker.clone().map_or_else(worker_beside_us, Ok)?,
        uid_base: options.uid_base,
        steps: options.steps,
    };
    let (socket, uid_base) = match sandbox::split(launcher).map_err(Error::Sandbox)? {
        Side::Launcher(code) => return Ok(code),
        Side::Supervisor { launcher, uid_base } => (launcher, uid_base),
    };
    log::start(options.log);
    let config = read_config(options.config, &state_dir)?;
    let table = config.prices.read().map_err(Error::Prices)?;
    let host = provide::host(&config, table.as_ref()).map_err(Error::Secret)?;
    let prices = money::shown(&config, table.as_ref());
    let opened = open((options.listen, options.control_listen), &config, prices, uid_base)?;
    sandbox::become_supervisor(uid_base, &state_dir).map_err(Error::Sandbox)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(
            std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
        )
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(async {
        let terminated = runtime::terminated().map_err(Error::Runtime)?;
        let app = App::start(Launcher::new(socket), &config, host, opened).await;
        let app = app.map_err(Error::App)?;
        let early = once_up(&app, &state_dir.join(CONTROL_SOCKET)).await;
        if early.is_none() {
            terminated.await;
        }
        app.stop().await;
        Ok(early.unwrap_or(ExitCode::SUCCESS))
    })
}

fn make_state_dir(path: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let fail = |source| Error::StateDir { path: path.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
    path.canonicalize().map_err(fail)
}

pub(crate) fn worker_beside_us() -> Result<PathBuf, Error> {
    let path = std::env::current_exe().map_err(Error::Runtime)?;
    Ok(path.with_file_name("openclawmu-worker"))
}

fn read_config(source: ConfigSource, state_dir: &Path) -> Result<Config, Error> {
    let file = match source {
        ConfigSource::Made(make) => return make(),
        ConfigSource::File(file) => file,
        ConfigSource::StateDir => {
            let file = state_dir.join(CONFIG_FILE);
            if !file.exists() {
                return Ok(Config::default());
            }
            file
        }
    };
    Config::read(&file).map_err(Error::Config)
}

/// Opens and reads what may be closed to the supervisor once privilege is dropped.
fn open(
    (listen, control): (SocketAddr, SocketAddr),
    config: &Config,
    prices: control_api::Prices,
    uid_base: u32,
) -> Result<Opened, Error> {
    let user = nix::unistd::geteuid();
    let uid = if user.is_root() { uid_base } else { user.as_raw() };
    Ok(Opened {
        listeners: Listeners { gateway: bind(listen)?, control: bind(control)? },
        platform: platform::read(config).map_err(Error::Platform)?,
        egress: config.egress.read().map_err(Error::Egress)?,
        webhook: config.alerts.read().map_err(Error::Alerts)?,
        backup: config.backup.read(uid).map_err(Error::Backup)?,
        prices,
        ui: config.control_ui.root.as_deref().map(open_ui).transpose()?,
        program: std::fs::File::open("/proc/self/exe").ok(),
    })
}

fn open_ui(path: &Path) -> Result<front::Ui, Error> {
    front::Ui::open(path).map_err(|source| Error::ControlUi { path: path.to_owned(), source })
}

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Bind { address, source })
}
