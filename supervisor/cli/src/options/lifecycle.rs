//! Arguments of `tenants restart` and of `erasure`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use types::TenantId;

/// `tenants restart ...`
#[derive(Debug, Args)]
pub struct Restart {
    /// The tenant.
    #[arg(required_unless_present = "all")]
    pub id: Option<TenantId>,
    /// Replace every running worker; who sleeps is left alone.
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
    /// How long requests under way may take to end, in seconds [default: 30].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=3600))]
    pub deadline_seconds: Option<u32>,
    /// Do not wait for requests under way.
    #[arg(long, conflicts_with = "deadline_seconds")]
    pub now: bool,
    /// With --all: so many at once.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "all")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub at_once: u8,
    /// With --all: begin no further one after more failures than this.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "all")]
    pub max_failures: usize,
}

/// `erasure ...`
#[derive(Debug, Subcommand)]
pub enum ErasureCommand {
    /// Check a certificate: whether every byte is as it was signed. Needs no gateway; fails where it is
    /// not.
    Verify {
        /// The file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// A file with the public key that must have signed it, as `evidence key` prints it.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        public_key: Option<PathBuf>,
    },
}
