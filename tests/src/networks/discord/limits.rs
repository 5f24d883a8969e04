//! How often a bot may ask: so often for each route and place, and so often in all.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::Named;
use crate::networks::serve::{Failure, Told};

/// Requests that a bot may make in a second.
const GLOBAL: usize = 50;

/// Requests of one bucket in a time, where a test says nothing else.
const USUAL: (u32, Duration) = (5, Duration::from_secs(5));

/// Buckets that are kept.
const MAX_BUCKETS: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Limits {
    buckets: Named<Bucket>,
    latest: VecDeque<Instant>,
    /// What a test has set for every bucket.
    set: Option<(u32, Duration)>,
    /// Requests in a second that a test has set.
    global: Option<usize>,
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    ends: Instant,
}

/// What a request meets.
pub(super) enum Met {
    /// It may go on; its answer has these headers.
    Free(Vec<(&'static str, String)>),
    /// It may not, and this is its answer.
    Limited(Told),
}

impl Limits {
    /// Sets other limits, from now on.
    pub(super) fn set(&mut self, bucket: (u32, Duration), global: usize) {
        (self.set, self.global) = (Some(bucket), Some(global));
        self.buckets.clear();
    }

    /// Counts a request of the bucket of a route and a place.
    pub(super) fn meet(&mut self, bucket: &str) -> Met {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        self.latest.retain(|it| now.duration_since(*it) < second);
        if self.latest.len() >= self.global.unwrap_or(GLOBAL) {
            let first = self.latest.front().copied().unwrap_or(now);
            return Met::Limited(limited(
                second.saturating_sub(now.duration_since(first)),
                "global",
                &[],
            ));
        }
        self.latest.push_back(now);
        let (limit, window) = self.set.unwrap_or(USUAL);
        self.buckets.retain(|_, it| it.ends > now);
        assert!(self.buckets.len() < MAX_BUCKETS, "more buckets than any test needs");
        let fresh = || Bucket { left: limit, ends: now + window };
        let found = self.buckets.entry(bucket.to_owned()).or_insert_with(fresh);
        let left = found.left.checked_sub(1);
        found.left = left.unwrap_or(0);
        let after = found.ends.duration_since(now);
        let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + after;
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", found.left.to_string()),
            ("x-ratelimit-reset", format!("{:.3}", ends.as_secs_f64())),
            ("x-ratelimit-reset-after", format!("{:.3}", after.as_secs_f64())),
            ("x-ratelimit-bucket", name(bucket)),
        ];
        if left.is_some() {
            Met::Free(headers)
        } else {
            Met::Limited(limited(after, "user", &headers))
        }
    }
}

/// The name of a bucket, which says nothing of where it is.
fn name(bucket: &str) -> String {
    let route = bucket.split(" at ").next().unwrap_or_default();
    let digest = ring::digest::digest(&ring::digest::SHA256, route.as_bytes());
    let bytes = digest.as_ref().iter().take(16);
    bytes.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn limited(after: Duration, scope: &str, more: &[(&'static str, String)]) -> Told {
    let Failure::Answer(status, headers, body) = failure(after, scope) else { return Told::Cut };
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Told::failure(status, headers.into_iter().chain(more).collect(), body)
}

/// Discord's answer to whoever asks too often; `scope` is `user`, `global` or `shared`.
pub(super) fn failure(after: Duration, scope: &str) -> Failure {
    let is_global = scope == "global";
    let body = json!({
        "message": "You are being rate limited.", "retry_after": after.as_secs_f64(),
        "global": is_global,
    });
    let seconds = after.as_millis().div_ceil(1000).to_string();
    // What stands before Discord says that the request has come through.
    let via = ("via", "1.1 google");
    let mut headers = vec![("retry-after", seconds.as_str()), ("x-ratelimit-scope", scope), via];
    if is_global {
        headers.push(("x-ratelimit-global", "true"));
    }
    Failure::json(429, &headers, &body)
}
