//! What a tenant sees of its events, and what it may do with those that were given up.

use auth::Permit;
use delivery::inbox::Listed;
use egress::Journal as _;

use crate::handing::pump;
use crate::{Error, Tenants};

impl Tenants {
    /// What has come for the tenant and is not dealt with.
    ///
    /// # Errors
    /// When there is no such tenant or its box cannot be read.
    pub async fn events_of(&self, permit: &Permit) -> Result<Vec<Listed>, Error> {
        Ok(self.find(permit.tenant())?.inbox.list().await?)
    }

    /// Has an event that was given up tried again.
    ///
    /// # Errors
    /// When there is none of this name, it was not given up, or that cannot be written.
    pub async fn retry_event(&self, permit: &Permit, event_id: &str) -> Result<(), Error> {
        let tenant = self.find(permit.tenant())?;
        tenant.inbox.retry(event_id).await?;
        tenant.log.note(&format!("the event {event_id} is tried again"));
        pump(&self.0, &tenant).await;
        Ok(())
    }

    /// Lets go of an event that was given up.
    ///
    /// # Errors
    /// As [`Tenants::retry_event`].
    pub async fn drop_event(&self, permit: &Permit, event_id: &str) -> Result<(), Error> {
        let tenant = self.find(permit.tenant())?;
        tenant.inbox.discard(event_id).await?;
        tenant.log.note(&format!("the event {event_id} is dropped"));
        Ok(())
    }
}
