//! What a request is called in every log and reply, and where it came from.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use crate::seat::Seat;

/// Makes request ids: keyed hashes of a counter, so that they are all different, cost no system
/// call, and tell a tenant nothing of how many requests others make.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    count: AtomicU64,
    keys: [RandomState; 2],
}

/// One request, before anything in it is read.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The request's id.
    pub(crate) id: HeaderValue,
    /// The connection on which it came.
    pub(crate) seat: Arc<Seat>,
}

impl Ids {
    pub(crate) fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one(count));
        let text = format!("req_{high:016x}{low:016x}");
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("req"))
    }
}

impl Identity {
    /// The request's id as text.
    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_tell_nothing() {
        let (one, other) = (Ids::default(), Ids::default());
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| one.next()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 36));
        assert!(!ids.contains(&other.next()));
    }
}
