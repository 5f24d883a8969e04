//! Every task has an owner that can stop it and that waits for it.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A scope of tasks. A clone is a handle to the same scope; a child stops with its parent but can
/// be stopped and waited for alone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// A scope that stops when this one does.
    pub fn child(&self) -> Self {
        Self { tracker: TaskTracker::new(), stopping: self.stopping.child_token() }
    }

    /// Runs `task` in this scope.
    ///
    /// A task that must end with the scope has to select on [`Tasks::stopping`].
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(self.tracker.track_future(task))
    }

    /// Runs `task` until it ends or the scope stops, whichever is first.
    pub fn spawn_until_stopped(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        drop(self.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = task => {}
            }
        }));
    }

    /// Resolves when the scope is asked to stop.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Whether the scope was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Asks every task of this scope and of its children to stop.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Stops, and waits up to `deadline` for the tasks of this scope. True when all have ended.
    pub async fn shut_down(&self, deadline: Duration) -> bool {
        self.stop();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        drop(self.spawn(task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_stops_alone_or_with_its_parent() {
        let parent = Tasks::default();
        let (one, two) = (parent.child(), parent.child());
        one.spawn_until_stopped(std::future::pending());
        two.spawn_until_stopped(std::future::pending());
        assert!(one.shut_down(Duration::from_secs(5)).await);
        assert!(!two.is_stopping());
        parent.stop();
        assert!(two.shut_down(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_task_that_does_not_listen_is_not_waited_for_beyond_the_deadline() {
        let tasks = Tasks::default();
        drop(tasks.spawn(std::future::pending::<()>()));
        assert!(!tasks.shut_down(Duration::from_millis(20)).await);
    }
}
