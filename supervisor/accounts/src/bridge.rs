//! What `tenants` asks of networks: what brings messages, where a handle leads, and that a tenant's
//! accounts come and go with it.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use channels::Target;
use channels::sink::{self, Sink};
use tenants::{Address, Channels, NotFetched};
use types::{Chain, TenantId};

use crate::{Accounts, Inner};

/// What stands before the name of a network where sinks are named.
const PREFIX: &str = "channel:";

/// Does not keep alive what holds it.
#[derive(Debug)]
pub(crate) struct Bridge(pub(crate) Weak<Inner>);

impl Bridge {
    /// What leads to an address.
    fn sink(&self, tenant: &TenantId, address: &Address) -> Option<Sink> {
        let inner = self.0.upgrade()?;
        let name = address.sink.strip_prefix(PREFIX)?;
        let shared = Arc::clone(inner.sending.get(name)?);
        Some(Sink::new(tenant.clone(), channels::adapter(name)?, shared))
    }
}

#[async_trait]
impl Channels for Bridge {
    fn sinks(&self, tenant: &TenantId) -> Vec<(String, Arc<dyn delivery::outbox::Sink>)> {
        let Some(inner) = self.0.upgrade() else { return Vec::new() };
        let sink = |adapter: &&'static dyn channels::Adapter| {
            let name = adapter.network().is.name;
            let shared = Arc::clone(inner.sending.get(name)?);
            let sink: Arc<dyn delivery::outbox::Sink> =
                Arc::new(Sink::new(tenant.clone(), *adapter, shared));
            Some((format!("{PREFIX}{name}"), sink))
        };
        channels::ALL.iter().filter_map(sink).collect()
    }

    async fn address(&self, tenant: &TenantId, handle: &str) -> Option<Address> {
        let inner = self.0.upgrade()?;
        let sealer = match inner.settings.sealer(tenant).await {
            Ok(sealer) => sealer,
            Err(err) => {
                tracing::error!(%tenant, error = %Chain(&err), "a handle cannot be opened");
                return None;
            }
        };
        let target = Target::open(&sealer, handle)?;
        let sink = format!("{PREFIX}{}", target.channel);
        Some(Address { sink, place: target.text(), lane: target.lane() })
    }

    async fn typing(&self, tenant: &TenantId, address: &Address) -> bool {
        let Some(sink) = self.sink(tenant, address) else { return false };
        sink.typing(&address.place).await
    }

    async fn fetch(
        &self,
        tenant: &TenantId,
        address: &Address,
        reference: &str,
    ) -> Result<Vec<u8>, NotFetched> {
        let Some(sink) = self.sink(tenant, address) else {
            return Err(NotFetched::Never("the network is not known".to_owned()));
        };
        sink.fetch(&address.place, reference).await.map_err(|err| match err {
            sink::NotFetched::Never(why) => NotFetched::Never(why),
            sink::NotFetched::TooLarge(most) => NotFetched::TooLarge(most),
            sink::NotFetched::Away(why) => NotFetched::Away(why),
        })
    }

    async fn changed(&self, tenant: &TenantId) {
        let Some(inner) = self.0.upgrade() else { return };
        let accounts = Accounts(inner);
        if let Err(err) = accounts.again(tenant).await {
            let error = Chain(&err);
            tracing::error!(%tenant, %error, "a tenant's accounts are not connected again");
        }
    }

    async fn ended(&self, tenant: &TenantId) {
        let Some(inner) = self.0.upgrade() else { return };
        Accounts(inner).disconnect_all(tenant).await;
    }
}
