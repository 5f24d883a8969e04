//! Tells the operator's own program what it should know at once: a signed `POST` to one address,
//! as the Standard Webhooks have it.
//!
//! Nobody waits for it. What does not fit into the queue, or does not arrive in three tries, is
//! logged and counted, and lost: the log and the figures are where nothing is lost.

mod deliver;
mod post;
mod signature;

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use serde::Serialize;
use tokio::sync::mpsc;
use types::{Clock, Secret};

use deliver::Delivery;
use post::Post;
use signature::Key;

/// Alerts that wait. Each is below a kibibyte; a receiver that is away for as long as a thousand take
/// has its operator's attention already.
const MAX_WAITING: usize = 1024;

/// Where alerts go, and what they are signed with.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `http://` or `https://`; the operator's choice, loopback included.
    pub url: String,
    /// The shared secret: `whsec_` and the base64 of 24 to 64 bytes.
    pub secret: Secret,
}

/// A webhook that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("alerts.webhook.url must be http:// or https:// and a host")]
    Url(#[source] Option<http::uri::InvalidUri>),
    /// The secret is not of the standard's form.
    #[error("alerts.webhook.secret must be whsec_ and the base64 of 24 to 64 bytes")]
    Secret,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] std::io::Error),
}

/// Where whoever has something to tell puts it. Clones put into the same queue; without a webhook
/// there is none.
#[derive(Debug, Clone)]
pub struct Alerts(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    waiting: mpsc::Sender<Alert>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// One alert, ready to be sent. What is sent again is the same to the byte, under the same id.
#[derive(Debug)]
struct Alert {
    id: String,
    body: Bytes,
}

/// What became of alerts.
#[derive(Debug, Clone, Default)]
struct Metrics(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// An alert on the wire.
#[derive(Serialize)]
struct Document<'a, T> {
    r#type: &'a str,
    timestamp: String,
    data: &'a T,
}

impl Webhook {
    /// Whether it can be used.
    ///
    /// # Errors
    /// When the address or the secret is not of the form that is asked for.
    pub fn check(&self) -> Result<(), Error> {
        Post::new(&self.url)?;
        Key::read(&self.secret).map(drop)
    }

    /// Whether alerts could go to `url`.
    ///
    /// # Errors
    /// When it is no address.
    pub fn check_url(url: &str) -> Result<(), Error> {
        Post::new(url).map(drop)
    }
}

impl Alerts {
    /// A queue that `tasks` empties, or none where there is no webhook.
    ///
    /// # Errors
    /// When the webhook cannot be used.
    pub fn new(
        webhook: Option<&Webhook>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        registry: &mut Registry,
    ) -> Result<Self, Error> {
        let Some(webhook) = webhook else { return Ok(Self::none()) };
        let metrics = Metrics::default();
        let help = "Alerts to the operator's webhook, by what became of them";
        registry.register("openclawmu_alerts", help, metrics.0.clone());
        let (waiting, alerts) = mpsc::channel(MAX_WAITING);
        let delivery = Delivery {
            post: Post::new(&webhook.url)?,
            key: Key::read(&webhook.secret)?,
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
        };
        tasks.spawn_until_stopped(delivery.run(alerts));
        Ok(Self(Some(Arc::new(Queue { waiting, clock, metrics }))))
    }

    /// Where nothing is told to anybody.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Whether anybody is told.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells what has happened: `kind` in words with points, as `quota.warning`. Waits for nothing.
    pub fn send<T: Serialize>(&self, kind: &str, data: &T) {
        let Some(queue) = &self.0 else { return };
        let now = queue.clock.now();
        let timestamp = i64::try_from(now).ok();
        let timestamp = timestamp.and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
        let timestamp = timestamp.unwrap_or(jiff::Timestamp::MAX).to_string();
        let body = match serde_json::to_vec(&Document { r#type: kind, timestamp, data }) {
            Ok(body) => body.into(),
            Err(err) => {
                tracing::error!(kind, error = %types::Chain(&err), "an alert has no JSON form");
                return;
            }
        };
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        if queue.waiting.try_send(Alert { id, body }).is_err() {
            queue.metrics.count("dropped");
            tracing::warn!(kind, "an alert is dropped: {MAX_WAITING} wait already");
        }
    }
}

impl Metrics {
    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Labels { outcome }).inc();
    }
}

#[cfg(test)]
mod tests;
