//! Coming to an end: what is under way may finish, nothing new is taken.

use std::time::Duration;

use proto::worker::{DrainReply, DrainRequest};

use super::Inner;

/// How long runs that a drain has stopped may take to store what they have.
const STOP_GRACE: Duration = Duration::from_secs(2);

impl Inner {
    /// Waits up to the deadline for what is under way, and stops what is left.
    pub(super) async fn drain(&self, request: DrainRequest) -> DrainReply {
        let deadline = Duration::from_millis(request.deadline_ms.into());
        self.gate.close();
        if request.if_idle && (self.gate.passes() > 0 || self.core.runs.count() > 0) {
            self.gate.reopen();
            return DrainReply { cancelled: 0, busy: true };
        }
        self.core.cron.close();
        let emptied = tokio::time::timeout(deadline, self.emptied()).await;
        let mut cancelled = 0;
        if emptied.is_err() {
            cancelled = self.core.runs.count();
            self.core.runs.stop_all();
            let stopped = tokio::time::timeout(STOP_GRACE, self.emptied()).await;
            if stopped.is_err() {
                tracing::warn!(left = self.gate.passes(), "runs did not end when stopped");
            }
        }
        DrainReply { cancelled, busy: false }
    }

    /// Waits until nobody waits for an answer, and no run goes on in the background.
    async fn emptied(&self) {
        self.gate.emptied().await;
        self.core.runs.emptied().await;
    }
}
