//! The signals on which a process ends in good order.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM or SIGINT. The handlers are installed before this returns, so that a signal
/// which comes before the future is first looked at is not lost.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
