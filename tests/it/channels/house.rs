//! A gateway whose Telegram is the tests' own, and what one does there.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::provider::{Line, bill};
use tests::{Builder, Gateway, Provider, Telegram};

/// How long an answer may take: what comes back from a kill waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct House {
    pub(crate) provider: Provider,
    pub(crate) telegram: Telegram,
    pub(crate) gateway: Gateway,
}

impl House {
    pub(crate) async fn build() -> Self {
        Self::with(json!({})).await
    }

    /// One that says more of networks in its configuration.
    pub(crate) async fn with(more: Value) -> Self {
        let (provider, telegram) = (Provider::start().await, Telegram::start().await);
        let mut channels = json!({"channels": {"telegram": {"apiRoot": telegram.url()}}});
        channels["channels"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gateway = Builder::default().config(provider.config_with(channels)).start();
        Self { provider, telegram, gateway }
    }

    /// Makes a Telegram account; gives what the command line prints.
    pub(crate) fn add(&self, whose: &[&str], token: &str, more: &[&str]) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        let file = file.path().to_str().unwrap().to_owned();
        let mut args = vec!["channels", "add"];
        args.extend(whose);
        args.extend(["telegram", "--account", "bot", "--secret-file", &file]);
        args.extend(more);
        self.gateway.json(&args)
    }

    /// Waits until a chat has so many messages; gives their texts.
    pub(crate) async fn texts(&self, token: &str, chat: i64, count: usize) -> Vec<String> {
        let started = Instant::now();
        loop {
            let texts = self.telegram.texts(token, chat);
            if texts.len() >= count {
                return texts;
            }
            assert!(started.elapsed() < PATIENCE, "{chat} has less than {count}: {texts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a chat has just these messages.
    pub(crate) async fn shows(&self, token: &str, chat: i64, texts: &[&str]) {
        let shown = || self.telegram.texts(token, chat) == texts;
        until(&format!("{chat} has {texts:?}"), shown).await;
    }

    /// Waits until everything that was written is confirmed and somebody asks for more.
    pub(crate) async fn heard(&self, token: &str) {
        until("everything is heard", || {
            self.telegram.pending(token) == 0 && self.telegram.is_polled(token)
        })
        .await;
    }

    pub(crate) fn state(&self, tenant: &str) -> String {
        let shown = self.gateway.json(&["tenants", "show", tenant]);
        shown["state"].as_str().unwrap().to_owned()
    }
}

/// An answer that waits in its middle until it is let go.
pub(crate) fn held(words: &str) -> String {
    let end = Line::say(&format!(" {words}"));
    bill(&[Line::say("so:"), Line::Wait, end, Line::Stop, Line::used(1, 1), Line::Done])
}

/// Waits without holding up the network that the test itself is.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
