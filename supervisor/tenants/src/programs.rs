//! A tenant's commands and terminals, and what of them waits for consent; with a home to run in where that
//! is asked for. How they are run is `sandboxes`' matter.

use std::sync::Arc;

use auth::{OperatorPermit, Permit};
use egress::Journal as _;
use proto::worker::CallRequest;
use sandboxes::Programs;
use sandboxes::approvals::Approvals;
use types::{AgentId, TenantId};

use crate::{CALL_DEADLINE, Error, Tenants};

/// The method of a worker that looks at a workspace.
const LOOK: &str = "agents.workspace.list";

impl Tenants {
    /// What of a tenant's commands waits for consent, and what needs none.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn approvals(&self, id: &TenantId) -> Result<Approvals, Error> {
        self.find(id).map(|tenant| tenant.approvals.clone())
    }

    /// A tenant's commands and terminals.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn programs(&self, permit: &Permit) -> Result<Arc<Programs>, Error> {
        Ok(Arc::clone(&self.find(permit.tenant())?.programs))
    }

    /// The same, when there is a home that they can run in: the tenant's worker makes the workspace of
    /// an agent, where there is such an agent, when it is first looked at.
    ///
    /// # Errors
    /// When the tenant's worker cannot be started or does not answer.
    pub async fn housed_programs(
        &self,
        permit: &Permit,
        agent: &AgentId,
    ) -> Result<Arc<Programs>, Error> {
        self.housed(permit.tenant(), agent).await
    }

    /// A tenant's terminals, for its operator.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn terminals(&self, _: &OperatorPermit, id: &TenantId) -> Result<Arc<Programs>, Error> {
        Ok(Arc::clone(&self.find(id)?.programs))
    }

    /// The same, when there is a home; the tenant's log says who looks in.
    ///
    /// # Errors
    /// When the tenant's worker cannot be started or does not answer.
    pub async fn housed_terminals(
        &self,
        permit: &OperatorPermit,
        id: &TenantId,
        agent: &AgentId,
    ) -> Result<Arc<Programs>, Error> {
        let programs = self.housed(id, agent).await?;
        let operator = permit.operator().id();
        self.find(id)?.log.note(&format!("operator {operator} opens a terminal"));
        Ok(programs)
    }

    async fn housed(&self, id: &TenantId, agent: &AgentId) -> Result<Arc<Programs>, Error> {
        let tenant = self.find(id)?;
        let (worker, pass) = tenant.ready(&self.0).await?;
        let request = CallRequest {
            method: LOOK.to_owned(),
            // An identifier has no letter that JSON would have to escape.
            params: format!(r#"{{"agentId":"{agent}"}}"#).into(),
            ..CallRequest::default()
        };
        let reply = tokio::time::timeout(CALL_DEADLINE, worker.call(request)).await;
        drop(pass);
        match reply {
            // Where there is no such agent, there is no workspace, and nothing is run in it.
            Ok(reply) => reply.map_err(|status| worker.failure(status))?,
            Err(_elapsed) => return Err(Error::Timeout),
        };
        Ok(Arc::clone(&tenant.programs))
    }
}
