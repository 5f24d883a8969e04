//! How an open page ends: with which code, and what it is told of it.

use tokio_tungstenite::tungstenite::Message as Ws;
use types::Chain;

use super::session::MAX_FRAME;
use crate::Error;

pub(super) type WsError = tokio_tungstenite::tungstenite::Error;

/// Codes with which pages are ended.
pub(super) mod code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const AWAY: u16 = 1001;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const AGAIN: u16 = 1013;
    pub(crate) const FRAME: u16 = 4400;
    pub(crate) const VISITOR: u16 = 4401;
    pub(crate) const SILENT: u16 = 4408;
    pub(crate) const MANY: u16 = 4429;
}

/// Why a page is ended, and what it is told of it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: u16,
    pub(super) word: &'static str,
    pub(super) why: String,
}

impl End {
    pub(super) const fn quiet(code: u16) -> Self {
        Self { code, word: "", why: String::new() }
    }

    pub(super) fn told(code: u16, word: &'static str, why: impl Into<String>) -> Self {
        Self { code, word, why: why.into() }
    }

    pub(super) fn failed(err: &Error) -> Self {
        if !err.is_callers() {
            tracing::error!(error = %Chain(err), "a page cannot be shown");
        }
        Self::told(code::AGAIN, "busy", "the page cannot be shown now")
    }

    /// Of what is no frame.
    pub(super) fn of(message: Option<Result<Ws, WsError>>) -> Self {
        match message {
            Some(Ok(Ws::Binary(_))) => Self::told(code::FRAME, "frame", "text frames only"),
            Some(Err(WsError::Capacity(_))) => {
                Self::told(code::TOO_BIG, "frame", format!("a frame has at most {MAX_FRAME} bytes"))
            }
            Some(Err(err)) => Self { why: Chain(&err).to_string(), ..Self::quiet(code::NORMAL) },
            Some(Ok(_)) | None => Self::quiet(code::NORMAL),
        }
    }
}
