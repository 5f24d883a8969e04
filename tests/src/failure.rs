//! What a failed test says last: the gateway's log, and below it once more why it failed, because a long
//! output is kept by its end.

use std::panic;
use std::sync::{Mutex, Once, PoisonError};

static WHY: Mutex<String> = Mutex::new(String::new());

/// Keeps what the first panic says.
pub(crate) fn note() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let mut why = WHY.lock().unwrap_or_else(PoisonError::into_inner);
            if why.is_empty() {
                *why = info.to_string();
            }
            drop(why);
            usual(info);
        }));
    });
}

/// Prints the log's last lines, and why the test failed.
#[expect(clippy::print_stderr, reason = "the log of a failed test is what one wants to read")]
pub(crate) fn print(lines: &[String]) {
    for line in lines.iter().rev().take(60).rev() {
        eprintln!("{line}");
    }
    eprintln!("failed: {}", WHY.lock().unwrap_or_else(PoisonError::into_inner));
}
