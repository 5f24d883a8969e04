//! A sign of life for a person who waits longer than a second.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// What is shorter needs no sign.
const SOON: Duration = Duration::from_secs(1);

/// How often the sign moves.
const TICK: Duration = Duration::from_millis(120);

/// Waits for `work`; after a second `message` appears on the standard error, if that is a terminal,
/// and goes away with the end of the work.
pub(crate) async fn during<T>(message: String, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(SOON, &mut work).await {
        return done;
    }
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(TICK);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// How often the bytes that were moved are asked for.
const POLL: Duration = Duration::from_millis(500);

/// Whether anybody sees a sign.
pub(crate) fn is_shown() -> bool {
    std::io::stderr().is_terminal()
}

/// Bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// Like [`during`], with the bytes that `moved` tells of, as a bar where their `total` is known.
pub(crate) async fn counted<T, F: Future<Output = Option<u64>>>(
    message: String,
    total: Option<u64>,
    work: impl Future<Output = T>,
    moved: impl Fn() -> F,
) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(SOON, &mut work).await {
        return done;
    }
    if !is_shown() {
        return work.await;
    }
    let bar = match total {
        Some(total) => {
            let form = "{msg} {bar:30} {bytes}/{total_bytes} {eta}";
            let style = ProgressStyle::with_template(form);
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_no| ProgressStyle::default_bar()))
        }
        None => ProgressBar::new_spinner(),
    };
    let bar = bar.with_message(message.clone());
    bar.enable_steady_tick(TICK);
    let done = loop {
        if let Ok(done) = tokio::time::timeout(POLL, &mut work).await {
            break done;
        }
        if let Some(moved) = moved().await {
            bar.set_position(moved);
            if total.is_none() {
                bar.set_message(format!("{message}: {}", bytes(moved)));
            }
        }
    };
    bar.finish_and_clear();
    done
}
