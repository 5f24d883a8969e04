//! What is done to a tenant's roots, and what is refused while something runs on them.

use std::collections::BTreeMap;

use types::TenantId;

use super::workers::Worker;
use crate::Error;
use crate::disk::Disks;
use crate::record::{Kind, Reply, Request, Which};

/// What is done to the roots of a tenant.
type Step = fn(&Disks, &TenantId) -> Result<(), Error>;

/// Does one step.
pub(super) fn answer(
    disks: &Disks,
    workers: &BTreeMap<u64, Worker>,
    request: &Request,
    tenant: &TenantId,
) -> Result<Reply, Error> {
    let owner = disks.owner(request.index)?;
    let own = || workers.values().filter(|worker| worker.tenant == *tenant);
    let on_staged = own().any(|worker| worker.which == Which::Staged);
    let on_any = own().next().is_some();
    let kind = request.kind;
    let is_staged = request.which == Which::Staged;
    // What is kept is nobody's any more, and can always go.
    let blocked = matches!(kind, Kind::Erase | Kind::Swap | Kind::Revert) && on_any
        || kind == Kind::Discard && on_staged
        || kind == Kind::Prepare && is_staged && on_staged;
    if blocked {
        return Err(Error::refused("a worker or a sandbox of the tenant is not reaped"));
    }
    if kind == Kind::Prepare && is_staged {
        let disk = disks.stage(tenant, owner, request.disk_max)?;
        return Ok(Reply::done([disk.number(), 0, 0, 0]));
    }
    if kind == Kind::Prepare {
        let disk = disks.prepare(tenant, owner, request.disk_max)?;
        let unsettled = u64::from(disks.is_unsettled(tenant)?);
        return Ok(Reply::done([disk.number(), unsettled, 0, 0]));
    }
    let steps: [(Kind, Step); 5] = [
        (Kind::Erase, Disks::erase),
        (Kind::Swap, Disks::swap),
        (Kind::Revert, Disks::revert),
        (Kind::Settle, Disks::settle),
        (Kind::Discard, Disks::discard),
    ];
    let step = steps.into_iter().find(|(it, _)| *it == kind);
    let (_, step) = step.ok_or_else(|| Error::refused("nothing that is done to a root"))?;
    step(disks, tenant)?;
    Ok(Reply::done([0; 4]))
}
