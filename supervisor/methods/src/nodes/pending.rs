//! What is queued for a node until it asks: requests for its status or place. There is no way to
//! wake a node, and nothing else is queued.

use api::ApiError;
use api::nodes::{DrainParams, Drained, EnqueueParams, Enqueued, PendingItem};
use api::nodes::{PendingKind, PendingPriority};
use records::{NodeQueueItem, NodeQueueRow};
use types::UnixMillis;

use super::{Nodes, unknown_node};
use crate::devices::failed;

/// Things that wait for one node: of each kind, one is enough.
const MAX_ITEMS: usize = 16;

/// Things that are taken at once where the node does not say.
const USUAL_ITEMS: u32 = 4;

/// Things that are taken at once at most.
const MOST_ITEMS: u32 = 10;

/// How long something may wait, in milliseconds.
const EXPIRY: std::ops::RangeInclusive<u64> = 1000..=86_400_000;

impl Nodes<'_> {
    pub(crate) async fn enqueue(&self, params: EnqueueParams) -> Result<Enqueued, ApiError> {
        if params.expires_in_ms.is_some_and(|it| !EXPIRY.contains(&it)) {
            return Err(ApiError::invalid(format!(
                "invalid node.pending.enqueue params: expiresInMs is {} to {}",
                EXPIRY.start(),
                EXPIRY.end()
            )));
        }
        let id = params.node_id;
        if self.paired(&id).await?.is_none() && self.live(&id).is_none() {
            return Err(unknown_node());
        }
        let (mut queue, now) = (self.queue(&id).await?, self.clock.now());
        let kind = kind(params.kind).to_owned();
        // The same thing twice is no more than once.
        queue.items.retain(|item| item.kind != kind);
        if queue.items.len() >= MAX_ITEMS {
            return Err(ApiError::unavailable(format!("{MAX_ITEMS} things wait for the node")));
        }
        let item = NodeQueueItem {
            id: uuid::Uuid::new_v4().to_string(),
            kind,
            priority: priority(params.priority).to_owned(),
            created_at: now,
            expires_at: params.expires_in_ms.map(|it| now.saturating_add(it)),
        };
        let queued = view(&item);
        queue.items.push(item);
        queue.revision = queue.revision.saturating_add(1);
        self.keep(&id, &queue).await?;
        Ok(Enqueued { node_id: id, revision: queue.revision, queued, wake_triggered: false })
    }

    pub(crate) async fn drain(&self, id: &str, params: &DrainParams) -> Result<Drained, ApiError> {
        let max = params.max_items.unwrap_or(USUAL_ITEMS);
        if !(1..=MOST_ITEMS).contains(&max) {
            let wants = format!("maxItems is 1 to {MOST_ITEMS}");
            return Err(ApiError::invalid(format!("invalid node.pending.drain params: {wants}")));
        }
        let mut queue = self.queue(id).await?;
        queue.items.sort_by_key(|item| (item.priority != "high", item.created_at));
        let most = usize::try_from(max).unwrap_or(usize::MAX);
        let rest = queue.items.split_off(queue.items.len().min(most));
        let items: Vec<_> = std::mem::replace(&mut queue.items, rest).iter().map(view).collect();
        if !items.is_empty() {
            queue.revision = queue.revision.saturating_add(1);
            self.keep(id, &queue).await?;
        }
        let (revision, has_more) = (queue.revision, !queue.items.is_empty());
        Ok(Drained { node_id: id.to_owned(), revision, items, has_more })
    }

    /// What waits and has not expired.
    async fn queue(&self, id: &str) -> Result<NodeQueueRow, ApiError> {
        let queue = self.records.node_queue(self.tenant, id).await;
        let mut queue = queue.map_err(|err| failed(&err))?;
        let now: UnixMillis = self.clock.now();
        queue.items.retain(|item| item.expires_at.is_none_or(|end| end > now));
        Ok(queue)
    }

    async fn keep(&self, id: &str, queue: &NodeQueueRow) -> Result<(), ApiError> {
        let put = self.records.put_node_queue(self.tenant, id, queue).await;
        put.map_err(|err| failed(&err))
    }
}

fn view(item: &NodeQueueItem) -> PendingItem {
    PendingItem {
        id: item.id.clone(),
        kind: item.kind.clone(),
        priority: item.priority.clone(),
        created_at_ms: item.created_at,
        expires_at_ms: item.expires_at,
    }
}

const fn kind(kind: PendingKind) -> &'static str {
    match kind {
        PendingKind::Status => "status.request",
        PendingKind::Location => "location.request",
    }
}

const fn priority(priority: Option<PendingPriority>) -> &'static str {
    match priority {
        None | Some(PendingPriority::Normal) => "normal",
        Some(PendingPriority::High) => "high",
    }
}
