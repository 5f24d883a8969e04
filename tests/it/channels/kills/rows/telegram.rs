//! Telegram: it keeps what is said, and doubles what comes twice.

use std::sync::atomic::{AtomicU64, Ordering};

use tests::Telegram;

use super::*;

pub(crate) type Row = One<Town>;

/// Who talks to each bot.
const PERSON: i64 = 7;

pub(crate) struct Town {
    telegram: Telegram,
    bots: AtomicU64,
}

pub(crate) struct Chat {
    telegram: Telegram,
    token: String,
}

impl Many for Town {
    const NAME: &'static str = "telegram";
    const DOUBLES: bool = true;
    const SENDS: &'static str = "/sendMessage";
    const FILE: Option<&'static str> = Some("/sendDocument");

    type Talk = Chat;

    async fn start() -> Self {
        Self { telegram: Telegram::start().await, bots: AtomicU64::new(700) }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.telegram.url().trim_start_matches("http://").parse().ok()
    }

    async fn join(&self, ground: &Ground, tenant: &str, _root: &str) -> Chat {
        let number = self.bots.fetch_add(1, Ordering::Relaxed);
        let token = self.telegram.bot(number, &format!("helper_{number}_bot"));
        ground.add(&[tenant], Self::NAME, &[("--secret-file", &token)], &OPEN);
        Chat { telegram: self.telegram.clone(), token }
    }
}

impl Talk for Chat {
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {
            self.telegram.write(&self.token, PERSON, text);
        })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let sent = self.telegram.sent(&self.token).into_iter().filter(|it| it.chat == PERSON);
            sent.map(|it| it.file.map_or(it.text, |file| file.name)).collect()
        })
    }

    fn newest(&mut self, count: usize) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move { self.telegram.newest(&self.token, count) })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async {
            let files = self.telegram.files(&self.token, PERSON).into_iter();
            files.map(|it| it.content).collect()
        })
    }

    fn session(&self) -> String {
        session(Town::NAME, &PERSON.to_string())
    }
}
