//! Empties the queue, one alert after the other, each with three tries.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use tokio::sync::mpsc;
use tokio::time::Instant;
use types::Clock;

use crate::post::Post;
use crate::signature::Key;
use crate::{Alert, Metrics};

/// How long to wait before another try: together with the tries below a minute, so that a receiver
/// that is being restarted gets what happened meanwhile, and the queue moves on without one.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What empties the queue.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) post: Post,
    pub(crate) key: Key,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

impl Delivery {
    pub(crate) async fn run(self, mut alerts: mpsc::Receiver<Alert>) {
        while let Some(alert) = alerts.recv().await {
            let arrived = self.deliver(&alert).await;
            self.metrics.count(if arrived { "delivered" } else { "failed" });
        }
    }

    /// Whether it has arrived.
    async fn deliver(&self, alert: &Alert) -> bool {
        let mut waits = WAITS.iter();
        loop {
            let headers = match self.headers(alert) {
                Ok(headers) => headers,
                Err(err) => {
                    tracing::error!(error = %types::Chain(&err), "an alert cannot be signed");
                    return false;
                }
            };
            let Err(failure) = self.post.send(headers, alert.body.clone()).await else {
                return true;
            };
            let Some(wait) = waits.next().filter(|_| failure.may_pass()) else {
                let error = types::Chain(&failure);
                tracing::error!(alert = alert.id, %error, "an alert did not arrive; given up");
                return false;
            };
            tracing::debug!(
                alert = alert.id,
                error = %types::Chain(&failure),
                "an alert did not arrive; tried again"
            );
            self.metrics.count("retried");
            tokio::time::sleep_until(Instant::now() + *wait).await;
        }
    }

    /// Signed anew for each try: a receiver refuses a time that is long past.
    fn headers(&self, alert: &Alert) -> Result<HeaderMap, InvalidHeaderValue> {
        let seconds = self.clock.now() / 1000;
        let signature = self.key.sign(&alert.id, seconds, &alert.body);
        let mut headers = HeaderMap::new();
        headers.insert(ID, HeaderValue::from_str(&alert.id)?);
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature)?);
        Ok(headers)
    }
}
