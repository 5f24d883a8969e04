//! The worker's log: JSON lines on its error output, each of a bounded length.
//!
//! Level INFO and nothing to configure: a worker has no environment and no file of settings.

use std::io::{self, Write};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of a line; a pipe takes that many at once or none.
const MAX_LINE: usize = 4096;

/// Starts logging. Only the first call has an effect.
pub fn start() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(LevelFilter::INFO)
        .with_writer(Lines)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging had been started already");
    }
}

/// Writes each line to the error output on its own.
#[derive(Debug, Clone, Copy)]
struct Lines;

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for Lines {
    /// Takes one line. What the pipe does not take is lost: nobody may wait for a log.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = if line.len() <= MAX_LINE { line } else { TOO_LONG };
        match io::stderr().write(shown) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(line.len()),
            written => written.map(|_| line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TOO_LONG: &[u8] =
    b"{\"level\":\"WARN\",\"message\":\"a log line was left out because of its length\"}\n";
