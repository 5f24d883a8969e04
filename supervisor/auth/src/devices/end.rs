//! What ends tokens of devices: their device, their maker, or somebody who may.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use records::{DeviceBinding, DeviceRole, TokenRow};
use types::TenantId;

use crate::entry::TokenEntry;
use crate::{Auth, Error, Principal};

impl Auth {
    /// Ends the device's tokens in one role, or in all and the device's row with them: in memory at
    /// once, with every connection that uses one, and then in the records. Gives whether there was
    /// anything; what an earlier attempt that failed has left counts.
    ///
    /// The token with which `by` calls is ended last: whoever ends its own device must live to see
    /// it written.
    pub async fn end_device(
        &self,
        by: &Principal,
        device: &str,
        role: Option<DeviceRole>,
    ) -> Result<bool, Error> {
        let tenant = by.tenant();
        let of_device = |row: &TokenRow| {
            let is_it =
                |it: &DeviceBinding| it.device == device && role.is_none_or(|role| role == it.role);
            row.device.as_ref().is_some_and(is_it)
        };
        let others = |row: &TokenRow| of_device(row) && !by.presented(&row.digest);
        // At once, whoever is changing tokens, and however slow the disk is.
        let mut over = self.shut_out(tenant, others);
        let turn = self.0.turns.of(tenant).await;
        // Again: a change that was under way may have let one in anew.
        over.extend(self.shut_out(tenant, others));
        let rows = self.0.records.device_tokens_of(tenant).await.map_err(Error::Records)?;
        let rows = rows.into_iter().filter(of_device).map(|row| row.id);
        let ids: BTreeSet<_> = rows.chain(over.iter().map(|it| it.row.id.clone())).collect();
        let row = if role.is_none() { Some(device) } else { None };
        let removed = self.0.records.delete_device_tokens(tenant, &ids, row).await;
        let removed = removed.map_err(Error::Records)?;
        self.end(tenant, of_device);
        drop(turn);
        let any = removed || !ids.is_empty();
        if any {
            tracing::info!(%tenant, device, count = ids.len(), "tokens of a device ended");
        }
        Ok(any)
    }

    /// Ends the tokens of devices that were introduced with the token `maker`, in memory alone; gives
    /// them, for [`Auth::end_made_by`].
    pub(crate) fn shut_out_made_by(&self, tenant: &TenantId, maker: &str) -> Vec<Arc<TokenEntry>> {
        self.shut_out(tenant, |row| row.device.as_ref().is_some_and(|it| it.maker == maker))
    }

    /// Ends the tokens of devices that were introduced with the token `maker`, and removes them and
    /// those that are `over` already. Those whose removal fails are over all the same; after a
    /// restart they are still over, since their maker is.
    pub(crate) async fn end_made_by(
        &self,
        tenant: &TenantId,
        maker: &str,
        mut over: Vec<Arc<TokenEntry>>,
    ) -> Result<(), Error> {
        over.extend(self.shut_out_made_by(tenant, maker));
        if over.is_empty() {
            return Ok(());
        }
        let ids = over.iter().map(|it| it.row.id.clone()).collect();
        let removed = self.0.records.delete_device_tokens(tenant, &ids, None).await;
        removed.map_err(Error::Records)?;
        tracing::info!(%tenant, token = maker, count = ids.len(), "tokens of its devices ended");
        Ok(())
    }

    /// The tokens whose devices are still paired: what a removal that failed has left is over.
    pub(crate) async fn paired(&self, of_devices: Vec<TokenRow>) -> Result<Vec<TokenRow>, Error> {
        let mut devices: HashMap<TenantId, HashSet<String>> = HashMap::new();
        for row in &of_devices {
            if !devices.contains_key(&row.tenant) {
                let paired = self.0.records.devices(&row.tenant).await.map_err(Error::Records)?;
                let ids = paired.into_iter().map(|it| it.id).collect();
                devices.insert(row.tenant.clone(), ids);
            }
        }
        let is_paired = |row: &TokenRow| {
            let known = devices.get(&row.tenant);
            row.device.as_ref().is_some_and(|it| known.is_some_and(|ids| ids.contains(&it.device)))
        };
        Ok(of_devices.into_iter().filter(is_paired).collect())
    }
}

/// The devices' tokens whose maker is still what it was.
pub(crate) fn alive(of_devices: Vec<TokenRow>, makers: &[TokenRow]) -> Vec<TokenRow> {
    let makers: HashMap<_, _> =
        makers.iter().map(|row| ((&row.tenant, row.id.as_str()), row.generation)).collect();
    let is_alive = |row: &TokenRow| {
        row.device.as_ref().is_some_and(|it| {
            makers.get(&(&row.tenant, it.maker.as_str())) == Some(&it.maker_generation)
        })
    };
    of_devices.into_iter().filter(is_alive).collect()
}
