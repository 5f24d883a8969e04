//! `agents.defaults.heartbeat` of the settings.

use serde::Deserialize;

use super::hours::ActiveHours;

/// The shortest time between heartbeats: each may be a turn.
const MIN_EVERY_MS: u64 = 10_000;
/// Characters of an acknowledgement where nothing is set.
const ACK_CHARS: usize = 300;

/// `agents.defaults.heartbeat`. There are no heartbeats unless `every` is set.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HeartbeatSettings {
    /// For example `30m`; minutes where there is no unit, and `0m` for never.
    every: Option<String>,
    prompt: Option<String>,
    target: Option<String>,
    model: Option<String>,
    ack_max_chars: Option<usize>,
    isolated_session: Option<bool>,
    active_hours: Option<ActiveHours>,
}

impl HeartbeatSettings {
    /// The time between heartbeats; none where there are no heartbeats.
    pub(crate) fn every_ms(&self) -> Option<u64> {
        let every = duration(self.every.as_deref()?)?;
        (every > 0).then(|| every.max(MIN_EVERY_MS))
    }

    /// How it is set.
    pub(crate) fn every(&self) -> Option<&str> {
        self.every.as_deref()
    }

    /// What the model is asked.
    pub(crate) fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref().filter(|prompt| !prompt.trim().is_empty())
    }

    /// The model that is asked; the agent's own where none is set.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Where what it says goes.
    pub(crate) fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Characters beside the acknowledgement that are still one.
    pub(crate) fn ack_chars(&self) -> usize {
        self.ack_max_chars.unwrap_or(ACK_CHARS)
    }

    /// Whether heartbeats have a session of their own.
    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated_session.unwrap_or(false)
    }

    /// Whether a heartbeat may take place at `now`.
    pub(crate) fn is_active(&self, now: u64) -> bool {
        self.active_hours.as_ref().is_none_or(|hours| hours.contain(now))
    }
}

/// Milliseconds of a text like `90s`, `30m`, `1h30m` or `2d`; a bare number is minutes.
fn duration(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    if let Ok(minutes) = text.parse::<u64>() {
        return minutes.checked_mul(60_000);
    }
    let (mut total, mut digits, mut unit) = (0_u64, String::new(), String::new());
    for letter in text.chars().chain(['0']) {
        if letter.is_ascii_digit() && !unit.is_empty() {
            let factor = match unit.as_str() {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(factor)?)?;
            digits.clear();
            unit.clear();
        }
        if letter.is_ascii_digit() { digits.push(letter) } else { unit.push(letter) }
    }
    // What is left is the mark at the end.
    (digits == "0" && unit.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_heartbeats() {
        let check = |text: &str, want: Option<u64>| {
            let settings =
                HeartbeatSettings { every: Some(text.to_owned()), ..HeartbeatSettings::default() };
            assert_eq!(settings.every_ms(), want, "{text}");
        };
        check("30m", Some(1_800_000));
        check("1h30m", Some(5_400_000));
        check("45", Some(2_700_000));
        check("10s", Some(10_000));
        check("1s", Some(MIN_EVERY_MS));
        for none in ["0m", "0", "", "soon", "5x", "m", "-5m", "99999999999999999999d"] {
            check(none, None);
        }
        assert_eq!(HeartbeatSettings::default().every_ms(), None);
    }
}
