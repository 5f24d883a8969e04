//! Matrix, on a genuine homeserver.

use std::collections::VecDeque;

use serde_json::json;
use tests::networks::synapse::{Person, Synapse};

use super::*;
use crate::channels::matrix::events;

pub(crate) type Row = One<Town>;

/// Events that a message is on the whole: one, and of an answer that is shown before it is whole its changes.
const EVENTS: usize = 3;

pub(crate) struct Town(Synapse);

pub(crate) struct Chat {
    bot: Person,
    person: Person,
    room: String,
    /// What was seen of the bot, answers that were not whole yet among it.
    seen: VecDeque<String>,
}

impl Town {
    /// With a homeserver of that name.
    pub(crate) async fn named(name: &str) -> Self {
        Self(Synapse::start_with(json!({"server_name": name})).await)
    }
}

impl Many for Town {
    const NAME: &'static str = "matrix";
    const SENDS: &'static str = "/send/m.room.message/";

    type Talk = Chat;

    async fn start() -> Self {
        Self(Synapse::start().await)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.0.address())
    }

    async fn join(&self, ground: &Ground, tenant: &str, root: &str) -> Chat {
        let (bot, person) = (self.0.person("bot").await, self.0.person("ann").await);
        let more = [&OPEN[..], &["--server", root]].concat();
        ground.add(&[tenant], Self::NAME, &[("--secret-file", bot.token())], &more);
        let chat = Chat { room: person.direct(bot.id()).await, bot, person, seen: VecDeque::new() };
        let both = [chat.bot.id(), chat.person.id()];
        chat.person.sees_in(&chat.room, &both).await;
        chat
    }
}

impl Talk for Chat {
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {
            self.person.say(&self.room, text).await;
        })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let all = events(&self.person, &self.room, &self.bot).await;
            all.iter().map(|it| it["content"]["body"].as_str().unwrap().to_owned()).collect()
        })
    }

    fn newest(&mut self, count: usize) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            // What is new costs the server a third of what the newest do.
            let new = self.person.news(&self.room).await;
            let ours = new.iter().filter(|it| it["sender"] == self.bot.id());
            let texts = ours.filter_map(|it| {
                let whole = it.pointer("/content/m.new_content/body");
                whole.or_else(|| it.pointer("/content/body"))?.as_str()
            });
            self.seen.extend(texts.map(str::to_owned));
            let old = self.seen.len().saturating_sub(EVENTS * count);
            self.seen.drain(..old);
            self.seen.iter().cloned().collect()
        })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async {
            let mut files = Vec::new();
            for event in events(&self.person, &self.room, &self.bot).await {
                if let Some(url) = event["content"]["url"].as_str() {
                    files.push(self.person.download(url).await.body.to_vec());
                }
            }
            files
        })
    }

    fn session(&self) -> String {
        session(Town::NAME, self.person.id())
    }
}
