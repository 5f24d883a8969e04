//! When a job runs: a schedule that was checked, and its times.
//!
//! Pure: the time is a parameter.

use api::cron::Schedule;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use types::UnixMillis;

use super::expr::Expr;

/// The shortest interval: the supervisor's timers are looked at once a second.
const MIN_EVERY_MS: u64 = 1_000;
/// The longest stagger: a day.
const MAX_STAGGER_MS: u64 = 86_400_000;
/// How far a time given with `at` may lie ahead.
const MAX_AHEAD_MS: u64 = 10 * 366 * 86_400_000;
/// How far it may lie in the past, for clients whose clock differs.
const MAX_PAST_MS: u64 = 60_000;
/// The greatest time of the protocol.
const MAX_TIME_MS: u64 = 8_640_000_000_000_000;

/// A schedule that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Times {
    /// Once.
    At(UnixMillis),
    /// At an interval from an anchor.
    Every { every: u64, anchor: UnixMillis },
    /// By an expression, each time a little later by `stagger`.
    Cron { expr: Box<Expr>, tz: TimeZone, stagger: u64 },
}

impl Times {
    /// Checks a schedule, or says what is wrong with it. `id` and `created_at` are the job's.
    pub(crate) fn new(
        schedule: &Schedule,
        id: &str,
        created_at: UnixMillis,
    ) -> Result<Self, String> {
        match schedule {
            Schedule::At { at } => Ok(Self::At(instant(at)?)),
            Schedule::Every { every_ms, anchor_ms } => {
                if !(MIN_EVERY_MS..=MAX_TIME_MS).contains(every_ms) {
                    return Err(format!("schedule.everyMs must be at least {MIN_EVERY_MS}"));
                }
                let anchor = anchor_ms.unwrap_or(created_at);
                if anchor > MAX_TIME_MS {
                    return Err("schedule.anchorMs is no time".to_owned());
                }
                Ok(Self::Every { every: *every_ms, anchor })
            }
            Schedule::Cron { expr, tz, stagger_ms } => {
                let expr = Expr::new(expr).map_err(|why| format!("schedule.expr: {why}"))?;
                let window = stagger_ms.unwrap_or(0);
                if window > MAX_STAGGER_MS {
                    return Err(format!("schedule.staggerMs must be at most {MAX_STAGGER_MS}"));
                }
                let stagger = hash(id).checked_rem(window).unwrap_or(0);
                Ok(Self::Cron { expr: Box::new(expr), tz: zone(tz.as_deref())?, stagger })
            }
            Schedule::OnExit { .. } | Schedule::Stream { .. } => {
                Err("schedule.kind must be at, every or cron: programs do not run here".to_owned())
            }
        }
    }

    /// Whether a job that somebody makes or changes now may have this schedule.
    pub(crate) fn check(&self, now: UnixMillis) -> Result<(), String> {
        match self {
            Self::At(at) if at.saturating_add(MAX_PAST_MS) < now => {
                Err("schedule.at is in the past".to_owned())
            }
            Self::At(at) if *at > now.saturating_add(MAX_AHEAD_MS) => {
                Err("schedule.at is more than ten years ahead".to_owned())
            }
            Self::Cron { .. } if self.next(now).is_none() => {
                Err("schedule.expr has no time within nine years".to_owned())
            }
            Self::At(_) | Self::Every { .. } | Self::Cron { .. } => Ok(()),
        }
    }

    /// The first time after `after`; of `at`, its time whatever `after` is.
    pub(crate) fn next(&self, after: UnixMillis) -> Option<UnixMillis> {
        match self {
            Self::At(at) => Some(*at),
            Self::Every { every, anchor } => {
                let Some(since) = after.checked_sub(*anchor) else { return Some(*anchor) };
                let steps = since.checked_div(*every)?.checked_add(1)?;
                anchor.checked_add(steps.checked_mul(*every)?)
            }
            Self::Cron { expr, tz, stagger } => {
                let after = i64::try_from(after.saturating_sub(*stagger)).ok()?;
                let next = expr.next(Timestamp::from_millisecond(after).ok()?, tz)?;
                u64::try_from(next.as_millisecond()).ok()?.checked_add(*stagger)
            }
        }
    }
}

/// An IANA time zone; UTC where none is named.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name)
            .ok()
            .ok_or_else(|| format!("\"{}\" is no IANA time zone", name.escape_debug())),
    }
}

fn instant(text: &str) -> Result<UnixMillis, String> {
    let text = text.trim();
    let with_offset = text.parse::<Timestamp>().ok();
    let in_utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = with_offset.or_else(|| Some(in_utc()?.timestamp()));
    let at = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    at.ok_or_else(|| "schedule.at must be a time like 2026-11-22T12:00:00Z".to_owned())
}

/// A number that is the same for a job in every process: FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(every_ms: u64, anchor_ms: Option<u64>) -> Result<Times, String> {
        Times::new(&Schedule::Every { every_ms, anchor_ms }, "id", 500)
    }

    #[test]
    fn an_interval_counts_from_its_anchor() {
        let times = every(1_000, Some(10_250)).unwrap();
        for (after, next) in [(0, 10_250), (10_249, 10_250), (10_250, 11_250), (13_000, 13_250)] {
            assert_eq!(times.next(after), Some(next), "{after}");
        }
        assert_eq!(every(1_000, None).unwrap().next(500), Some(1_500));
        every(999, None).unwrap_err();
    }

    #[test]
    fn at_takes_any_offset_and_without_one_it_is_utc() {
        let at = |at: &str| Times::new(&Schedule::At { at: at.to_owned() }, "id", 0);
        let noon = Times::At(1_795_348_800_000);
        for text in ["2026-11-22T12:00:00Z", "2026-11-22T13:00:00+01:00", "2026-11-22T12:00:00"] {
            assert_eq!(at(text), Ok(noon.clone()), "{text}");
        }
        for text in ["", "soon", "12:00", "1969-01-01T00:00:00Z"] {
            at(text).unwrap_err();
        }
        noon.check(1_795_348_800_000 + MAX_PAST_MS).unwrap();
        noon.check(1_795_348_800_001 + MAX_PAST_MS).unwrap_err();
        noon.check(0).unwrap_err();
    }

    #[test]
    fn a_staggered_job_has_a_fixed_place_of_its_own() {
        let times = |id: &str| {
            let (expr, tz) = ("0 * * * *".to_owned(), Some("Europe/Berlin".to_owned()));
            Times::new(&Schedule::Cron { expr, tz, stagger_ms: Some(300_000) }, id, 0).unwrap()
        };
        let hour = 1_795_348_800_000;
        let (a, b) = (times("a").next(hour - 1).unwrap(), times("b").next(hour - 1).unwrap());
        assert!(a != b && a >= hour && a < hour + 300_000, "{a} {b}");
        assert_eq!(times("a").next(a), Some(a + 3_600_000));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cron = |expr: &str, tz: &str| {
            let (expr, tz) = (expr.to_owned(), Some(tz.to_owned()));
            Times::new(&Schedule::Cron { expr, tz, stagger_ms: None }, "id", 0)
        };
        assert!(cron("0 0 * * *", "Mars/Base").unwrap_err().contains("time zone"));
        assert!(cron("x", "UTC").unwrap_err().contains("schedule.expr"));
        assert!(cron("0 0 31 2 *", "UTC").unwrap().check(0).is_err());
        let exit = Schedule::OnExit { command: "ls".to_owned(), cwd: None };
        assert!(Times::new(&exit, "id", 0).unwrap_err().contains("programs"));
    }
}
