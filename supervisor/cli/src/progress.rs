//! A sign of life for a person who waits longer than a second.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::ProgressBar;

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
