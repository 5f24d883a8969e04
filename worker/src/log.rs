//! The worker's log: JSON lines on its error output, each of a bounded length, with the fields
//! `time`, `level` and `message` that clients' log views read.
//!
//! Level INFO and nothing to configure: a worker has no environment and no file of settings.

use std::fmt;
use std::io::{self, Write};

use jiff::Timestamp;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Bytes of a line; a pipe takes that many at once or none.
const MAX_LINE: usize = 4096;

/// Starts logging. Only the first call has an effect.
pub fn start() {
    if tracing::subscriber::set_global_default(subscriber(Lines)).is_err() {
        tracing::debug!("logging had been started already");
    }
}

fn subscriber<W>(writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let flat = Format::default().json().flatten_event(true).without_time();
    tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .event_format(Timed(flat))
        .with_max_level(LevelFilter::INFO)
        .with_writer(writer)
        .finish()
}

/// Puts the time first, under the name that clients know.
struct Timed(Format<Json, ()>);

impl<S, N> FormatEvent<S, N> for Timed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        let start = format!("{{\"time\":\"{time}\",");
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').ok_or(fmt::Error)?;
        let fits = start.len() + rest.len() <= MAX_LINE;
        write!(writer, "{start}{}", if fits { rest } else { TOO_LONG })
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
        match io::stderr().write(line) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(line.len()),
            written => written.map(|_| line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said instead of a longer line, after its time.
const TOO_LONG: &str =
    "\"level\":\"WARN\",\"message\":\"a log line was left out because of its length\"}\n";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_flat_and_has_the_fields_that_clients_read() {
        let kept = Kept::default();
        let writer = kept.clone();
        let before = Timestamp::now();
        tracing::subscriber::with_default(subscriber(move || writer.clone()), || {
            tracing::info!(status = 7, "it \"ended\"");
            tracing::warn!(why = "x".repeat(MAX_LINE), "long");
        });
        let written = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [plain, long] = lines.as_slice() else { panic!("{written}") };
        assert_eq!((&plain["level"], &plain["status"]), (&"INFO".into(), &7.into()));
        assert_eq!(plain["message"], "it \"ended\"");
        assert_eq!(plain.get("timestamp"), None);
        let time = plain["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        let time: Timestamp = time.parse().unwrap();
        assert!(before.duration_until(time).as_millis().abs() < 60_000, "{time}");
        assert_eq!(long["level"], "WARN");
        assert!(long["message"].as_str().unwrap().contains("left out"), "{long}");
        assert!(long.get("time").is_some() && written.len() < MAX_LINE, "{written}");
    }
}
