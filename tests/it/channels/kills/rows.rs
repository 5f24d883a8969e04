//! A row for each network: where it is, how one has an account there, who talks to it, and what that one
//! sees.

pub(in crate::channels) mod discord;
pub(in crate::channels) mod irc;
pub(in crate::channels) mod matrix;
pub(in crate::channels) mod matrix_town;
pub(in crate::channels) mod slack_events;
pub(in crate::channels) mod slack_socket;
pub(in crate::channels) mod telegram;
pub(in crate::channels) mod webchat;
pub(in crate::channels) mod webhook;

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tests::Tenant;
use tests::networks::{Between, Side};

use super::super::ground::Ground;
use super::super::house::until;

/// What the tests know of a network.
pub(super) trait Net: Sized {
    /// Its name.
    const NAME: &'static str;

    /// Whether it doubles what comes twice.
    const DOUBLES: bool = false;

    /// Whether it keeps nothing: what the bot has not heard is lost.
    const LOSES: bool = false;

    /// Whether an answer that cannot go waits in the outbox; else it is where it is to go already.
    const WAITS: bool = true;

    /// Tenants who have bots there.
    const TENANTS: &'static [&'static str] = &["acme"];

    /// Whose each conversation is: a place among them.
    const TALKS: &'static [usize] = &[0];

    /// Starts it, with bots and people.
    async fn start() -> Self;

    /// A gateway that reaches it, or that people reach, through what stands between.
    async fn ground(&self) -> (Between, Ground);

    /// Makes the accounts, whose root is that, and waits until events come.
    async fn join(&mut self, ground: &Ground, tenants: &[Tenant], root: &str);

    /// Waits until the bot hears what is said, where the network does not keep it.
    async fn is_there(&mut self) {}

    /// Somebody says something to the bot in a conversation; the network brings it until it is taken.
    async fn say(&mut self, talk: usize, text: &str);

    /// What is seen of the bot there.
    async fn said(&mut self, talk: usize) -> Vec<String>;

    /// The session of a conversation.
    fn session(&self, talk: usize) -> String;
}

/// A network at which many tenants may have an account each, and somebody talks to each alone.
pub(in crate::channels) trait Many: Sized + Send + Sync {
    /// Its name.
    const NAME: &'static str;

    /// Whether it doubles what comes twice.
    const DOUBLES: bool = false;

    /// Whether an answer that cannot go waits in the outbox; else it is where it is to go already.
    const WAITS: bool = true;

    /// What the first line of a request has that is a message; where people come to the gateway itself,
    /// what a message has.
    const SENDS: &'static str;

    /// Who talks to an account.
    type Talk: Talk;

    /// Starts it, without bots.
    async fn start() -> Self;

    /// Where it is; none where people come to the gateway itself.
    fn address(&self) -> Option<SocketAddr>;

    /// Makes an account of the tenant, whose root is that, and who talks to it; waits until events come.
    fn join(
        &self,
        ground: &Ground,
        tenant: &str,
        root: &str,
    ) -> impl Future<Output = Self::Talk> + Send;
}

/// Somebody who talks to a bot alone.
pub(in crate::channels) trait Talk: Send + Sync {
    /// Waits until the bot hears what is said, where the network does not keep it.
    fn is_there(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Says something; the network brings it until it is taken.
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()>;

    /// What is seen of the bot.
    fn said(&mut self) -> BoxFuture<'_, Vec<String>>;

    /// The session of it.
    fn session(&self) -> String;
}

/// A network with one account.
pub(crate) struct One<M: Many> {
    many: M,
    talk: Option<M::Talk>,
}

impl<M: Many> One<M> {
    fn talk(&mut self) -> &mut M::Talk {
        self.talk.as_mut().unwrap()
    }
}

impl<M: Many> Net for One<M> {
    const NAME: &'static str = M::NAME;
    const DOUBLES: bool = M::DOUBLES;
    const WAITS: bool = M::WAITS;

    async fn start() -> Self {
        Self { many: M::start().await, talk: None }
    }

    async fn ground(&self) -> (Between, Ground) {
        if let Some(address) = self.many.address() {
            return beyond(M::NAME, address, M::SENDS).await;
        }
        let ground = Ground::build(&[]).await;
        (Between::stream(ground.gateway.address(), M::SENDS, Side::Far).await, ground)
    }

    async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], root: &str) {
        self.talk = Some(self.many.join(ground, "acme", root).await);
    }

    async fn is_there(&mut self) {
        self.talk().is_there().await;
    }

    async fn say(&mut self, _talk: usize, text: &str) {
        self.talk().say(text).await;
    }

    async fn said(&mut self, _talk: usize) -> Vec<String> {
        self.talk().said().await
    }

    fn session(&self, _talk: usize) -> String {
        self.talk.as_ref().unwrap().session()
    }
}

/// A gateway whose network is there, and what stands between: it knows messages by their request's first
/// line, which has that.
async fn beyond(name: &str, address: SocketAddr, sends: &'static str) -> (Between, Ground) {
    let between = Between::start(address, sends).await;
    let ground = Ground::build(&[(name, &between.url())]).await;
    (between, ground)
}

/// The options of an account to which everybody may write.
const OPEN: [&str; 2] = ["--dm-policy", "open"];

fn session(network: &str, person: &str) -> String {
    format!("agent:main:{network}:bot:direct:{}", person.to_lowercase())
}
