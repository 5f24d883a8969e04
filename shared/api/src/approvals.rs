//! `exec.approval.*`, `approval.*`, `exec.approvals.*`: commands that wait for somebody's consent, and
//! the tenant's file of what needs none.
//!
//! No method here is a worker's to call: an agent cannot consent to what it asks.

mod file;
mod params;
mod views;

pub use file::*;
pub use params::*;
pub use views::*;

methods! { Supervisor;
    /// Consent.
    pub trait Approvals {
        /// Asks for consent to a command that somebody else will run, and waits for the decision.
        "exec.approval.request" [Approvals long unrecorded] fn approval_request(RequestParams) -> Decided;
        /// Waits for the decision on one that was asked before.
        "exec.approval.waitDecision" [Approvals long unrecorded] fn approval_wait(WaitParams) -> Decided;
        /// Commands that wait.
        "exec.approval.list" [Approvals unrecorded] fn approval_list(ListParams) -> Vec<Waiting>;
        /// One command that waits.
        "exec.approval.get" [Approvals unrecorded] fn approval_get(IdParams) -> Described;
        /// Decides.
        "exec.approval.resolve" [Approvals] fn approval_resolve(ResolveParams) -> Resolved;
        /// Standing consents of scheduled work: none is kept.
        "exec.approval.grants.list" [Approvals unrecorded] fn approval_grants(GrantsParams) -> Grants;
        /// Ends a standing consent.
        "exec.approval.grants.revoke" [Approvals] fn approval_revoke(RevokeParams) -> GrantRevoked;
        /// One request, whether it waits or is over.
        "approval.get" [Approvals unrecorded] fn snapshot_get(SnapshotParams) -> Snapshotted;
        /// Decides.
        "approval.resolve" [Approvals] fn snapshot_resolve(SnapshotResolveParams) -> Applied;
        /// Requests that are over, newest first.
        "approval.history" [Approvals unrecorded] fn snapshot_history(HistoryParams) -> History;
        /// The tenant's file of approvals.
        "exec.approvals.get" [Admin unrecorded] fn approvals_get(GetParams) -> Policies;
        /// Replaces it.
        "exec.approvals.set" [Admin] fn approvals_set(SetParams) -> Policies;
    }
}
