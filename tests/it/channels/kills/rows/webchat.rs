//! Pages of our own. There is no network that the gateway calls: what stands between is on the visitor's
//! line to the gateway.
//!
//! Nobody tells the gateway to wait here, so that an answer that cannot go is one for which no page has a
//! line: it is kept where pages look, and not in the outbox. One that is held goes out over a line on which
//! nothing arrives any more; of one that has arrived nobody hears, as nothing that the page says does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tests::networks::Side;
use tests::page::{Site, Visitor};

use super::*;

/// What the visitor says in a minute: less than the gateway takes of one, as what is not known to be kept
/// is said again.
const IN_A_MINUTE: usize = 12;
const MINUTE: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(crate) struct Row {
    visitor: Option<Visitor>,
    said: VecDeque<Instant>,
}

impl Row {
    fn visitor(&self) -> &Visitor {
        self.visitor.as_ref().unwrap()
    }
}

impl Net for Row {
    const NAME: &'static str = "webchat";
    const WAITS: bool = false;

    async fn start() -> Self {
        Self::default()
    }

    async fn ground(&self) -> (Between, Ground) {
        let ground = Ground::build(&[]).await;
        let address = ground.gateway.address();
        (Between::stream(address, r#""type":"message""#, Side::Far).await, ground)
    }

    async fn join(&mut self, ground: &Ground, _tenants: &[Tenant], root: &str) {
        let added = ground.add(&["acme"], Self::NAME, &[], &OPEN);
        let address = root.trim_start_matches("http://").parse().unwrap();
        self.visitor = Some(Visitor::new(Site::new(address, &added)).await);
    }

    async fn is_there(&mut self) {
        until("the page has a line", || self.visitor().is_open()).await;
    }

    async fn say(&mut self, _talk: usize, text: &str) {
        if self.said.len() == IN_A_MINUTE
            && let Some(first) = self.said.pop_front()
        {
            tokio::time::sleep(MINUTE.saturating_sub(first.elapsed())).await;
        }
        self.said.push_back(Instant::now());
        self.visitor().say(text);
    }

    async fn said(&mut self, _talk: usize) -> Vec<String> {
        self.visitor().answers()
    }

    fn session(&self, _talk: usize) -> String {
        session(Self::NAME, self.visitor().id())
    }
}
