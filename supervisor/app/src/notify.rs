//! `alerts` and `metrics` of the configuration: what the operator is told, and in how much detail.
//! Secrets are fetched before privilege is dropped.

use alerts::Webhook;
use serde::Deserialize;

use crate::secrets::{self, Source};

/// Tenants that may be labels of metrics: each is some twenty series, and a Prometheus bears a few
/// ten thousand of one gateway.
const MAX_LABELS: usize = 1000;

/// Who is told at once.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Alerts {
    /// A program of the operator's that is told of limits that are nearly used up.
    pub webhook: Option<Hook>,
}

/// Where alerts go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hook {
    /// `http://` or `https://`.
    pub url: String,
    /// What they are signed with: `whsec_` and the base64 of 24 to 64 bytes.
    pub secret: Source,
}

/// What `/metrics` shows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Metrics {
    /// How many tenants are labels of their own, those that were there first; all others together are
    /// `other`. 0, which is so where nothing is said: none is.
    pub tenant_labels: usize,
}

/// A webhook that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its secret cannot be fetched.
    #[error("alerts.webhook.secret")]
    Secret(#[source] secrets::Error),
    /// It cannot be used.
    #[error(transparent)]
    Webhook(alerts::Error),
}

impl Alerts {
    /// What is wrong with what can be judged without fetching anything.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        if let Some(hook) = &self.webhook
            && let Err(err) = Webhook::check_url(&hook.url)
        {
            mistakes.push(types::Chain(&err).to_string());
        }
    }

    /// The webhook with its secret, where there is one.
    pub(crate) fn read(&self) -> Result<Option<Webhook>, Error> {
        let Some(hook) = &self.webhook else { return Ok(None) };
        let secret = hook.secret.fetch().map_err(Error::Secret)?;
        let webhook = Webhook { url: hook.url.clone(), secret };
        webhook.check().map_err(Error::Webhook)?;
        Ok(Some(webhook))
    }
}

impl Metrics {
    /// What is wrong with it.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        if self.tenant_labels > MAX_LABELS {
            mistakes.push(format!("metrics.tenantLabels: from 0 to {MAX_LABELS}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str, secret: &str) -> Alerts {
        let secret = Source::Given(secret.to_owned().into());
        Alerts { webhook: Some(Hook { url: url.to_owned(), secret }) }
    }

    #[test]
    fn a_webhook_is_checked_before_anything_starts() {
        let good = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let check = |alerts: Alerts, mistakes: usize, usable: bool| {
            let mut found = Vec::new();
            alerts.mistakes(&mut found);
            assert_eq!((found.len(), alerts.read().is_ok()), (mistakes, usable), "{found:?}");
        };
        check(Alerts::default(), 0, true);
        check(hook("https://alerts.example/x", good), 0, true);
        check(hook("https://alerts.example/x", "whsec_short"), 0, false);
        check(hook("alerts.example", good), 1, false);
    }
}
