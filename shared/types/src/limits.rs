//! What one tenant may use. Every limit has a default; none can be switched off, only raised.

use serde::{Deserialize, Serialize};

use crate::{InvalidQuota, InvalidSleep, Quota, Sleep};

/// Limits of one tenant, as stored and as enforced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Requests in one clock minute, model calls that no request has paid for among them; none means
    /// unlimited.
    pub requests_per_minute: Option<u64>,
    /// Input plus output tokens in one UTC day; none means unlimited.
    pub tokens_per_day: Option<u64>,
    /// Micro-dollars in one UTC day; none means unlimited.
    pub cost_micros_per_day: Option<u64>,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Memory of the worker in bytes, page cache included.
    pub memory_max: u64,
    /// Processes and threads of the worker.
    pub pids_max: u32,
    /// CPU time of the worker in thousandths of one core.
    pub cpu_millis: u32,
    /// Size of the tenant's disk in bytes.
    pub disk_max: u64,
    /// When a worker without work stops.
    #[serde(default)]
    pub sleep: Sleep,
    /// Further limits of what the tenant, its tokens, agents and sessions use. The fields above that
    /// count requests, tokens and money are quotas of the tenant as well, by shorter names.
    #[serde(default)]
    pub quotas: Vec<Quota>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_day: None,
            cost_micros_per_day: None,
            concurrency: 256,
            memory_max: 256 << 20,
            pids_max: 64,
            cpu_millis: 1000,
            disk_max: 1 << 30,
            sleep: Sleep::Default,
            quotas: Vec::new(),
        }
    }
}

/// A change of limits: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsPatch {
    /// See [`Limits::requests_per_minute`].
    pub requests_per_minute: Option<u64>,
    /// See [`Limits::tokens_per_day`].
    pub tokens_per_day: Option<u64>,
    /// See [`Limits::cost_micros_per_day`].
    pub cost_micros_per_day: Option<u64>,
    /// See [`Limits::concurrency`].
    pub concurrency: Option<u32>,
    /// See [`Limits::memory_max`].
    pub memory_max: Option<u64>,
    /// See [`Limits::pids_max`].
    pub pids_max: Option<u32>,
    /// See [`Limits::cpu_millis`].
    pub cpu_millis: Option<u32>,
    /// See [`Limits::disk_max`]; takes effect for a tenant that has no disk yet.
    pub disk_max: Option<u64>,
    /// See [`Limits::sleep`]: as text that is read when the change is applied.
    pub sleep: Option<String>,
    /// See [`Limits::quotas`]: all of them anew, as texts that are read when the change is applied.
    pub quotas: Option<Vec<String>>,
}

/// A limit outside what the system can enforce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// A number that is too small or too large.
    #[error("{field} must be from {min} to {max}")]
    Range {
        /// The limit, by its name on the wire.
        field: &'static str,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
    /// A text that says not when to sleep.
    #[error("sleep: {text:?}: {why}")]
    Sleep {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: InvalidSleep,
    },
    /// A quota that is none.
    #[error("quotas: {text:?}: {why}")]
    Quota {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: InvalidQuota,
    },
    /// Quotas that do not go together.
    #[error("quotas: {0}")]
    Quotas(InvalidQuota),
}

/// Characters of a wrong text that its error shows.
const SHOWN: usize = 80;

impl Limits {
    /// These limits with `patch` applied, or the first field that is out of range.
    pub fn with(&self, patch: &LimitsPatch) -> Result<Self, InvalidLimit> {
        let next = Self {
            requests_per_minute: patch.requests_per_minute.or(self.requests_per_minute),
            tokens_per_day: patch.tokens_per_day.or(self.tokens_per_day),
            cost_micros_per_day: patch.cost_micros_per_day.or(self.cost_micros_per_day),
            concurrency: patch.concurrency.unwrap_or(self.concurrency),
            memory_max: patch.memory_max.unwrap_or(self.memory_max),
            pids_max: patch.pids_max.unwrap_or(self.pids_max),
            cpu_millis: patch.cpu_millis.unwrap_or(self.cpu_millis),
            disk_max: patch.disk_max.unwrap_or(self.disk_max),
            sleep: match &patch.sleep {
                Some(text) => sleep(text)?,
                None => self.sleep,
            },
            quotas: match &patch.quotas {
                Some(texts) => quotas(texts)?,
                None => self.quotas.clone(),
            },
        };
        check("concurrency", u64::from(next.concurrency), 1, 65_536)?;
        check("memoryMax", next.memory_max, 16 << 20, 1 << 40)?;
        check("pidsMax", u64::from(next.pids_max), 4, 32_768)?;
        check("cpuMillis", u64::from(next.cpu_millis), 10, 1_000_000)?;
        check("diskMax", next.disk_max, 16 << 20, 1 << 44)?;
        Ok(next)
    }
}

fn sleep(text: &str) -> Result<Sleep, InvalidLimit> {
    let shown = || text.chars().take(SHOWN).collect();
    text.parse().map_err(|why| InvalidLimit::Sleep { text: shown(), why })
}

fn quotas(texts: &[String]) -> Result<Vec<Quota>, InvalidLimit> {
    let read = |text: &String| {
        let shown = || text.chars().take(SHOWN).collect();
        text.parse().map_err(|why| InvalidLimit::Quota { text: shown(), why })
    };
    // What are too many need not be read to be refused.
    if texts.len() > crate::MAX_QUOTAS {
        return Err(InvalidLimit::Quotas(InvalidQuota::TooMany));
    }
    let quotas = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Quota::check(&quotas).map_err(InvalidLimit::Quotas)?;
    Ok(quotas)
}

fn check(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), InvalidLimit> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(InvalidLimit::Range { field, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let limits = Limits::default();
        let patch = LimitsPatch {
            concurrency: Some(2),
            sleep: Some("warm".to_owned()),
            ..Default::default()
        };
        let next = limits.with(&patch).unwrap();
        assert_eq!((next.concurrency, next.sleep), (2, Sleep::Warm));
        assert_eq!(next.memory_max, limits.memory_max);
        let soon = LimitsPatch { sleep: Some("soon".to_owned()), ..Default::default() };
        let err = limits.with(&soon).unwrap_err().to_string();
        assert!(err.starts_with("sleep: \"soon\": default, never, warm"), "{err}");
        let low = LimitsPatch { memory_max: Some(1), ..Default::default() };
        assert_eq!(
            limits.with(&low).unwrap_err().to_string(),
            "memoryMax must be from 16777216 to 1099511627776"
        );
    }

    #[test]
    fn quotas_are_replaced_together() {
        let patch = |texts: &[&str]| LimitsPatch {
            quotas: Some(texts.iter().map(|it| (*it).to_owned()).collect()),
            ..Default::default()
        };
        let limits = Limits::default().with(&patch(&["tokens/day=5", "requests/hour=1"])).unwrap();
        let same = limits.with(&LimitsPatch::default()).unwrap();
        assert_eq!(same.quotas.len(), 2);
        let other = limits.with(&patch(&["agent:* tokens/day=7"])).unwrap();
        assert_eq!(other.quotas[0].to_string(), "agent:* tokens/day=7");
        assert_eq!(limits.with(&patch(&[])).unwrap().quotas, []);
        let check = |texts: &[&str], want: &str| {
            assert_eq!(limits.with(&patch(texts)).unwrap_err().to_string(), want);
        };
        check(
            &["tokens=1"],
            "quotas: \"tokens=1\": tokens needs a window in a quota: minute, hour, day or month",
        );
        check(&["tokens/day=1", "tokens/day=2"], "quotas: there are two quotas for tokens/day");
    }

    #[test]
    fn limits_of_before_there_were_quotas_can_be_read() {
        let mut json = serde_json::to_value(Limits::default()).unwrap();
        json.as_object_mut().unwrap().remove("quotas");
        assert_eq!(serde_json::from_value::<Limits>(json).unwrap(), Limits::default());
    }
}
