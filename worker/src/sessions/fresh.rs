//! Whether a session goes on with the next message or is begun anew, as `session.reset` says.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use types::UnixMillis;

use super::kind::Kind;
use super::settings::{ResetMode, ResetRule, SessionSettings};
use crate::store::Row;

/// The hour of the day at which a new day begins for `daily`, where the settings say nothing.
const AT_HOUR: u8 = 4;

impl SessionSettings {
    /// Whether the next message begins the session anew. Days are those of `zone`.
    pub(crate) fn is_stale(&self, row: &Row, now: UnixMillis, zone: &TimeZone) -> bool {
        let rule = self.reset_rule(row);
        let last = row.last_interaction_at();
        let idle = rule.idle_minutes.map(|minutes| minutes.saturating_mul(60_000));
        let is_idle = idle.is_some_and(|idle| now.saturating_sub(last) >= idle);
        match rule.mode {
            ResetMode::None => false,
            ResetMode::Idle => is_idle,
            ResetMode::Daily => {
                let hour = rule.at_hour.unwrap_or(AT_HOUR);
                is_idle || day_start(now, hour, zone).is_some_and(|start| last < start)
            }
        }
    }

    fn reset_rule(&self, row: &Row) -> ResetRule {
        let kind = Kind::of_key(&row.key);
        let of_channel = kind.channel().and_then(|channel| self.reset_by_channel.get(channel));
        let of_type = || self.reset_by_type.get(kind.reset_type());
        of_channel.or_else(of_type).copied().or(self.reset).unwrap_or_default()
    }
}

/// The last time at or before `now` when a clock in `zone` showed `hour`.
fn day_start(now: UnixMillis, hour: u8, zone: &TimeZone) -> Option<UnixMillis> {
    let now = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?.to_zoned(zone.clone());
    let hour = i8::try_from(hour).ok().filter(|hour| *hour < 24)?;
    let today = now.date().at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?;
    let start = if today <= now {
        today
    } else {
        let yesterday = now.date().checked_sub(1.day()).ok()?;
        yesterday.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?
    };
    u64::try_from(start.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{Meta, SessionId};

    const HOUR: u64 = 3_600_000;
    /// 2026-11-22T12:00:00Z.
    const NOON: u64 = 1_795_348_800_000;

    fn check(settings: &serde_json::Value, key: &str, last: u64, now: u64, stale: bool) {
        let settings: SessionSettings = serde_json::from_value(settings.clone()).unwrap();
        let row = Row {
            key: key.to_owned(),
            session_id: SessionId::new(),
            updated_at: last,
            model: None,
            totals: [0; 3],
            meta: Meta::default(),
        };
        assert_eq!(settings.is_stale(&row, now, &TimeZone::UTC), stale, "{settings:?} {key}");
    }

    #[test]
    fn sessions_are_begun_anew_as_the_rules_say() {
        let key = "agent:main:main";
        check(&json!({}), key, 0, NOON, false);
        let daily = json!({"reset": {"mode": "daily"}});
        check(&daily, key, NOON - 9 * HOUR, NOON, true);
        check(&daily, key, NOON - 7 * HOUR, NOON, false);
        check(&daily, key, NOON - 31 * HOUR, NOON - 9 * HOUR, false);
        check(&daily, key, NOON - 33 * HOUR, NOON - 9 * HOUR, true);
        let idle = json!({"reset": {"mode": "idle", "idleMinutes": 60}});
        check(&idle, key, NOON - HOUR, NOON, true);
        check(&idle, key, NOON - HOUR + 1, NOON, false);
        let both = json!({"reset": {"mode": "daily", "atHour": 0, "idleMinutes": 30}});
        check(&both, key, NOON - HOUR, NOON, true);
        let wrong = json!({"reset": {"mode": "daily", "atHour": 99}});
        check(&wrong, key, 0, NOON, false);
    }

    #[test]
    fn the_channel_is_asked_before_the_type_and_the_type_before_the_rest() {
        let settings = json!({"reset": {"mode": "daily"}, "resetByType": {"group": {"mode": "none"}},
            "resetByChannel": {"slack": {"mode": "idle", "idleMinutes": 1}}});
        check(&settings, "agent:main:signal:group:g", 0, NOON, false);
        check(&settings, "agent:main:slack:group:g", NOON - HOUR, NOON, true);
        check(&settings, "agent:main:signal:direct:a", 0, NOON, true);
    }
}
