//! The networks, and the accounts that each tenant has there.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tests::Tenant;
use tests::networks::Fork;

use super::super::ground::Ground;
use super::super::kills::rows::{Many, discord, matrix, slack_socket, telegram, webchat, webhook};
use super::asked;
use super::talker::Talker;
use crate::delivery::seen::rpc;

pub(super) struct Town {
    telegram: telegram::Town,
    slack: slack_socket::Town,
    discord: discord::Town,
    matrix: Homes,
    webchat: webchat::Town,
    webhook: webhook::Town,
}

/// Homeservers, among which the tenants' accounts are divided: one keeps one processor busy.
struct Homes {
    homes: Vec<matrix::Town>,
    fork: Fork,
    next: AtomicUsize,
}

impl Town {
    pub(super) async fn start() -> Self {
        Self {
            telegram: telegram::Town::start().await,
            slack: slack_socket::Town::start().await,
            discord: discord::Town::start().await,
            matrix: Homes::start(asked("HOMES").unwrap_or(1)).await,
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
            Some((matrix::Town::NAME, self.matrix.fork.url())),
            root(&self.webchat),
            root(&self.webhook),
        ];
        all.into_iter().flatten().collect()
    }

    /// Makes the accounts of a tenant at the networks that are asked for; gives who talks to each.
    pub(super) async fn talkers(&self, ground: &Ground, tenant: &Tenant) -> Vec<Talker> {
        let (home, at) = self.matrix.next();
        let all = [
            talker(&self.telegram, None, ground, tenant).await,
            talker(&self.slack, None, ground, tenant).await,
            talker(&self.discord, None, ground, tenant).await,
            talker(home, Some(at), ground, tenant).await,
            talker(&self.webchat, None, ground, tenant).await,
            talker(&self.webhook, None, ground, tenant).await,
        ];
        all.into_iter().flatten().collect()
    }
}

impl Homes {
    async fn start(count: usize) -> Self {
        let mut homes = Vec::new();
        for number in 0..count {
            homes.push(matrix::Town::named(&format!("home{number}.test")).await);
        }
        let fork = Fork::start(homes.iter().filter_map(Many::address).collect()).await;
        Self { homes, fork, next: AtomicUsize::new(0) }
    }

    /// The one at which the next tenant has its account, and where that is.
    fn next(&self) -> (&matrix::Town, String) {
        let number = self.next.fetch_add(1, Ordering::SeqCst) % self.homes.len();
        (&self.homes[number], self.fork.url_of(number))
    }
}

fn root<M: Many>(many: &M) -> Option<(&'static str, String)> {
    many.address().map(|address| (M::NAME, format!("http://{address}")))
}

/// None where `NETWORKS` says which there are to be, and not this one. The network is `at` there, or where it
/// says itself, or the gateway is what is talked to.
async fn talker<M: Many<Talk: 'static>>(
    many: &M,
    at: Option<String>,
    ground: &Ground,
    tenant: &Tenant,
) -> Option<Talker> {
    let asked = std::env::var("NETWORKS");
    if asked.is_ok_and(|asked| asked.split(',').all(|it| it != M::NAME)) {
        return None;
    }
    let own = || format!("http://{}", ground.gateway.address());
    let root = at.or_else(|| Some(root(many)?.1)).unwrap_or_else(own);
    let talk = Box::new(many.join(ground, &tenant.id, &root).await);
    let talker = Talker::new(tenant.clone(), (M::NAME, M::DOUBLES), talk);
    let model = json!({"key": talker.session(), "model": "test/bill"});
    rpc(&ground.gateway, tenant, "sessions.patch", model).await;
    Some(talker)
}
