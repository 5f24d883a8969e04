//! Pages of our own. There is no network that the gateway calls: what stands between is on the visitor's
//! line to the gateway.
//!
//! Nobody tells the gateway to wait here, so that an answer that cannot go is one for which no page has a
//! line: it is kept where pages look, and not in the outbox. One that is held goes out over a line on which
//! nothing arrives any more; of one that has arrived nobody hears, as nothing that the page says does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tests::page::{Site, Visitor};

use super::*;

pub(crate) type Row = One<Town>;

/// What a visitor says in a minute: less than the gateway takes of one, as what is not known to be kept
/// is said again.
const IN_A_MINUTE: usize = 15;
const MINUTE: Duration = Duration::from_mins(1);

pub(crate) struct Town;

pub(crate) struct Chat {
    visitor: Visitor,
    said: VecDeque<Instant>,
}

impl Many for Town {
    const NAME: &'static str = "webchat";
    const WAITS: bool = false;
    const SENDS: &'static str = r#""type":"message""#;

    type Talk = Chat;

    async fn start() -> Self {
        Self
    }

    fn address(&self) -> Option<SocketAddr> {
        None
    }

    async fn join(&self, ground: &Ground, tenant: &str, root: &str) -> Chat {
        let added = ground.add(&[tenant], Self::NAME, &[], &OPEN);
        let address = root.trim_start_matches("http://").parse().unwrap();
        Chat { visitor: Visitor::new(Site::new(address, &added)).await, said: VecDeque::new() }
    }
}

impl Talk for Chat {
    fn is_there(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { until("the page has a line", || self.visitor.is_open()).await })
    }

    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {
            if self.said.len() == IN_A_MINUTE
                && let Some(first) = self.said.pop_front()
            {
                tokio::time::sleep(MINUTE.saturating_sub(first.elapsed())).await;
            }
            self.said.push_back(Instant::now());
            self.visitor.say(text);
        })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { self.visitor.answers() })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async { self.visitor.files() })
    }

    fn session(&self) -> String {
        session(Town::NAME, self.visitor.id())
    }
}
