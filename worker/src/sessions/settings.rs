//! The `session` part of the settings: how conversations are told apart, begun anew and kept.
//!
//! The supervisor has checked it; what cannot be read here has its default.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How long a session is kept that nobody uses, in milliseconds, where the settings say nothing.
const PRUNE_AFTER: u64 = 30 * 24 * 3600 * 1000;

/// How conversations are told apart, begun anew and kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionSettings {
    #[serde(deserialize_with = "or_default")]
    pub(crate) dm_scope: DmScope,
    #[serde(deserialize_with = "or_default")]
    pub(crate) group_scope: GroupScope,
    /// Who stands behind the peers of channels: a name, and its `<channel>:<peer>`s.
    #[serde(deserialize_with = "or_default")]
    pub(crate) identity_links: BTreeMap<String, Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) reset: Option<ResetRule>,
    /// By `direct`, `group` and `thread`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) reset_by_type: BTreeMap<String, ResetRule>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) reset_by_channel: BTreeMap<String, ResetRule>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) maintenance: Maintenance,
}

/// Which direct messages share a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DmScope {
    /// All of them.
    #[default]
    Main,
    /// Those of one person.
    PerPeer,
    /// Those of one person on one channel.
    PerChannelPeer,
    /// Those of one person to one account of a channel.
    PerAccountChannelPeer,
}

/// Which messages of groups share a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GroupScope {
    /// Those of one group.
    #[default]
    PerGroup,
    /// All, with everything else of the agent.
    Main,
}

/// When a session is begun anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResetRule {
    pub(crate) mode: ResetMode,
    /// Of `daily`, 0 to 23; 4 if absent.
    pub(crate) at_hour: Option<u8>,
    /// Minutes without a message; of `idle`, or of `daily` in addition.
    pub(crate) idle_minutes: Option<u64>,
}

/// What begins a session anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResetMode {
    /// Nothing but a command.
    #[default]
    None,
    /// A new day.
    Daily,
    /// That nobody wrote for a while.
    Idle,
}

/// How long sessions are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Maintenance {
    /// For example `30d` or milliseconds; `false` keeps them for ever.
    prune_after: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) max_entries: Option<usize>,
}

impl Maintenance {
    /// How long a session is kept that nobody uses, in milliseconds; for ever if `None`.
    pub(crate) fn prune_after_ms(&self) -> Option<u64> {
        match &self.prune_after {
            Some(Value::Bool(false)) => None,
            Some(Value::Number(millis)) => Some(millis.as_u64().unwrap_or(PRUNE_AFTER)),
            Some(Value::String(text)) => Some(duration_ms(text).unwrap_or(PRUNE_AFTER)),
            None | Some(Value::Null | Value::Bool(true) | Value::Array(_) | Value::Object(_)) => {
                Some(PRUNE_AFTER)
            }
        }
    }
}

/// A duration such as `90m` or `30d` in milliseconds; a number alone counts milliseconds.
fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        "w" => 7 * 24 * 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations() {
        let check = |value: Value, wanted: Option<u64>| {
            let maintenance = Maintenance { prune_after: Some(value), max_entries: None };
            assert_eq!(maintenance.prune_after_ms(), wanted);
        };
        check(json!("7d"), Some(7 * 24 * 3_600_000));
        check(json!("90 m"), Some(5_400_000));
        check(json!(1000), Some(1000));
        check(json!("soon"), Some(PRUNE_AFTER));
        check(json!(false), None);
        assert_eq!(Maintenance::default().prune_after_ms(), Some(PRUNE_AFTER));
    }

    #[test]
    fn what_cannot_be_read_has_its_default_and_the_rest_holds() {
        let text = json!({"dmScope": "per-peer", "groupScope": 7, "reset": {"mode": "daily"},
            "maintenance": {"maxEntries": "many"}});
        let settings: SessionSettings = serde_json::from_value(text).unwrap();
        assert_eq!(settings.dm_scope, DmScope::PerPeer);
        assert_eq!(settings.group_scope, GroupScope::PerGroup);
        assert_eq!(settings.reset.unwrap().mode, ResetMode::Daily);
        assert_eq!(settings.maintenance.max_entries, None);
    }
}
