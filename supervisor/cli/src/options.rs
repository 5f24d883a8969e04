//! What can be typed. Reading the arguments is also the one place that looks at the environment.

mod audit;
mod backup;
mod books;
mod channels;
mod lifecycle;
mod remote;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use types::Secret;

use crate::target::Target;

pub use audit::{AuditCommand, Export, Tail, Verify};
pub use backup::{BackupCommand, BackupKeyCommand, RestoreArgs, ScheduleArgs};

pub use books::{Report, UsageCommand};
pub use channels::{AccountArgs, AddArgs, ChannelCommand};
pub use lifecycle::{ErasureCommand, Restart};
pub use remote::{
    Chat, Create, EvidenceCommand, Gateway, KeyCommand, LimitFlags, PriceCommand, Remote, Rpc,
    Talk, TenantCommand, TokenCommand, Usage,
};

/// One gateway, many tenants, one confined process per tenant.
#[derive(Debug, Parser)]
#[command(name = "openclawmu", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not found.")]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub options: Options,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command; each may stand before or after it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where the gateway keeps its state; its control socket is found there.
    #[arg(long, global = true, env = "OPENCLAWMU_STATE_DIR", value_name = "DIR")]
    #[arg(value_hint = ValueHint::DirPath, help_heading = "Global options")]
    state_dir: Option<PathBuf>,

    /// The configuration file [default: openclawmu.json5 in the state directory].
    #[arg(long, global = true, env = "OPENCLAWMU_CONFIG", value_name = "FILE")]
    #[arg(value_hint = ValueHint::FilePath, help_heading = "Global options")]
    config: Option<PathBuf>,

    /// The control plane: a Unix socket or `http://HOST:PORT` [default: the socket in the state
    /// directory].
    #[arg(long, global = true, env = "OPENCLAWMU_CONTROL", value_name = "SOCKET|URL")]
    #[arg(help_heading = "Global options")]
    control: Option<Target>,

    /// The operator key for a control plane that is reached by URL; better given by the variable,
    /// because other users of a machine can see arguments.
    #[arg(long, global = true, env = "OPENCLAWMU_KEY", value_name = "KEY", hide_env_values = true)]
    #[arg(value_parser = secret, help_heading = "Global options")]
    key: Option<Secret>,

    /// Print for programs: one JSON document.
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,

    /// Where state is kept when nothing says otherwise.
    #[arg(skip)]
    default_state_dir: PathBuf,

    /// Whether colours are unwelcome even on a terminal.
    #[arg(skip)]
    plain: bool,
}

impl Options {
    /// Where the gateway keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| self.default_state_dir.clone())
    }

    /// The configuration file, where one is named.
    pub fn config(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    /// The control socket of the gateway of this state directory.
    pub fn socket(&self) -> PathBuf {
        self.state_dir().join("run").join("control.sock")
    }

    /// Where the control plane is reached.
    pub fn control(&self) -> Target {
        self.control.clone().unwrap_or_else(|| Target::Socket(self.socket()))
    }

    /// Whether to print for programs.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// The same options with the control plane of the gateway that this very process runs.
    pub fn with_control(mut self, control: Target) -> Self {
        self.control = Some(control);
        self
    }

    pub(crate) const fn plain(&self) -> bool {
        self.plain
    }

    pub(crate) fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGTERM.
    Serve(Serve),
    /// From nothing to a first answer: a gateway, one tenant, one message; then go on serving.
    Quickstart(Quickstart),
    /// Look at this machine and say what to do about each finding.
    Doctor(Doctor),
    /// A request to a running gateway.
    #[command(flatten)]
    Remote(Remote),
}

/// Addresses of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Where tenants' clients connect [default: 127.0.0.1:18789]; port 0 takes a free one.
    #[arg(long, env = "OPENCLAWMU_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where operators connect [default: 127.0.0.1:18790]; port 0 takes a free one.
    #[arg(long, env = "OPENCLAWMU_CONTROL_LISTEN", value_name = "ADDR")]
    pub control_listen: Option<SocketAddr>,
    /// The least serious lines that are logged.
    #[arg(long, env = "OPENCLAWMU_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub log_level: String,
    /// The first of the 1,000,000 host uids that are the supervisor's and the tenants': 2000000 or a
    /// whole number of millions more [default: what the state directory was made with, else a
    /// block that no other gateway uses].
    #[arg(long, env = "OPENCLAWMU_UID_BASE", value_name = "UID")]
    pub uid_base: Option<u32>,
}

/// How `quickstart` runs.
#[derive(Debug, Clone, Args)]
pub struct Quickstart {
    /// Addresses.
    #[command(flatten)]
    pub serve: Serve,
    /// End after the answer.
    #[arg(long)]
    pub once: bool,
    /// An OpenAI-compatible provider to use instead of the built-in demonstration model; ends in
    /// `/v1`.
    #[arg(long, env = "OPENCLAWMU_PROVIDER_URL", value_name = "URL")]
    pub provider_url: Option<String>,
    /// Which protocol the provider at that address speaks.
    #[arg(long, env = "OPENCLAWMU_PROVIDER_KIND", value_name = "KIND", default_value = "openai")]
    #[arg(value_parser = ["openai", "anthropic"])]
    pub provider_kind: String,
    /// The model to use; by default the first that the provider lists.
    #[arg(long, env = "OPENCLAWMU_PROVIDER_MODEL", value_name = "MODEL")]
    pub provider_model: Option<String>,
    /// The key of the provider that is named, or of the one whose API is spoken.
    #[arg(long, env = "OPENAI_API_KEY", value_name = "KEY", value_parser = secret)]
    #[arg(hide_env_values = true)]
    pub openai_api_key: Option<Secret>,
    /// The key of Anthropic.
    #[arg(long, env = "ANTHROPIC_API_KEY", value_name = "KEY", value_parser = secret)]
    #[arg(hide_env_values = true)]
    pub anthropic_api_key: Option<Secret>,
    /// What to say to the tenant's agent.
    #[arg(long, default_value = "Hello! What are you?", value_name = "TEXT")]
    pub message: String,
}

/// What `doctor` looks at.
#[derive(Debug, Clone, Default, Args)]
pub struct Doctor {}

/// Reads the arguments and the environment. Ends the process with code 2 and the reason where they
/// make no command, and with 0 after `--help` and `--version`.
pub fn parse() -> Cli {
    let mut cli = Cli::parse();
    let root = nix::unistd::geteuid().is_root();
    let home = std::env::var_os("HOME");
    cli.options.default_state_dir =
        default_state_dir(root, std::env::var_os("XDG_STATE_HOME"), home);
    cli.options.plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    cli
}

fn default_state_dir(root: bool, xdg: Option<OsString>, home: Option<OsString>) -> PathBuf {
    if root {
        return PathBuf::from("/var/lib/openclawmu");
    }
    // The XDG specification says that a relative path is to be ignored.
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || PathBuf::from(home.unwrap_or_default()).join(".local").join("state");
    xdg.unwrap_or_else(home).join("openclawmu")
}

#[expect(clippy::unnecessary_wraps, reason = "the form that clap asks of a parser")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::from(text.to_owned()))
}

#[cfg(test)]
mod tests;
