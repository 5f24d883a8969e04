//! What decides who may do what: the records, the audit trail, tokens and keys, and the secrets of tenants.

use std::path::Path;
use std::sync::Arc;

use audit::Audit;
use auth::Auth;
use prometheus_client::registry::Registry;
use records::Records;
use settings::Settings;
use types::Clock;

use crate::app::KEYS;
use crate::error::Error;
use crate::told;

/// The records, by an absolute path that does not lead through the state directory's parents: they
/// may be closed to the supervisor, and the store makes relative paths absolute.
const RECORDS: &str = "/proc/self/cwd/records";

/// Who may do what, and where it is recorded.
pub(crate) async fn open(
    config: audit::Config,
    clock: &Arc<dyn Clock>,
    registry: &mut Registry,
) -> Result<(Records, Audit, Auth), Error> {
    let records = Records::open(Path::new(RECORDS)).await.map_err(Error::Records)?;
    let audit = told::open(config, clock, registry).map_err(Error::Audit)?;
    let auth = Auth::audited(records.clone(), Arc::clone(clock), audit.clone()).await;
    Ok((records, audit, auth.map_err(Error::Auth)?))
}

/// Tenants' settings, with the key under which their secrets are sealed.
pub(crate) fn secrets(records: &Records, platform: settings::Platform) -> Result<Settings, Error> {
    let key = settings::SealKey::load(Path::new(KEYS)).map_err(Error::Seal)?;
    Ok(Settings::new(records.clone(), platform, key))
}
