//! Bounds of the gRPC connections, the same on both sides of a pair.

/// The largest message, in bytes. A body of the OpenAI-compatible surface is the largest thing
/// that crosses, and it is at most [`MAX_BODY`].
pub const MAX_MESSAGE: usize = MAX_BODY + (1 << 20);

/// The largest request body, in bytes.
pub const MAX_BODY: usize = 20 << 20;

/// Requests under way at once on one pair; the next one waits for a place.
pub const MAX_STREAMS: u32 = 2048;

/// Bytes that one stream may have under way before its reader has taken any. A hundred streams at
/// full speed fit into [`CONNECTION_WINDOW`], so that none of them waits for another's reader.
pub const STREAM_WINDOW: u32 = 64 << 10;

/// Bytes that all streams of one pair together may have under way.
pub const CONNECTION_WINDOW: u32 = 8 << 20;

/// Streams that the far side may open and cancel before this side has looked at them. The far side
/// is trusted not to abuse HTTP/2 resets more than any other request, and hyper's default of 20
/// ends the connection when a few dozen clients hang up at once.
pub const MAX_RESETS: usize = 4096;
