//! Replies on their way out: whole, passed through from the host, or made by a turn.
//!
//! Dropping a reply cancels what makes it, at once and without waiting for the next token.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use proto::host::LlmBatch;
use proto::host::llm_event::Event;
use proto::worker::{Head, ServePart};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};

use super::encode::Chunks;
use super::error::Fault;
use super::responses::Stream as ResponseStream;
use crate::runs::Run;

/// A reply as a stream of parts.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Everything at once.
    Whole(Option<ServePart>),
    /// A provider's stream, turned into chunks as it is read.
    Passed(Box<Passed>),
    /// What a turn sends.
    Turn(mpsc::Receiver<ServePart>),
}

impl Stream for Reply {
    type Item = Result<ServePart, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::Whole(part) => Poll::Ready(part.take().map(Ok)),
            Self::Passed(passed) => passed.poll_part(cx).map(|part| part.map(Ok)),
            Self::Turn(parts) => parts.poll_recv(cx).map(|part| part.map(Ok)),
        }
    }
}

/// A provider's stream, turned into chunks as it is read.
#[derive(Debug)]
pub(crate) struct Passed {
    llm: Streaming<LlmBatch>,
    form: Form,
    run: Run,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    head_sent: bool,
    state: State,
}

/// In which surface's events a stream goes out.
#[derive(Debug)]
pub(super) enum Form {
    Chat(Chunks),
    Response(ResponseStream),
}

impl From<Chunks> for Form {
    fn from(chunks: Chunks) -> Self {
        Self::Chat(chunks)
    }
}

impl From<ResponseStream> for Form {
    fn from(stream: ResponseStream) -> Self {
        Self::Response(stream)
    }
}

impl Form {
    fn write(&mut self, event: &Event) {
        match self {
            Self::Chat(chunks) => chunks.write(event),
            Self::Response(stream) => stream.write(event),
        }
        if let Event::Finished(finished) = event {
            let (reason, usage) = (&finished.reason, finished.usage.as_ref());
            match self {
                Self::Chat(chunks) => chunks.end(reason, usage),
                Self::Response(stream) => stream.end(reason, usage),
            }
        }
    }

    fn fail(&mut self, fault: &Fault) {
        match self {
            Self::Chat(chunks) => chunks.fail(fault),
            Self::Response(stream) => stream.fail(fault),
        }
    }

    fn written(&mut self) -> Bytes {
        match self {
            Self::Chat(chunks) => chunks.written(),
            Self::Response(stream) => stream.written(),
        }
    }

    fn is_too_long(&self) -> bool {
        match self {
            Self::Chat(_) => false,
            Self::Response(stream) => stream.is_too_long(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The last event has come; the host's end of the call is still to be read.
    Finished,
    Over,
}

impl Passed {
    /// Passes on `llm`, for as long as `run` is not stopped.
    pub(super) fn new(llm: Streaming<LlmBatch>, form: Form, run: Run) -> Box<Self> {
        let stopped = Box::pin(run.stop_signal().cancelled_owned());
        Box::new(Self { llm, form, run, stopped, head_sent: false, state: State::Running })
    }

    /// The next part: one per batch, however many chunks that makes.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<ServePart>> {
        loop {
            if self.state == State::Over {
                return Poll::Ready(None);
            }
            if self.state == State::Running && self.stopped.as_mut().poll(cx).is_ready() {
                let fault =
                    if self.run.is_shutdown() { Fault::shutting_down() } else { Fault::stopped() };
                return Poll::Ready(Some(self.fail(&fault)));
            }
            let next = ready!(Pin::new(&mut self.llm).poll_next(cx));
            match next {
                Some(Ok(batch)) => {
                    self.write(&batch);
                    if self.form.is_too_long() {
                        let fault = Fault::too_long(ResponseStream::max());
                        return Poll::Ready(Some(self.fail(&fault)));
                    }
                    if let Some(part) = self.part() {
                        return Poll::Ready(Some(part));
                    }
                }
                // What happens to the call after its last event is no concern of the client's.
                _ if self.state == State::Finished => self.state = State::Over,
                Some(Err(status)) => return Poll::Ready(Some(self.fail(&Fault::from(&status)))),
                None => return Poll::Ready(Some(self.fail(&Fault::cut_short()))),
            }
        }
    }

    fn write(&mut self, batch: &LlmBatch) {
        for event in batch.events.iter().filter_map(|event| event.event.as_ref()) {
            if self.state == State::Finished {
                return;
            }
            self.form.write(event);
            if matches!(event, Event::Finished(_)) {
                self.state = State::Finished;
            }
        }
    }

    fn part(&mut self) -> Option<ServePart> {
        let data = self.form.written();
        (!data.is_empty()).then(|| ServePart { head: self.take_head(), data })
    }

    fn fail(&mut self, fault: &Fault) -> ServePart {
        self.state = State::Over;
        if !self.head_sent {
            return fault.part();
        }
        self.form.fail(fault);
        ServePart { head: None, data: self.form.written() }
    }

    fn take_head(&mut self) -> Option<Head> {
        let first = !std::mem::replace(&mut self.head_sent, true);
        first.then_some(head(true))
    }
}

/// The head of a good reply.
pub(crate) const fn head(event_stream: bool) -> Head {
    Head { status: 200, event_stream, retry_after_s: 0 }
}

/// A good reply in one part.
pub(crate) const fn whole(data: Bytes) -> ServePart {
    ServePart { head: Some(head(false)), data }
}
