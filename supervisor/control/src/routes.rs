//! The route table: what the control plane can be asked, by whom, and who answers. Router,
//! authorisation, document and the test over every route are made of it.

use http::Method;
use types::Role;
use types::Role::{Auditor, Operator, Owner};

use crate::handlers::{
    audit, backups, channels, egress, evidence, gateway, keys, prices, tenants, terminals, tokens,
    usage,
};
use crate::row::{Probe, Row, guarded, open};

/// One route, as a test or a reference page sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// The least role, or none where no key is needed.
    pub needs: Option<Role>,
    /// The name of the operation.
    pub operation: &'static str,
}

/// Every route.
pub fn routes() -> Vec<Route> {
    let route = |row: Row| Route {
        method: name(&row.method),
        path: row.path,
        needs: row.needs(),
        operation: row.operation,
    };
    rows().into_iter().map(route).collect()
}

/// Every row.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = tenant_rows();
    rows.extend(backup_rows());
    rows.extend(channel_rows());
    rows.extend(terminal_rows());
    rows.extend(token_rows());
    rows.extend(gateway_rows());
    rows
}

#[rustfmt::skip] // one row, one line
fn tenant_rows() -> Vec<Row> {
    use tenants as t;
    const ALL: &str = "/v1/tenants";
    const ONE: &str = "/v1/tenants/{id}";
    vec![
        guarded(Method::GET, ALL, Auditor, "listTenants", "Lists tenants by id.", t::list),
        guarded(Method::POST, ALL, Operator, "createTenant", "Makes a tenant and its first token.", t::create),
        guarded(Method::GET, ONE, Auditor, "showTenant", "Shows one tenant.", t::show),
        guarded(Method::PATCH, ONE, Operator, "updateTenant", "Changes limits.", t::update),
        guarded(Method::DELETE, ONE, Owner, "deleteTenant", "Deletes a tenant with everything it has.", t::delete),
        guarded(Method::POST, "/v1/tenants/{id}/suspend", Operator, "suspendTenant", "Stops the worker and refuses the tenant's tokens.", t::suspend),
        guarded(Method::POST, "/v1/tenants/{id}/resume", Operator, "resumeTenant", "Takes a suspended or parked tenant back into service.", t::resume),
        guarded(Method::POST, "/v1/tenants/{id}/restart", Operator, "restartTenant", "Replaces the worker.", t::restart),
        guarded(Method::GET, "/v1/tenants/{id}/inspect", Auditor, "inspectTenant", "Reads the worker's boundary from the kernel.", t::inspect).watched(),
        guarded(Method::GET, "/v1/tenants/{id}/evidence", Auditor, "tenantEvidence", "Makes probes inside the worker's boundary and reports on it, signed.", evidence::show).watched(),
        guarded(Method::GET, "/v1/tenants/{id}/logs", Auditor, "tenantLogs", "Shows the end of the tenant's log, which may hold the tenant's own words.", t::logs).watched(),
        guarded(Method::GET, "/v1/tenants/{id}/egress", Auditor, "showEgress", "Shows what the tenant may reach.", egress::show),
        guarded(Method::PUT, "/v1/tenants/{id}/egress", Operator, "setEgress", "Replaces what the tenant may reach beside what all tenants may.", egress::set),
        guarded(Method::GET, "/v1/tenants/{id}/usage", Auditor, "tenantUsage", "Shows what the tenant used today or this month, and how its limits stand.", usage::tenant),
    ]
}

#[rustfmt::skip] // one row, one line
fn backup_rows() -> Vec<Row> {
    use backups as b;
    const ALL: &str = "/v1/tenants/{id}/backups";
    const ONE: &str = "/v1/tenants/{id}/backups/{backupId}";
    const SCHEDULE: &str = "/v1/tenants/{id}/backup-schedule";
    vec![
        guarded(Method::GET, ALL, Auditor, "listBackups", "Lists a tenant's backups.", b::list),
        guarded(Method::POST, ALL, Operator, "createBackup", "Makes a backup of a tenant, while it goes on.", b::create),
        guarded(Method::GET, ONE, Auditor, "showBackup", "Shows what is in a backup.", b::show),
        guarded(Method::DELETE, ONE, Owner, "removeBackup", "Removes a backup.", b::remove),
        guarded(Method::POST, "/v1/tenants/{id}/backups/{backupId}/restore", Operator, "restoreBackup", "Puts a backup in a tenant's place, or makes a tenant of it.", b::restore),
        guarded(Method::POST, "/v1/tenants/{id}/backups/{backupId}/verify", Operator, "verifyBackup", "Unpacks a backup into a root that is thrown away, and records how that went.", b::verify),
        guarded(Method::GET, "/v1/tenants/{id}/backup-progress", Auditor, "backupProgress", "Shows how far a backup or restore is.", b::progress),
        guarded(Method::POST, "/v1/tenants/{id}/prune-backups", Operator, "pruneBackups", "Removes the backups that are not to be kept.", b::prune),
        guarded(Method::GET, SCHEDULE, Auditor, "showBackupSchedule", "Shows when a tenant's backups are made and which are kept.", b::schedule),
        guarded(Method::PUT, SCHEDULE, Operator, "setBackupSchedule", "Sets when a tenant's backups are made and which are kept.", b::set_schedule),
        guarded(Method::GET, "/v1/backup-schedules", Auditor, "listBackupSchedules", "Shows the schedules of all tenants.", b::schedules),
        guarded(Method::POST, "/v1/tenants/{id}/backup-key", Owner, "exportBackupKey", "Gives the key that reads a tenant's backups, for another installation.", b::key),
    ]
}

#[rustfmt::skip] // one row, one line
fn channel_rows() -> Vec<Row> {
    use channels as c;
    const ALL: &str = "/v1/tenants/{id}/channels";
    const ONE: &str = "/v1/tenants/{id}/channels/{channel}/{account}";
    const SHARED: &str = "/v1/channels/{channel}/{account}";
    vec![
        guarded(Method::GET, ALL, Auditor, "listChannels", "Lists a tenant's accounts at chat networks, and how they are.", c::list),
        guarded(Method::POST, ALL, Operator, "addChannel", "Makes an account of a tenant's at a chat network and connects it.", c::add),
        guarded(Method::DELETE, ONE, Operator, "removeChannel", "Removes an account with everybody who was let in.", c::remove),
        guarded(Method::POST, "/v1/tenants/{id}/channels/{channel}/{account}/start", Operator, "startChannel", "Connects an account.", c::start),
        guarded(Method::POST, "/v1/tenants/{id}/channels/{channel}/{account}/stop", Operator, "stopChannel", "Disconnects an account.", c::stop),
        guarded(Method::POST, "/v1/tenants/{id}/channels/{channel}/{account}/test", Operator, "testChannel", "Asks the network whether it knows an account.", c::test),
        guarded(Method::POST, "/v1/tenants/{id}/channels/{channel}/{account}/pair", Operator, "pairChannel", "Makes a code that lets in whoever sends it, at a tenant's account or one that all share.", c::pair),
        guarded(Method::GET, "/v1/tenants/{id}/channel-requests", Auditor, "listChannelRequests", "Shows who waits to be let in.", c::requests).watched(),
        guarded(Method::POST, "/v1/tenants/{id}/channel-approvals", Operator, "approveChannel", "Lets in whoever was told a code.", c::approve),
        guarded(Method::GET, "/v1/channels", Auditor, "listSharedChannels", "Lists the accounts that all tenants share.", c::list_shared),
        guarded(Method::POST, "/v1/channels", Operator, "addSharedChannel", "Makes an account that all tenants share and connects it.", c::add_shared),
        guarded(Method::DELETE, SHARED, Operator, "removeSharedChannel", "Removes an account that all tenants share.", c::remove_shared),
        guarded(Method::POST, "/v1/channels/{channel}/{account}/start", Operator, "startSharedChannel", "Connects an account that all tenants share.", c::start_shared),
        guarded(Method::POST, "/v1/channels/{channel}/{account}/stop", Operator, "stopSharedChannel", "Disconnects an account that all tenants share.", c::stop_shared),
        guarded(Method::POST, "/v1/channels/{channel}/{account}/test", Operator, "testSharedChannel", "Asks the network whether it knows an account that all tenants share.", c::test_shared),
    ]
}

#[rustfmt::skip] // one row, one line
fn terminal_rows() -> Vec<Row> {
    use terminals as t;
    const ALL: &str = "/v1/tenants/{id}/terminals";
    const ONE: &str = "/v1/tenants/{id}/terminals/{terminalId}";
    vec![
        guarded(Method::GET, ALL, Operator, "listTerminals", "Lists a tenant's open terminals.", t::list),
        guarded(Method::POST, ALL, Operator, "openTerminal", "Opens a terminal in the tenant's sandbox; the tenant's log says so.", t::open),
        guarded(Method::GET, ONE, Operator, "showTerminal", "Shows a terminal, or how it ended.", t::show),
        guarded(Method::GET, "/v1/tenants/{id}/terminals/{terminalId}/output", Operator, "terminalOutput", "Streams what a terminal shows, as bytes, until it ends.", t::output).watched(),
        guarded(Method::POST, "/v1/tenants/{id}/terminals/{terminalId}/input", Operator, "terminalInput", "Types bytes into a terminal, 64 KiB at most.", t::input).untold(),
        guarded(Method::POST, "/v1/tenants/{id}/terminals/{terminalId}/size", Operator, "resizeTerminal", "Gives a terminal another size.", t::resize).untold(),
        guarded(Method::DELETE, ONE, Operator, "closeTerminal", "Ends a terminal with everything that runs in it.", t::close),
    ]
}

#[rustfmt::skip] // one row, one line
fn token_rows() -> Vec<Row> {
    const ALL: &str = "/v1/tenants/{id}/tokens";
    const ONE: &str = "/v1/tenants/{id}/tokens/{tokenId}";
    vec![
        guarded(Method::GET, ALL, Auditor, "listTokens", "Lists a tenant's tokens, without the tokens themselves.", tokens::list),
        guarded(Method::POST, ALL, Operator, "createToken", "Makes a token.", tokens::create),
        guarded(Method::POST, "/v1/tenants/{id}/tokens/{tokenId}/rotate", Operator, "rotateToken", "Replaces a token by a new one.", tokens::rotate),
        guarded(Method::DELETE, ONE, Operator, "revokeToken", "Ends a token and its connections at once.", tokens::revoke),
        guarded(Method::GET, "/v1/keys", Owner, "listKeys", "Lists operator keys, without the keys themselves.", keys::list),
        guarded(Method::POST, "/v1/keys", Owner, "createKey", "Makes an operator key.", keys::create),
        guarded(Method::DELETE, "/v1/keys/{keyId}", Owner, "revokeKey", "Ends an operator key at once.", keys::revoke),
    ]
}

#[rustfmt::skip] // one row, one line
fn gateway_rows() -> Vec<Row> {
    vec![
        guarded(Method::GET, "/v1/status", Auditor, "status", "Tells what runs here.", gateway::status),
        guarded(Method::GET, "/v1/evidence/key", Auditor, "evidenceKey", "The public key of signed evidence.", evidence::key),
        guarded(Method::GET, "/v1/drift", Auditor, "drift", "Compares all running workers with what was ordered; one that differs is stopped.", evidence::drift),
        guarded(Method::GET, "/v1/usage", Auditor, "listUsage", "Shows what each tenant used today or this month.", usage::all),
        guarded(Method::GET, "/v1/quotas", Auditor, "showQuotas", "Shows the limits that all tenants share, and how they stand.", usage::quotas),
        guarded(Method::GET, "/v1/prices", Auditor, "showPrices", "Shows the price table in use.", prices::show),
        guarded(Method::GET, "/metrics", Auditor, "metrics", "Metrics in Prometheus' text format.", gateway::metrics),
        guarded(Method::GET, "/v1/audit", Auditor, "listAudit", "Shows records of the audit trail.", audit::list).watched(),
        guarded(Method::GET, "/v1/audit/checkpoint", Auditor, "auditCheckpoint", "Shows where the audit trail stands, signed: kept elsewhere, it finds a trail that was set back.", audit::checkpoint),
        guarded(Method::GET, "/openapi.json", Auditor, "openapi", "This document.", gateway::openapi),
        open("/health", "health", "Whether the gateway answers.", Probe::Alive),
        open("/healthz", "healthz", "Whether the gateway answers.", Probe::Alive),
        open("/ready", "ready", "Whether the gateway takes requests.", Probe::Ready),
        open("/readyz", "readyz", "Whether the gateway takes requests.", Probe::Ready),
    ]
}

fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "GET",
    }
}
