//! IRC, against a genuine server. It keeps nothing: what is said to a bot that is not there is gone, and so is
//! what it has not written down when it is killed.
//!
//! Nobody tells a client to wait here, so that an answer that cannot go is one for which there is no
//! connection.

use std::time::Duration;

use tests::networks::Side;
use tests::networks::ircd::{Ircd, PASSWORD, Person};

use super::*;

/// The account's name is its own at the server.
const NICK: &str = "bot";

/// How long one listens to what has come.
const LISTENS: Duration = Duration::from_millis(10);

pub(crate) struct Row {
    server: Ircd,
    person: Person,
}

impl Net for Row {
    const NAME: &'static str = "irc";
    const DOUBLES: bool = true;
    const LOSES: bool = true;

    async fn start() -> Self {
        let server = Ircd::start();
        let person = server.person("ann").await;
        Self { server, person }
    }

    async fn ground(&self) -> (Between, Ground) {
        let between = Between::stream(self.server.address(), "PRIVMSG", Side::Near).await;
        let root = between.url().replace("http://", "irc://");
        (between, Ground::build(&[(Self::NAME, &root)]).await)
    }

    async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], _root: &str) {
        ground.add(&["acme"], Self::NAME, &[("--secret-file", PASSWORD)], &OPEN);
        self.is_there().await;
    }

    async fn is_there(&mut self) {
        for _ in 0..600 {
            self.person.send(&format!("ISON {NICK}")).await;
            if self.person.until("303").await.params.last().unwrap().contains(NICK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the bot does not come");
    }

    async fn say(&mut self, _talk: usize, text: &str) {
        self.person.say(NICK, text).await;
    }

    async fn said(&mut self, _talk: usize) -> Vec<String> {
        self.person.listen(LISTENS).await;
        let me = self.person.nick();
        let is_said = |it: &&tests::networks::ircd::Line| {
            it.command == "PRIVMSG" && it.params.first().is_some_and(|to| to == me)
        };
        let said = self.person.heard().iter().filter(is_said);
        said.map(|it| it.params.last().unwrap().clone()).collect()
    }

    fn session(&self, _talk: usize) -> String {
        session(Self::NAME, self.person.nick())
    }
}
