//! Bodies of requests: bounded before they are read, in time, by tenant, and together.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tenants::Load;
use tokio::time::{Instant, timeout, timeout_at};

use crate::reply::Refusal;

/// Bytes of a body that are kept for a request that has no place among its tenant's yet: a slow
/// client with a short body takes no place before the body is complete, and one with a long body
/// is admitted or refused before it takes memory.
pub(crate) const UNADMITTED: usize = 16 << 10;

/// While a body beyond [`UNADMITTED`] is read, each such time must bring [`PACE_BYTES`]: far less
/// than a mobile line gives, and too much for somebody who fills the memory and waits.
const PACE: Duration = Duration::from_secs(5);

/// See [`PACE`].
const PACE_BYTES: usize = 32 << 10;

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
    max_each: usize,
}

/// Bytes that a request takes from the budget until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    load: Arc<Load>,
    bytes: usize,
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// The whole body of a reply, which counts until it has left.
#[derive(Debug)]
pub(crate) struct Charged {
    data: Bytes,
    _share: Share,
}

impl Budget {
    /// At most `max` bytes for all tenants and `max_each` for one of them.
    pub(crate) fn new(max: usize, max_each: usize) -> Self {
        Self { used: Arc::default(), max, max_each }
    }

    pub(crate) fn share(&self, load: Arc<Load>) -> Share {
        Share { budget: self.clone(), load, bytes: 0 }
    }
}

impl Share {
    /// Takes so much more, unless that is more than there is.
    ///
    /// A tenant may have no more than is left for all others, so that even several large ones
    /// leave room for one that comes after them.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Budget { used, max, max_each } = &self.budget;
        self.bytes += bytes;
        let used = used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let own = self.load.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = max.checked_sub(used).is_some_and(|left| own <= left.min(*max_each));
        if fits { Ok(()) } else { Err(Refusal::no_room()) }
    }

    /// Gives back what was taken.
    fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A reply in place of the request: what was taken so far is given back.
    pub(crate) fn reply(mut self, data: Vec<u8>) -> Result<Body, Refusal> {
        self.clear();
        self.grow(data.len())?;
        Ok(Body::new(Charged { data: data.into(), _share: self }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

impl HttpBody for Charged {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let data = std::mem::take(&mut self.data);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.data.len()).unwrap_or(u64::MAX))
    }
}

/// Whether the head announces a body that is too large, or one that needs a place before it is
/// read.
pub(crate) fn announced(headers: &HeaderMap, max: usize) -> Result<bool, Refusal> {
    let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    let exceeds = |max: usize| {
        let max = u64::try_from(max).unwrap_or(u64::MAX);
        length.is_some_and(|length| length > max)
    };
    if exceeds(max) { Err(Refusal::too_large(max)) } else { Ok(exceeds(UNADMITTED)) }
}

/// The whole body, which `share` is charged for and is to be kept with. A body of more than
/// [`UNADMITTED`] bytes goes on only if `admit` lets it.
pub(crate) async fn read(
    body: &mut Body,
    bounds: Bounds,
    share: &mut Share,
    admit: &mut (dyn FnMut() -> Result<(), Refusal> + Send),
) -> Result<Bytes, Refusal> {
    match timeout(bounds.time, collect(body, bounds.bytes, share, admit)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Refusal::slow_body()),
    }
}

async fn collect(
    body: &mut Body,
    max: usize,
    share: &mut Share,
    admit: &mut (dyn FnMut() -> Result<(), Refusal> + Send),
) -> Result<Bytes, Refusal> {
    // Most bodies arrive in one piece, which is passed on without a copy.
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    let mut pace: Option<Pace> = None;
    while let Some(data) = paced(body, pace.as_ref()).await? {
        share.grow(data.len())?;
        if share.bytes > max {
            return Err(Refusal::too_large(max));
        }
        if share.bytes > UNADMITTED {
            admit()?;
            pace.get_or_insert_with(Pace::new).went_on(data.len());
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
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}

/// How fast a long body comes.
struct Pace {
    until: Instant,
    bytes: usize,
}

impl Pace {
    fn new() -> Self {
        Self { until: Instant::now() + PACE, bytes: 0 }
    }

    fn went_on(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= PACE_BYTES {
            *self = Self::new();
        }
    }
}

async fn paced(body: &mut Body, pace: Option<&Pace>) -> Result<Option<Bytes>, Refusal> {
    let Some(pace) = pace else { return next(body).await };
    match timeout_at(pace.until, next(body)).await {
        Ok(data) => data,
        Err(_elapsed) => Err(Refusal::slow_body()),
    }
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
    if timeout(DISCARD_FOR, reading).await.is_err() {
        tracing::debug!("the rest of a refused body did not come in time");
    }
}

#[cfg(test)]
mod tests;
