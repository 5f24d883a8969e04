//! Discord, over its gateway.

use tests::networks::discord::{Bot, Discord};

use super::*;

pub(crate) type Row = One<Town>;

pub(crate) struct Town(Discord);

pub(crate) struct Chat {
    bot: Bot,
    person: String,
    room: String,
}

impl Many for Town {
    const NAME: &'static str = "discord";
    const SENDS: &'static str = "/messages";

    type Talk = Chat;

    async fn start() -> Self {
        Self(Discord::start().await)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.0.address())
    }

    async fn join(&self, ground: &Ground, tenant: &str, _root: &str) -> Chat {
        let bot = self.0.bot("helper");
        let person = bot.person("ann");
        let room = bot.direct(&person);
        ground.add(&[tenant], Self::NAME, &[("--secret-file", bot.token())], &OPEN);
        bot.has_connected(1).await;
        Chat { bot, person, room }
    }
}

impl Talk for Chat {
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {
            self.bot.say(&self.room, &self.person, text);
        })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let said = self.bot.said(&self.room);
            said.iter().map(|it| text_at(it, &["/attachments/0/filename", "/content"])).collect()
        })
    }

    fn newest(&mut self, count: usize) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let newest = self.bot.newest(&self.room, count);
            newest.iter().map(|it| text_at(it, &["/content"])).collect()
        })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async { fetched(&self.bot.said(&self.room), "/attachments/0/url", None).await })
    }

    fn session(&self) -> String {
        session(Town::NAME, &self.person)
    }
}
