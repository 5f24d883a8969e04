//! The hours of the day in which there are heartbeats.

use jiff::Timestamp;
use serde::Deserialize;
use types::UnixMillis;

/// `activeHours`: from `start` up to `end`, over midnight where `end` is the earlier.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ActiveHours {
    start: Option<String>,
    end: Option<String>,
    /// An IANA time zone; `user`, `local` and none are UTC.
    timezone: Option<String>,
}

impl ActiveHours {
    /// Whether `now` is one of them. Hours that cannot be read are all hours.
    pub(super) fn contain(&self, now: UnixMillis) -> bool {
        let minutes =
            |text: &Option<String>, default| text.as_deref().map_or(default, minute_of_day);
        let (Some(start), Some(end)) =
            (minutes(&self.start, Some(0)), minutes(&self.end, Some(1440)))
        else {
            return true;
        };
        let zone = self.timezone.as_deref().filter(|zone| !matches!(*zone, "user" | "local"));
        let Ok(zone) = crate::cron::zone(zone) else { return true };
        let now = i64::try_from(now).ok().and_then(|now| Timestamp::from_millisecond(now).ok());
        let Some(now) = now else { return true };
        let wall = zone.to_datetime(now);
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    }
}

/// Minutes since midnight of a text like `08:30`; `24:00` is the end of the day.
fn minute_of_day(text: &str) -> Option<i32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute) = (hour.parse::<i32>().ok()?, minute.parse::<i32>().ok()?);
    let sound = (0..24).contains(&hour) && (0..60).contains(&minute) || (hour, minute) == (24, 0);
    sound.then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_a_zone_over_midnight_too() {
        // 2026-11-22T12:00:00Z is 13:00 in Berlin.
        let noon = 1_795_348_800_000;
        let check = |start: &str, end: &str, zone: &str, want: bool| {
            let [start, end, timezone] = [start, end, zone].map(|it| Some(it.to_owned()));
            assert_eq!(ActiveHours { start, end, timezone }.contain(noon), want);
        };
        check("08:00", "12:00", "UTC", false);
        check("08:00", "12:01", "UTC", true);
        check("13:00", "14:00", "Europe/Berlin", true);
        check("12:00", "13:00", "Europe/Berlin", false);
        check("22:00", "06:00", "UTC", false);
        check("22:00", "12:30", "UTC", true);
        check("00:00", "24:00", "user", true);
        check("x", "12:00", "UTC", true);
        assert!(ActiveHours::default().contain(noon));
    }
}
