//! Who opened a terminal, as far as it matters here: for how long they may have one.

use std::fmt;
use std::pin::Pin;

/// A terminal ends with the right of whoever opened it: a shell must not outlive the token that it was
/// opened with. By default it has no such end.
pub struct Opener(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Opener {
    /// One whose right ends when `revoked` resolves.
    pub fn until(revoked: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(revoked))
    }

    /// Resolves when the right has ended.
    pub(super) async fn revoked(self) {
        self.0.await;
    }
}

impl Default for Opener {
    fn default() -> Self {
        Self::until(std::future::pending())
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}
