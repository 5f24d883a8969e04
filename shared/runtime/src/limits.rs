//! Bounds of the gRPC connections, the same on both sides of a pair.

/// The largest message, in bytes. A body of the OpenAI-compatible surface is the largest thing
/// that crosses, and it is at most [`MAX_BODY`].
pub const MAX_MESSAGE: usize = MAX_BODY + (1 << 20);

/// The largest request body, in bytes.
pub const MAX_BODY: usize = 20 << 20;

/// Bytes of one part of a reply; a worker splits what is longer.
pub const MAX_PART: usize = 1 << 20;

/// Bytes of the result of one method: what a transcript may contribute, and what stands around it.
pub const MAX_RESULT: usize = (4 << 20) + (64 << 10);

/// Bytes that a message has beyond the part or the result that it carries.
pub const MAX_AROUND: usize = 8 << 10;

/// Bytes that one stream may have under way before its reader has taken any. A hundred streams at
/// full speed fit into [`CONNECTION_WINDOW`], so that none of them waits for another's reader.
pub const STREAM_WINDOW: u32 = 64 << 10;

/// Bytes that all streams of one pair together may have under way.
pub const CONNECTION_WINDOW: u32 = 8 << 20;

/// Streams of its own that the calling side remembers after it has cancelled them. hyper's default
/// would end the connection when a few dozen clients hang up at once.
pub const MAX_RESETS: usize = 4096;

/// What the serving side of a pair takes from the calling side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests under way at once; the next one waits for a place.
    pub(crate) streams: u32,
    /// Streams that were opened and cancelled before this side has looked at them.
    pub(crate) resets: usize,
    /// Bytes of the headers of one request.
    pub(crate) headers: u32,
    /// Bytes of one reply that are kept while the calling side does not take them.
    pub(crate) unsent: usize,
}

/// The supervisor calls a worker: it abuses HTTP/2 no more than any other request.
pub(crate) const OF_SUPERVISOR: Bounds =
    Bounds { streams: 2048, resets: 4096, headers: 16 << 10, unsent: 400 << 10 };

/// A worker calls the supervisor, and may have been taken over: a thousand model calls are more
/// than any tenant has under way, and what they can make the supervisor keep is 64 MiB of replies
/// and 4 MiB of headers.
pub(crate) const OF_WORKER: Bounds =
    Bounds { streams: 1024, resets: 1024, headers: 4 << 10, unsent: 64 << 10 };
