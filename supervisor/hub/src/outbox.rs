//! The end of a connection's queue from which it is sent. Dropping it is leaving.

use std::sync::Arc;

use crate::queue::{Close, Item};
use crate::{Connection, Hub};

/// What waits for one connection, in order. The connection is its tenant's as long as this lives.
#[derive(Debug)]
pub struct Outbox {
    hub: Hub,
    connection: Arc<Connection>,
    /// What the item that was taken last costs, until the next is asked for.
    under_way: usize,
}

/// What to do next on a connection.
#[derive(Debug)]
pub enum Next {
    /// Send this.
    Send(Item),
    /// End it.
    Close(Close),
}

impl Outbox {
    pub(crate) const fn new(hub: Hub, connection: Arc<Connection>) -> Self {
        Self { hub, connection, under_way: 0 }
    }

    /// The next item. The one before it counts as waiting until this is called: it has been sent
    /// then. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Next {
        self.sent();
        match self.connection.queue.next().await {
            Ok((item, cost)) => {
                self.under_way = cost;
                Next::Send(item)
            }
            Err(close) => Next::Close(close),
        }
    }

    /// Resolves when the connection is to end without sending what waits.
    pub async fn cut(&self) -> Close {
        self.connection.queue.cut().await
    }

    fn sent(&mut self) {
        if self.under_way > 0 {
            self.connection.queue.sent(self.under_way);
            self.under_way = 0;
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.sent();
        self.connection.close(Close::now(1000, ""));
        self.connection.pending.clear();
        self.hub.leave(&self.connection);
    }
}
