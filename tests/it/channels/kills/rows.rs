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
use serde_json::Value;
use tests::networks::{Between, Side};
use tests::{Client, Tenant};

use super::super::ground::Ground;
use super::super::house::until;

/// What the tests know of a network.
pub(in crate::channels) trait Net: Sized {
    /// Its name.
    const NAME: &'static str;

    /// Whether it doubles what comes twice.
    const DOUBLES: bool = false;

    /// Whether it keeps nothing: what the bot has not heard is lost.
    const LOSES: bool = false;

    /// Whether an answer that cannot go waits in the outbox; else it is where it is to go already.
    const WAITS: bool = true;

    /// What the request line of the call has that sends a file, where it is another than that of a message.
    const FILE: Option<&'static str> = None;

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

    /// What is seen of the bot there; of a file its name.
    async fn said(&mut self, talk: usize) -> Vec<String>;

    /// What is in the files that are seen of the bot there.
    async fn files(&mut self, _talk: usize) -> Vec<Vec<u8>> {
        Vec::new()
    }

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

    /// The same of the call that sends a file, where it is another.
    const FILE: Option<&'static str> = None;

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

    /// What is seen of the bot; of a file its name.
    fn said(&mut self) -> BoxFuture<'_, Vec<String>>;

    /// The newest of that, for whoever looks again and again: at least so many messages of the conversation.
    fn newest(&mut self, _count: usize) -> BoxFuture<'_, Vec<String>> {
        self.said()
    }

    /// What is in the files that are seen of it.
    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>>;

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
    const FILE: Option<&'static str> = M::FILE;

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

    async fn files(&mut self, _talk: usize) -> Vec<Vec<u8>> {
        self.talk().files().await
    }

    fn session(&self, _talk: usize) -> String {
        self.talk.as_ref().unwrap().session()
    }
}

/// What a message says: what stands at one of these places, the first that is there.
fn text_at(message: &Value, places: &[&str]) -> String {
    let found = places.iter().find_map(|it| message.pointer(it)?.as_str());
    found.unwrap_or_else(|| panic!("neither of {places:?}: {message}")).to_owned()
}

/// What is to be had at the addresses that messages have there.
async fn fetched(messages: &[Value], place: &str, token: Option<&str>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for url in messages.iter().filter_map(|it| it.pointer(place)?.as_str()) {
        let url: http::Uri = url.parse().unwrap();
        let address = url.authority().unwrap().as_str().parse().unwrap();
        let reply = Client::new(address, token.map(str::to_owned)).get(url.path()).await;
        all.push(reply.body.to_vec());
    }
    all
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
