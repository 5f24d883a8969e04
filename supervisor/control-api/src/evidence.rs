//! Evidence and drift. The evidence itself is a signed document and not one of these types: what was
//! signed is passed on as it is.

use serde::{Deserialize, Serialize};
use types::TenantId;
use utoipa::ToSchema;

use crate::Finding;
use crate::schema;

/// The key under which this installation signs evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceKey {
    /// The Ed25519 public key: 64 hexadecimal digits.
    pub public_key: String,
    /// The installation's name in its reports, which follows from the key.
    pub installation: String,
}

/// How all running workers compare with what was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// Whether every worker is as it was ordered; one whose limits were changed since still is.
    pub ok: bool,
    /// One entry per running worker, by tenant.
    pub workers: Vec<WorkerDrift>,
}

/// One running worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerDrift {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// The worker's process id outside.
    pub pid: u32,
    /// `ok`; `outdated`, where its limits were changed since it started; `differs`, where it is not
    /// as ordered and was stopped; `unknown`, where it could not be looked at.
    pub state: String,
    /// What differs.
    pub findings: Vec<Finding>,
}
