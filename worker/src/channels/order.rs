//! Answers of one conversation go out in the order of what they answer: each follows the one before it, when
//! that is handed over or given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Who is last in each session that answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    last: HashMap<String, (u64, oneshot::Receiver<()>)>,
}

/// A place behind the one before it. Dropped, it makes way for the next.
#[derive(Debug)]
pub(super) struct Place {
    order: Order,
    session: String,
    number: u64,
    before: Option<oneshot::Receiver<()>>,
    _behind: oneshot::Sender<()>,
}

impl Order {
    /// A place in the session's line.
    pub(super) fn line_up(&self, session: &str) -> Place {
        let (behind, is_gone) = oneshot::channel();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.next = lines.next.wrapping_add(1);
        let number = lines.next;
        let before = lines.last.insert(session.to_owned(), (number, is_gone)).map(|it| it.1);
        drop(lines);
        let (order, session) = (self.clone(), session.to_owned());
        Place { order, session, number, before, _behind: behind }
    }
}

impl Place {
    /// Waits until those before it are gone.
    pub(super) async fn turn(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: it ends when it is dropped.
            drop(before.await);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.order.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.last.get(&self.session).is_some_and(|(number, _)| *number == self.number) {
            lines.last.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_waits_for_the_one_before_it_and_for_no_other() {
        let order = Order::default();
        let (mut first, mut second) = (order.line_up("a"), order.line_up("a"));
        let (mut third, mut other) = (order.line_up("a"), order.line_up("b"));
        first.turn().await;
        other.turn().await;
        let gone = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [(3, &mut third), (2, &mut second)]
            .into_iter()
            .map(|(number, place)| {
                let gone = Arc::clone(&gone);
                async move {
                    place.turn().await;
                    gone.lock().unwrap().push(number);
                }
            })
            .collect();
        let mut waiting = std::pin::pin!(futures_util::future::join_all(tasks));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        assert!(futures_util::poll!(&mut waiting).is_pending(), "the third waits for the second");
        assert_eq!(*gone.lock().unwrap(), [2]);
    }

    #[tokio::test]
    async fn a_line_that_is_over_is_forgotten() {
        let order = Order::default();
        let (first, second) = (order.line_up("a"), order.line_up("a"));
        drop(first);
        assert_eq!(order.0.lock().unwrap().last.len(), 1);
        drop(second);
        assert!(order.0.lock().unwrap().last.is_empty());
        order.line_up("a").turn().await;
    }
}
