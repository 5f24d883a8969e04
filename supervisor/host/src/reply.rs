//! An answer on its way to a worker: what has arrived together leaves together, the bill is settled
//! before the last batch leaves, and dropping the answer closes the provider's connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ledger::Call;
use proto::host::llm_event::Event;
use proto::host::{Finished, LlmBatch, LlmEvent, Started};
use runtime::Tasks;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Status;

use crate::catalog::Target;
use crate::client::Answer;
use crate::config::Timeouts;
use crate::failure::{Failure, Wait};
use crate::meter::Meter;
use crate::provider::{Reader, Reading, Speech, Way};
use crate::sse::Parser;

use cut::Cut;

mod cut;

/// Events of one batch after which no more of the provider's answer is read before the worker has
/// taken them.
const MAX_BATCH: usize = 256;

/// Bytes of text in a batch after which no more is read: so much may come beyond what a limit leaves.
const MAX_BATCH_BYTES: u64 = 16 << 10;

/// The batches of one answer.
#[derive(Debug)]
pub struct Reply {
    running: Arc<Mutex<Running>>,
    /// Of an answer that is not complete yet.
    _cut: Option<Cut>,
}

/// An answer under way.
#[derive(Debug)]
pub(crate) struct Running {
    source: Source,
    meter: Box<Meter>,
    /// The batch that was awaited before this became a reply.
    first: Option<LlmBatch>,
    waits: Waits,
    request_id: String,
    ended: bool,
    /// Why the answer was given up while nobody read it.
    late: Option<Failure>,
    /// The place among the account's calls.
    call: Option<Call>,
    tasks: Tasks,
}

/// Where an answer comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Remote(Box<Feed>),
    Demo(Box<Speech>),
    /// Read to its end, or not to be read on.
    Over,
}

/// A provider's answer as it is read.
#[derive(Debug)]
pub(crate) struct Feed {
    answer: Answer,
    parser: Parser,
    reader: Reader,
    /// Why the answer ends, as far as it was said.
    reason: Option<&'static str>,
    /// What went wrong after the events that were given out last.
    failure: Option<Failure>,
}

/// When an answer is given up.
#[derive(Debug)]
pub(crate) struct Waits {
    total: Instant,
    idle: Duration,
    /// When the wait that is on is over, and which it is.
    next: Instant,
    wait: Wait,
    /// Made when the first wait begins; an answer that arrives at once needs none.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Reply {
    /// Waits for the first events of an answer; until then another provider can be asked.
    ///
    /// # Errors
    /// What ended the answer before it began, with the meter for the next attempt.
    pub(crate) async fn begin(
        source: Source,
        meter: Box<Meter>,
        waits: Waits,
        request_id: &str,
        tasks: &Tasks,
    ) -> Result<Self, (Failure, Box<Meter>)> {
        let (request_id, tasks) = (request_id.to_owned(), tasks.clone());
        let (first, late, call) = (None, None, None);
        let mut running =
            Running { source, meter, first, waits, request_id, ended: false, late, call, tasks };
        match std::future::poll_fn(|cx| running.poll_batch(cx)).await {
            Ok(mut batch) => {
                batch.events.insert(0, started(running.meter.target()));
                running.first = Some(batch);
                Ok(Self::new(running))
            }
            Err(failure) => Err((failure, running.meter)),
        }
    }

    fn new(running: Running) -> Self {
        let (ended, total) = (running.ended, running.waits.total);
        let running = Arc::new(Mutex::new(running));
        let cut = (!ended).then(|| Cut::at(total, &running));
        Self { running, _cut: cut }
    }

    /// Keeps a place among the account's calls for as long as the answer is under way.
    pub(crate) fn keeping(self, call: Call) -> Self {
        lock(&self.running).call = Some(call);
        self
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// The next events. After a batch that ends with `Finished` there are none.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<LlmBatch, Failure>> {
        loop {
            // What is not set aside is not read: the provider waits in the meantime.
            let Poll::Ready(mut reading) = self.poll_reading(cx)? else {
                let wait = ready!(self.waits.poll(cx));
                return Poll::Ready(Err(Failure::Slow(wait)));
            };
            self.waits.arrived();
            self.meter.arrived(reading.bytes, reading.usage);
            if reading.done {
                let usage = Some(self.meter.finish(&self.request_id));
                let reason = reading.reason.unwrap_or("stop").to_owned();
                let finished = Event::Finished(Finished { reason, usage });
                reading.events.push(LlmEvent { event: Some(finished) });
                self.ended = true;
                self.reclaim(cx);
            }
            if !reading.events.is_empty() {
                return Poll::Ready(Ok(LlmBatch { events: reading.events }));
            }
        }
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reading, Failure>> {
        // An answer that has said why it ends has nothing more to say that costs.
        if self.source.is_ending() {
            return self.source.poll_reading(cx);
        }
        match ready!(self.meter.poll_covered(cx)) {
            Ok(()) => self.source.poll_reading(cx),
            Err(refusal) => {
                self.meter.target().metrics.refused(&refusal);
                Poll::Ready(Err(Failure::Limit(Box::new(refusal))))
            }
        }
    }

    /// Gives the connection back, now where the answer's end has arrived, else a little later.
    fn reclaim(&mut self, cx: &mut Context<'_>) {
        let Source::Remote(feed) = std::mem::replace(&mut self.source, Source::Over) else {
            return;
        };
        let target = Arc::clone(self.meter.target());
        let Way::Remote(remote) = &target.provider.way else { return };
        if let Some(answer) = remote.client.reclaim_now(feed.answer, cx) {
            self.tasks.spawn_until_stopped(async move {
                if let Way::Remote(remote) = &target.provider.way {
                    remote.client.reclaim(answer).await;
                }
            });
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<LlmBatch, Failure>>> {
        if let Some(failure) = self.late.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let batch = ready!(self.poll_batch(cx));
        Poll::Ready(Some(batch.inspect_err(|failure| {
            self.meter.give_up(failure);
            self.give_up(failure);
        })))
    }

    /// Closes the provider's connection.
    fn give_up(&mut self, failure: &Failure) {
        self.ended = true;
        self.source = Source::Over;
        self.first = None;
        self.call = None;
        if let Failure::Limit(refusal) = failure {
            let request_id = &self.request_id;
            tracing::debug!(request_id, %refusal, "an answer is cut: a limit has no more room");
            return;
        }
        tracing::warn!(
            request_id = self.request_id,
            provider = self.meter.target().provider(),
            error = %types::Chain(failure),
            "an answer broke off"
        );
    }

    /// Ends what takes too long, whether or not anybody reads it.
    pub(crate) fn overdue(&mut self) {
        if !self.ended && Instant::now() >= self.waits.total {
            let failure = Failure::Slow(Wait::Total);
            self.meter.abandon();
            self.give_up(&failure);
            self.late = Some(failure);
        }
    }
}

impl Stream for Reply {
    type Item = Result<LlmBatch, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = lock(&self.running).poll_part(cx);
        part.map(|part| part.map(|batch| batch.map_err(|failure| failure.status())))
    }
}

fn started(target: &Target) -> LlmEvent {
    let provider = target.provider().to_owned();
    let model = target.model.to_string();
    LlmEvent { event: Some(Event::Started(Started { provider, model })) }
}

impl Source {
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reading, Failure>> {
        match self {
            Self::Remote(feed) => feed.poll_reading(cx),
            Self::Demo(speech) => speech.poll_reading(cx).map(Ok),
            Self::Over => Poll::Ready(Err(Failure::Early)),
        }
    }

    /// Whether the provider has said why its answer ends.
    fn is_ending(&self) -> bool {
        match self {
            Self::Remote(feed) => feed.reason.is_some(),
            Self::Demo(_) | Self::Over => false,
        }
    }
}

impl Feed {
    pub(crate) fn new((answer, reader): (Answer, Reader)) -> Self {
        Self { answer, parser: Parser::default(), reader, reason: None, failure: None }
    }

    /// Everything that has arrived, up to a bound.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reading, Failure>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        let mut reading = Reading { reason: self.reason, ..Reading::default() };
        let mut arrived = false;
        while !reading.done && reading.events.len() < MAX_BATCH && reading.bytes < MAX_BATCH_BYTES {
            let Poll::Ready(data) = self.answer.poll_data(cx) else {
                if arrived {
                    break;
                }
                return Poll::Pending;
            };
            arrived = true;
            if let Err(failure) = self.read(data, &mut reading) {
                if reading.events.is_empty() {
                    return Poll::Ready(Err(failure));
                }
                self.failure = Some(failure);
                break;
            }
        }
        self.reason = reading.reason;
        Poll::Ready(Ok(reading))
    }

    fn read(
        &mut self,
        data: Option<Result<bytes::Bytes, hyper::Error>>,
        reading: &mut Reading,
    ) -> Result<(), Failure> {
        let reader = &mut self.reader;
        match data {
            Some(Ok(data)) => self.parser.feed(&data, |event| {
                // What follows the end is of no interest.
                if reading.done { Ok(()) } else { reader.read(event, reading) }
            }),
            Some(Err(err)) => Err(Failure::Cut(err)),
            None => {
                self.parser.end(|event| reader.read(event, reading))?;
                reading.done = reading.reason.is_some();
                if reading.done { Ok(()) } else { Err(Failure::Early) }
            }
        }
    }
}

impl Waits {
    pub(crate) fn new(total: Instant, timeouts: &Timeouts) -> Self {
        let next = Instant::now() + timeouts.first_byte;
        Self { total, idle: timeouts.idle, next, wait: Wait::FirstByte, timer: None }
    }

    /// The moment at which something is over, and what.
    pub(crate) fn due(&self) -> (Instant, Wait) {
        if self.next < self.total { (self.next, self.wait) } else { (self.total, Wait::Total) }
    }

    fn arrived(&mut self) {
        self.next = Instant::now() + self.idle;
        self.wait = Wait::Idle;
    }

    /// Ready when one of the waits is over. The timer is not moved at each arrival, but looks again
    /// when it goes off.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        let (due, wait) = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(wait);
            }
            timer.as_mut().reset(due);
        }
    }
}
