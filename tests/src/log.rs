//! Keeps a gateway's log; a WARN or ERROR that the test did not announce fails the test.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// How warnings end that say that the machine has much to do.
const SLOW: &str = "is not gone yet";

/// Lines that are kept whole; of what is older, those that tell of nothing amiss go.
const MAX_LINES: usize = 100_000;

/// The log of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    announced: Mutex<Vec<String>>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

fn keep(lines: &mut Vec<String>, line: String) {
    if lines.len() >= 2 * MAX_LINES {
        let older = lines.len() - MAX_LINES;
        let is_plain = |it: &str| {
            [r#""level":"DEBUG""#, r#""level":"INFO""#].iter().any(|level| it.contains(level))
        };
        let mut at = 0;
        lines.retain(|it| {
            at += 1;
            at > older || !is_plain(it)
        });
    }
    lines.push(line);
}

impl Log {
    /// Keeps what `stderr` says until it ends.
    pub(crate) fn follow(&self, stderr: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                keep(&mut lines.lock().unwrap(), line);
            }
        });
        *self.reader.lock().unwrap() = Some(reader);
    }

    /// Waits until the log has ended.
    pub(crate) fn finish(&self) {
        if let Some(reader) = self.reader.lock().unwrap().take() {
            reader.join().unwrap();
        }
    }

    /// Warnings and errors that contain `text` are part of the test.
    pub(crate) fn announce(&self, text: &str) {
        self.announced.lock().unwrap().push(text.to_owned());
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Warnings and errors that nobody announced, and lines that are not log lines at all.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let announced = self.announced.lock().unwrap();
        let surprising = |line: &String| {
            let bad = match serde_json::from_str::<Value>(line) {
                Ok(value) => matches!(value["level"].as_str(), Some("WARN" | "ERROR")),
                Err(_) => true,
            };
            bad && !line.contains(SLOW) && !announced.iter().any(|text| line.contains(text))
        };
        self.lines().into_iter().filter(surprising).collect()
    }
}
