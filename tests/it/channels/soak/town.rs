//! The networks, and the accounts that each tenant has there.

use serde_json::json;
use tests::Tenant;

use super::super::ground::Ground;
use super::super::kills::rows::{Many, discord, matrix, slack_socket, telegram, webchat, webhook};
use super::talker::Talker;
use crate::delivery::seen::rpc;

pub(super) struct Town {
    telegram: telegram::Town,
    slack: slack_socket::Town,
    discord: discord::Town,
    matrix: matrix::Town,
    webchat: webchat::Town,
    webhook: webhook::Town,
}

impl Town {
    pub(super) async fn start() -> Self {
        Self {
            telegram: telegram::Town::start().await,
            slack: slack_socket::Town::start().await,
            discord: discord::Town::start().await,
            matrix: matrix::Town::start().await,
            webchat: webchat::Town::start().await,
            webhook: webhook::Town::start().await,
        }
    }

    /// Where each network is that is somewhere else.
    pub(super) fn roots(&self) -> Vec<(&'static str, String)> {
        let all = [
            root(&self.telegram),
            root(&self.slack),
            root(&self.discord),
            root(&self.matrix),
            root(&self.webchat),
            root(&self.webhook),
        ];
        all.into_iter().flatten().collect()
    }

    /// Makes the accounts of a tenant at the networks that are asked for; gives who talks to each.
    pub(super) async fn talkers(&self, ground: &Ground, tenant: &Tenant) -> Vec<Talker> {
        let all = [
            talker(&self.telegram, ground, tenant).await,
            talker(&self.slack, ground, tenant).await,
            talker(&self.discord, ground, tenant).await,
            talker(&self.matrix, ground, tenant).await,
            talker(&self.webchat, ground, tenant).await,
            talker(&self.webhook, ground, tenant).await,
        ];
        all.into_iter().flatten().collect()
    }
}

fn root<M: Many>(many: &M) -> Option<(&'static str, String)> {
    many.address().map(|address| (M::NAME, format!("http://{address}")))
}

/// None where `NETWORKS` says which there are to be, and not this one.
async fn talker<M: Many<Talk: 'static>>(
    many: &M,
    ground: &Ground,
    tenant: &Tenant,
) -> Option<Talker> {
    let asked = std::env::var("NETWORKS");
    if asked.is_ok_and(|asked| asked.split(',').all(|it| it != M::NAME)) {
        return None;
    }
    let own = format!("http://{}", ground.gateway.address());
    let root = root(many).map_or(own, |(_, root)| root);
    let talk = Box::new(many.join(ground, &tenant.id, &root).await);
    let talker = Talker::new(tenant.clone(), (M::NAME, M::DOUBLES), talk);
    let model = json!({"key": talker.session(), "model": "test/bill"});
    rpc(&ground.gateway, tenant, "sessions.patch", model).await;
    Some(talker)
}
