//! `OpenClaw`'s protocol over one WebSocket: handshake, frames, events.
//!
//! Reads the envelope of a frame and passes parameters and results on as bytes; what a method does
//! is decided in `methods`.
