//! What a tenant may reach: the operator's rules for it, and what its own settings leave of them.

use egress::Rule;
use types::TenantId;

use crate::tenant::Tenant;
use crate::{Error, Inner, Tenants};

/// What a tenant may reach, as the operator has said it.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Its own rules.
    pub own: Vec<String>,
    /// Those of all tenants.
    pub everyones: Vec<String>,
}

impl Tenants {
    /// The rules that hold for a tenant, before its own settings narrow them.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn reach(&self, id: &TenantId) -> Result<Reach, Error> {
        let own = self.find(id)?.row.load().egress.clone();
        let everyones = self.0.egress.allow().iter().map(ToString::to_string).collect();
        Ok(Reach { own, everyones })
    }

    /// Replaces a tenant's own rules, at once and for a running worker too. What is under way goes on.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn set_reach(&self, id: &TenantId, rules: &[Rule]) -> Result<(), Error> {
        let tenant = self.find(id)?;
        let texts: Vec<_> = rules.iter().map(ToString::to_string).collect();
        self.update(&tenant, move |row| row.egress.clone_from(&texts)).await?;
        settle(&self.0, &tenant).await?;
        tracing::info!(tenant = %id, rules = rules.len(), "egress rules replaced");
        Ok(())
    }
}

/// Makes the rules of a tenant's way out of its record and its settings as they are now.
pub(crate) async fn settle(inner: &Inner, tenant: &Tenant) -> Result<(), Error> {
    let _settling = tenant.settling.lock().await;
    let effective = inner.settings.effective(&tenant.id).await.map_err(Error::Settings)?;
    let rules = parsed(&tenant.id, &tenant.row.load().egress);
    tenant.outlet.set(inner.egress.rules(&rules, &effective.settings));
    Ok(())
}

fn parsed(tenant: &TenantId, texts: &[String]) -> Vec<Rule> {
    let one = |text: &String| match text.parse() {
        Ok(rule) => Some(rule),
        Err(err) => {
            let error = types::Chain(&err);
            tracing::warn!(%tenant, error = %error, "an egress rule of another version");
            None
        }
    };
    texts.iter().filter_map(one).collect()
}
