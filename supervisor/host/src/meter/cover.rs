//! Topping up while an answer streams: asked for ahead, so that the stream does not wait for the books,
//! and never read on beyond what is set aside and written down.

use std::task::{Context, Poll};

use ledger::Refusal;

use super::{FIRST, Meter};
use crate::estimate;

/// The most output tokens that are set aside at once. The steps grow up to it, so that a long answer
/// takes few of them.
const MAX_STEP: u64 = 8192;

/// How many times the bound may seem to have arrived before a provider is taken not to heed it: what
/// arrives is counted in bytes, and a token may have twice as many as it is taken to have.
const SLACK: u64 = 2;

impl Meter {
    /// Ready when more of the answer may be read.
    ///
    /// # Errors
    /// The limit that leaves nothing for it.
    pub(crate) fn poll_covered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if self.needs_more() && self.refused.is_none() {
            self.ask();
        }
        self.poll_coming(cx);
        if self.made() <= self.allowed() || self.hold.is_none() {
            return Poll::Ready(Ok(()));
        }
        // A window may have begun since it was refused.
        if self.refused.take().is_some() {
            self.ask();
            self.poll_coming(cx);
        }
        match &self.refused {
            Some(refusal) => Poll::Ready(Err(refusal.clone())),
            None if self.made() <= self.allowed() => Poll::Ready(Ok(())),
            None => {
                if self.coming.is_none() {
                    // What came was too little: asked for again at once.
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Whether so much has arrived that more should be on its way.
    fn needs_more(&self) -> bool {
        let allowed = self.allowed();
        self.made() > if self.good < self.bound() { allowed / 2 } else { allowed }
    }

    fn ask(&mut self) {
        if self.coming.is_some() {
            return;
        }
        let Some(hold) = &mut self.hold else { return };
        match hold.top_up(self.clock.now(), self.good.clamp(FIRST, MAX_STEP)) {
            Ok(coming) => self.coming = Some(Box::pin(coming)),
            Err(refusal) => self.refused = Some(refusal),
        }
    }

    fn poll_coming(&mut self, cx: &mut Context<'_>) {
        let Some(coming) = &mut self.coming else { return };
        let Poll::Ready(came) = coming.as_mut().poll(cx) else { return };
        self.coming = None;
        match came {
            Ok(granted) => self.good = self.good.saturating_add(granted),
            Err(refusal) => self.refused = Some(refusal),
        }
    }

    /// Output tokens that may arrive: those that are good, and where that is all that was asked for, as
    /// many as a provider that heeds its bound may seem to send.
    fn allowed(&self) -> u64 {
        let bound = self.bound();
        if self.good < bound { self.good } else { self.good.max(bound.saturating_mul(SLACK)) }
    }

    fn bound(&self) -> u64 {
        self.most.unwrap_or(u64::MAX)
    }

    /// Output tokens that have arrived, as far as one can tell.
    fn made(&self) -> u64 {
        estimate::text(self.streamed).max(self.known.map_or(0, |it| it.output_tokens))
    }
}
