//! What can be typed after `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use types::TenantId;

/// `audit ...`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the trail, from its files and the public key alone: exit code 1 where anything is wrong.
    Verify(Verify),
    /// Show the newest records of a running gateway.
    Tail(Tail),
    /// Write the records of some days into one file that can be verified by itself.
    Export(Export),
    /// Print the public key. Keep it elsewhere: it is what the trail is verified with.
    Key,
}

/// What `audit verify` verifies.
#[derive(Debug, Clone, Default, Args)]
pub struct Verify {
    /// The directory of the trail [default: `audit` in the state directory].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "bundle")]
    pub dir: Option<PathBuf>,
    /// The public key [default: `keys/audit.pub` in the state directory, or what the bundle brings].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub public_key: Option<PathBuf>,
    /// A file that `audit export` wrote, instead of a directory.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bundle: Option<PathBuf>,
    /// A record that is known from elsewhere: a file with a head or checkpoint, or its number and hash.
    /// It finds a trail that was set back or written anew as a whole.
    #[arg(long, value_name = "FILE|SEQ:HASH", conflicts_with = "bundle")]
    pub head: Option<String>,
}

/// What `audit tail` shows.
#[derive(Debug, Clone, Args)]
pub struct Tail {
    /// Go on with what comes.
    #[arg(long)]
    pub follow: bool,
    /// Only records of this tenant.
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// So many records first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[arg(value_name = "N")]
    pub lines: u32,
}

/// What `audit export` writes.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// The first day, for example 2026-11-01 (UTC).
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: String,
    /// The last day.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: String,
    /// A new file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
}

fn day(text: &str) -> Result<String, String> {
    let name = trail::file_name(text);
    let day = trail::is_day_file(&name).ok_or("a day is written as 2026-11-30")?;
    Ok(day.to_owned())
}
