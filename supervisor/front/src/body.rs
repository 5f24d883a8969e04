//! Bodies of requests: bounded before they are read, in time, and together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use crate::reply::Refusal;

/// Bytes of a refused body that are read and thrown away, so that the refusal reaches a client
/// that writes its body before it reads.
const DISCARD_BYTES: usize = 64 << 20;

/// How long a refused body is read.
const DISCARD_FOR: Duration = Duration::from_secs(10);

/// Bytes of all bodies together.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// Bytes that a body takes from the budget until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self { used: Arc::default(), max }
    }

    fn share(&self) -> Share {
        Share { used: Arc::clone(&self.used), bytes: 0 }
    }

    /// Grows `share`, unless that is more than there is.
    fn grow(&self, share: &mut Share, bytes: usize) -> Result<(), Refusal> {
        share.bytes += bytes;
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.max { Err(Refusal::no_room()) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Whether the head announces a body that is too large.
pub(crate) fn announced(headers: &HeaderMap, max: usize) -> Result<(), Refusal> {
    let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    let max_length = u64::try_from(max).unwrap_or(u64::MAX);
    if length.is_some_and(|length| length > max_length) {
        return Err(Refusal::too_large(max));
    }
    Ok(())
}

/// The whole body. The share is to be kept for as long as the body is.
pub(crate) async fn read(
    body: &mut Body,
    bounds: Bounds,
    budget: &Budget,
) -> Result<(Bytes, Share), Refusal> {
    match tokio::time::timeout(bounds.time, collect(body, bounds.bytes, budget)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Refusal::slow_body()),
    }
}

async fn collect(body: &mut Body, max: usize, budget: &Budget) -> Result<(Bytes, Share), Refusal> {
    let mut share = budget.share();
    // Most bodies arrive in one piece, which is passed on without a copy.
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(data) = next(body).await? {
        budget.grow(&mut share, data.len())?;
        if share.bytes > max {
            return Err(Refusal::too_large(max));
        }
        if share.bytes == data.len() {
            whole = data;
            continue;
        }
        if pieces.is_empty() {
            pieces.extend_from_slice(&whole);
        }
        pieces.extend_from_slice(&data);
    }
    Ok((if pieces.is_empty() { whole } else { pieces.freeze() }, share))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                // Trailers say nothing that is of use here.
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
            Err(err) => {
                tracing::debug!(error = %types::Chain(&err), "a body broke off");
                return Err(Refusal::broken_body());
            }
        }
    }
    Ok(None)
}

/// Whether there is anything left of a body to throw away.
pub(crate) fn is_over(body: &Body) -> bool {
    body.is_end_stream()
}

/// Reads a body and keeps nothing of it.
pub(crate) async fn discard(mut body: Body) {
    let reading = async {
        let mut left = DISCARD_BYTES;
        while let Ok(Some(data)) = next(&mut body).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                break;
            }
        }
    };
    if tokio::time::timeout(DISCARD_FOR, reading).await.is_err() {
        tracing::debug!("the rest of a refused body did not come in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, time: Duration::from_secs(5) };

    fn body(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|it| Ok::<_, std::io::Error>(*it)).collect();
        Body::from_stream(tokio_stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_is_read() {
        let budget = Budget::new(100);
        let check = async |pieces: &[&'static str], want: Result<&str, u16>| {
            let read = read(&mut body(pieces), BOUNDS, &budget).await;
            let found = read.map(|(bytes, share)| {
                assert_eq!(share.bytes, bytes.len());
                String::from_utf8(bytes.to_vec()).unwrap()
            });
            assert_eq!(found.map_err(|it| it.status.as_u16()), want.map(ToOwned::to_owned));
        };
        check(&[], Ok("")).await;
        check(&["0123456789"], Ok("0123456789")).await;
        check(&["01", "", "234", "56789"], Ok("0123456789")).await;
        check(&["0123456789", "0"], Err(413)).await;
        check(&["01234567890"], Err(413)).await;
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded() {
        let budget = Budget::new(15);
        let (_, share) = read(&mut body(&["0123456789"]), BOUNDS, &budget).await.unwrap();
        let full = read(&mut body(&["0123456789"]), BOUNDS, &budget).await.unwrap_err();
        assert_eq!(full.status.as_u16(), 503);
        drop(share);
        read(&mut body(&["0123456789"]), BOUNDS, &budget).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
        let mut body = Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
        let bounds = Bounds { bytes: 10, time: Duration::from_millis(10) };
        let slow = read(&mut body, bounds, &Budget::new(100)).await.unwrap_err();
        assert_eq!(slow.status.as_u16(), 408);
    }

    #[test]
    fn an_announced_body_is_refused_before_it_is_read() {
        let check = |length: &'static str, ok: bool| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, length.parse().unwrap())]);
            assert_eq!(announced(&headers, 10).is_ok(), ok, "{length}");
        };
        check("10", true);
        check("11", false);
        check("18446744073709551615", false);
        announced(&HeaderMap::new(), 10).unwrap();
    }
}
