//! Bytes between a program and its worker, both ways, with back-pressure: a reader that is slow makes
//! the program wait, and a program that does not read makes its worker wait.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use proto::host::run_event::What;
use proto::host::run_request::What as Asked;
use proto::host::{RunEvent, RunRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::Error;
use crate::bounds::{FRAME, MAX_INPUT};
use crate::command;
use crate::master::Master;
use crate::process::Process;

/// Signals that a worker may send.
const SIGNALS: [u32; 7] = [1, 2, 3, 9, 10, 12, 15];

/// What a piece of input costs beside its bytes: thousands of single ones are no small thing to keep.
const PER_PIECE: usize = 64;

/// The time that a piece of output takes, however small: each is a message to the worker, so this is
/// 250 of them a second. What is written meanwhile comes together.
const PIECE: Duration = Duration::from_millis(4);

/// Bytes of output that have the time of one piece: 2 MiB a second, more than anybody reads. Who writes
/// more waits.
const BYTES_PER_PIECE: u64 = 8 << 10;

/// What has its time later: more than a command has that says what it has to and ends, which is not to
/// wait. It is 120 small pieces, or 960 KiB.
const BURST: Duration = Duration::from_millis(480);

/// The key that ends the input of a terminal.
const END_OF_TRANSMISSION: u8 = 4;

/// Where events of one command go.
pub(crate) type Events = mpsc::Sender<Result<RunEvent, Status>>;

/// Where output comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Pipe(pipe::Receiver),
    Terminal(Arc<Master>),
}

/// Where input goes.
#[derive(Debug)]
pub(crate) enum Sink {
    Pipe(pipe::Sender),
    Terminal(Arc<Master>),
    /// The program reads no more.
    Closed,
}

/// The output of one command, both streams together.
#[derive(Debug)]
pub(crate) struct Flow {
    events: Events,
    /// Bytes that may still be passed on.
    left: AtomicU64,
    dropped: AtomicU64,
    over: Notify,
}

/// The input of one command.
pub(crate) struct Feed<'a> {
    pub(crate) process: &'a Process,
    pub(crate) requests: &'a mut Streaming<RunRequest>,
    pub(crate) sink: Sink,
}

impl Source {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.read(buffer).await,
            Self::Terminal(master) => master.read(buffer).await,
        }
    }
}

impl Sink {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.write(bytes).await,
            Self::Terminal(master) => master.write(bytes).await,
            Self::Closed => Ok(bytes.len()),
        }
    }
}

impl Flow {
    /// So many bytes to `events`.
    pub(crate) fn new(events: Events, most: u64) -> Self {
        let (left, dropped) = (AtomicU64::new(most), AtomicU64::new(0));
        Self { events, left, dropped, over: Notify::new() }
    }

    /// Passes on what `source` has until its end, each frame as `what` says.
    pub(crate) async fn pump(&self, mut source: Source, what: fn(Bytes) -> What) {
        let mut buffer = vec![0; FRAME];
        let mut tempo = Tempo::default();
        loop {
            if let Some(turn) = tempo.turn(Instant::now()) {
                tokio::time::sleep_until(turn).await;
            }
            let read = match source.read(&mut buffer).await {
                Ok(0) => return,
                Ok(read) => read,
                Err(err) => {
                    tracing::debug!(error = %types::Chain(&err), "a program's output is unreadable");
                    return;
                }
            };
            tempo.read(read, Instant::now());
            let passed = self.take(read);
            let Some(frame) = buffer.get(..passed).filter(|it| !it.is_empty()) else { continue };
            let event = RunEvent { what: Some(what(Bytes::copy_from_slice(frame))) };
            if self.events.send(Ok(event)).await.is_err() {
                return;
            }
        }
    }

    /// Resolves when more came than is passed on.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    /// Bytes that were not passed on.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many of `read` bytes may be passed on.
    fn take(&self, read: usize) -> usize {
        let wanted = u64::try_from(read).unwrap_or(u64::MAX);
        let less = |left: u64| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let given = left.unwrap_or_default().min(wanted);
        if given < wanted {
            self.dropped.fetch_add(wanted - given, Ordering::Relaxed);
            self.over.notify_one();
        }
        usize::try_from(given).unwrap_or(read)
    }
}

/// How fast pieces of output are read, however small they are written: the time that each takes is
/// everybody's.
#[derive(Debug, Default)]
struct Tempo {
    /// When all pieces so far would have had their time.
    due: Option<Instant>,
}

impl Tempo {
    /// A piece of this length has come.
    fn read(&mut self, length: usize, now: Instant) {
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        let pieces = u32::try_from(bytes.div_ceil(BYTES_PER_PIECE).max(1)).unwrap_or(u32::MAX);
        self.due = Some(self.due.map_or(now, |it| it.max(now)) + PIECE.saturating_mul(pieces));
    }

    /// Until when the next one has to wait, where it has to.
    fn turn(&self, now: Instant) -> Option<Instant> {
        self.due?.checked_sub(BURST).filter(|it| *it > now)
    }
}

impl Feed<'_> {
    /// Does what the worker asks until it asks no more.
    ///
    /// # Errors
    /// When it asks for what cannot be done.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut waiting = VecDeque::new();
        let (mut bytes, mut more) = (0, true);
        while more || !waiting.is_empty() {
            let front: &[u8] = waiting.front().map_or(&[], |it: &Bytes| it.as_ref());
            tokio::select! {
                written = self.sink.write(front), if !waiting.is_empty() => {
                    let written = written.unwrap_or_else(|_gone| {
                        self.sink = Sink::Closed;
                        0
                    });
                    bytes -= take(&mut waiting, written);
                }
                request = self.requests.message(), if more && bytes < MAX_INPUT => {
                    match request.ok().flatten().map(|it| it.what) {
                        Some(Some(Asked::Input(input))) => {
                            if !input.is_empty() {
                                bytes += input.len() + PER_PIECE;
                                waiting.push_back(input);
                            }
                        }
                        None | Some(Some(Asked::EndOfInput(_))) => more = false,
                        Some(asked) => self.command(asked.as_ref())?,
                    }
                }
            }
        }
        self.end_of_input().await;
        self.rest().await
    }

    /// Standard input ends; on a terminal that is a key.
    async fn end_of_input(&mut self) {
        if let Sink::Terminal(master) = &self.sink {
            if let Err(err) = master.write(&[END_OF_TRANSMISSION]).await {
                tracing::debug!(error = %types::Chain(&err), "a terminal takes no end of input");
            }
        } else {
            self.sink = Sink::Closed;
        }
    }

    /// After the end of input there are still sizes and signals.
    async fn rest(self) -> Result<(), Error> {
        while let Some(request) = self.requests.message().await.ok().flatten() {
            if !matches!(request.what, Some(Asked::Input(_) | Asked::EndOfInput(_))) {
                self.command(request.what.as_ref())?;
            }
        }
        Ok(())
    }

    fn command(&self, asked: Option<&Asked>) -> Result<(), Error> {
        match asked {
            Some(Asked::Signal(number)) => {
                let known = i32::try_from(*number).ok().filter(|_| SIGNALS.contains(number));
                let unknown = || Error::Invalid("signal: 1, 2, 3, 9, 10, 12 or 15".to_owned());
                self.process.signal(known.ok_or_else(unknown)?);
                Ok(())
            }
            Some(Asked::Resize(size)) => match &self.sink {
                Sink::Terminal(master) => {
                    let size = command::size(*size)?;
                    master.resize(size).map_err(Error::Descriptors)
                }
                Sink::Pipe(_) | Sink::Closed => {
                    Err(Error::Invalid("resize: the command has no terminal".to_owned()))
                }
            },
            Some(Asked::Command(_)) => Err(Error::Invalid("a call is one command".to_owned())),
            // Where there is no more input, there is nothing to do with it.
            Some(Asked::Input(_) | Asked::EndOfInput(_)) => Ok(()),
            None => Err(Error::Invalid("a message says nothing".to_owned())),
        }
    }
}

/// Takes `written` bytes off the first of what waits, and says what that cost no more.
fn take(waiting: &mut VecDeque<Bytes>, written: usize) -> usize {
    let Some(front) = waiting.front_mut() else { return 0 };
    let written = written.min(front.len());
    front.advance(written);
    if front.is_empty() {
        waiting.pop_front();
        return written + PER_PIECE;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_piece_costs_is_given_back_with_its_last_byte() {
        let mut waiting = VecDeque::from([Bytes::from_static(b"abc"), Bytes::from_static(b"d")]);
        let check = |waiting: &mut VecDeque<Bytes>, written: usize, back: usize| {
            assert_eq!(take(waiting, written), back);
        };
        check(&mut waiting, 2, 2);
        check(&mut waiting, 1, 1 + PER_PIECE);
        check(&mut waiting, 9, 1 + PER_PIECE);
        check(&mut waiting, 1, 0);
    }

    #[test]
    fn after_a_burst_every_piece_has_its_time() {
        let check = |length: usize, burst: u32, time: Duration| {
            let (mut tempo, start) = (Tempo::default(), Instant::now());
            for at in 0..=burst {
                assert_eq!(tempo.turn(start), None, "{at} of {length}");
                tempo.read(length, start);
            }
            assert_eq!(tempo.turn(start), Some(start + time));
            // Who waits for its turn has it, and then waits again.
            assert_eq!(tempo.turn(start + time), None);
            tempo.read(length, start + time);
            assert_eq!(tempo.turn(start + time), Some(start + time * 2));
            // What a program did not use for a while it may use, and no more.
            let later = start + time * 4;
            for at in 0..3 {
                assert_eq!(tempo.turn(later), None, "{at} of {length}");
                tempo.read(length, later);
            }
            assert_eq!(tempo.turn(later), Some(later + time));
        };
        check(1, 120, PIECE);
        check(8 << 10, 120, PIECE);
        check(16 << 10, 60, PIECE * 2);
        check(20 << 10, 40, PIECE * 3);
    }
}
