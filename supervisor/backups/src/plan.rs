//! When a tenant's backups are made and which are kept: what holds for all, over it what holds for one.

use std::collections::BTreeMap;
use std::str::FromStr;

use records::PlanRow;
use types::{TenantId, UnixMillis};

use crate::{Backups, Error, Inner, Keep};

const MINUTE_MS: u64 = 60 * 1000;

/// The shortest time from one backup to the next, and the longest.
const SHORTEST_MS: u64 = MINUTE_MS;
const LONGEST_MS: u64 = 366 * 24 * 60 * MINUTE_MS;

/// A part of the time by which backups are moved, so that not all are due at once.
const SPREAD: u64 = 10;

/// How long after a failure it is tried again, doubled for each further one.
const AGAIN_MS: u64 = 5 * MINUTE_MS;

/// How often that is doubled: to a little less than three hours.
const DOUBLINGS: u32 = 5;

/// A time from one backup to the next: `30m`, `6h` or `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Every(u64);

/// Text that is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number with m, h or d for minutes, hours or days, from 1m to 366d")]
pub struct InvalidEvery;

impl Every {
    /// Milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl FromStr for Every {
    type Err = InvalidEvery;

    fn from_str(text: &str) -> Result<Self, InvalidEvery> {
        let units = [("m", MINUTE_MS), ("h", 60 * MINUTE_MS), ("d", 24 * 60 * MINUTE_MS)];
        let read = units.iter().find_map(|(unit, millis)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(*millis)
        });
        let fits = |it: &u64| (SHORTEST_MS..=LONGEST_MS).contains(it);
        read.filter(fits).map(Self).ok_or(InvalidEvery)
    }
}

/// What holds for tenants.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    /// For all.
    pub all: Plan,
    /// For some, in its place.
    pub tenants: BTreeMap<TenantId, Plan>,
}

/// What holds for one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// From one backup to the next, in milliseconds; none where there is no schedule.
    pub every_ms: Option<u64>,
    /// Which are kept.
    pub keep: Keep,
}

/// How a tenant's schedule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What holds.
    pub plan: Plan,
    /// When the last one of the schedule was begun; 0 for never.
    pub last_begun: UnixMillis,
    /// When the next one is due.
    pub next: Option<UnixMillis>,
    /// Failures since the last success.
    pub failures: u32,
    /// Why the last one failed.
    pub last_failure: Option<String>,
}

impl Plans {
    fn over(&self, tenant: &TenantId, row: &PlanRow) -> Plan {
        let base = self.tenants.get(tenant).copied().unwrap_or(self.all);
        let every_ms = match row.every_ms {
            Some(0) => None,
            Some(every) => Some(every),
            None => base.every_ms,
        };
        let keep = row.keep.map_or(base.keep, |[newest, days, weeks, months]| Keep {
            newest,
            days,
            weeks,
            months,
        });
        Plan { every_ms, keep }
    }
}

/// When the next backup is due, or has been. Where the last one is said to have been begun later than
/// it is now, the clock was ahead: nobody knows when that was, and the next one is due.
pub(crate) fn due(
    plan: Plan,
    row: &PlanRow,
    (tenant, created_at): (&TenantId, UnixMillis),
    now: UnixMillis,
) -> Option<UnixMillis> {
    let every = plan.every_ms?;
    // The same for a tenant each time, and different for others: they do not drift into one.
    let spread = (every / SPREAD).max(1);
    let hash = tenant.as_str().bytes();
    let hash = hash.fold(17_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    if row.last_begun == 0 || row.last_begun > now {
        let first = created_at.saturating_add(hash % spread);
        let ahead = row.last_begun > now || created_at > now;
        return Some(if ahead { first.min(now) } else { first });
    }
    if row.failures > 0 {
        let doublings = row.failures.saturating_sub(1).min(DOUBLINGS);
        let wait = AGAIN_MS.saturating_mul(1 << doublings).min(every);
        return Some(row.last_begun.saturating_add(wait));
    }
    // Never twice the spread apart from what was asked for, and the average is what was asked for.
    let turn = (hash ^ (row.last_begun / every)) % spread;
    Some(row.last_begun.saturating_add(every).saturating_add(turn).saturating_sub(spread / 2))
}

pub(crate) async fn of(inner: &Inner, tenant: &TenantId) -> Result<Plan, Error> {
    let row = inner.records.plan(tenant).await.map_err(Error::Records)?;
    Ok(inner.config.plans.over(tenant, &row))
}

pub(crate) fn over(inner: &Inner, tenant: &TenantId, row: &PlanRow) -> Plan {
    inner.config.plans.over(tenant, row)
}

impl Backups {
    /// How the schedules of all tenants stand.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn schedules(&self) -> Result<Vec<(TenantId, Standing)>, Error> {
        let mut all = Vec::new();
        for (tenant, _) in self.0.roots.all() {
            let standing = self.schedule(&tenant).await?;
            all.push((tenant, standing));
        }
        Ok(all)
    }

    /// How a tenant's schedule stands.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn schedule(&self, tenant: &TenantId) -> Result<Standing, Error> {
        let all = self.0.roots.all();
        let found = all.into_iter().find(|(it, _)| it == tenant);
        let (_, created_at) = found.ok_or(Error::NoTenant)?;
        let row = self.0.records.plan(tenant).await.map_err(Error::Records)?;
        let plan = self.0.config.plans.over(tenant, &row);
        let next = due(plan, &row, (tenant, created_at), self.0.clock.now());
        let PlanRow { last_begun, failures, last_failure, .. } = row;
        Ok(Standing { plan, last_begun, next, failures, last_failure })
    }

    /// Sets what holds for one tenant; what is not said stays as it is. `Some(0)` is no schedule.
    ///
    /// # Errors
    /// When there is no such tenant or the records fail.
    pub async fn set_schedule(
        &self,
        tenant: &TenantId,
        every_ms: Option<u64>,
        keep: Option<Keep>,
    ) -> Result<Standing, Error> {
        if !self.0.roots.exists(tenant) {
            return Err(Error::NoTenant);
        }
        let keep = keep.map(|it| [it.newest, it.days, it.weeks, it.months]);
        let change = |row: &mut PlanRow| {
            row.every_ms = every_ms.or(row.every_ms);
            row.keep = keep.or(row.keep);
        };
        self.0.records.update_plan(tenant, change).await.map_err(Error::Records)?;
        self.schedule(tenant).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_time() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(text.parse::<Every>().ok().map(Every::millis), millis, "{text}");
        };
        check("1m", Some(60_000));
        check("6h", Some(21_600_000));
        check("1d", Some(86_400_000));
        check("366d", Some(LONGEST_MS));
        for wrong in ["", "m", "0m", "367d", "1", "1s", "-1h", "18446744073709551615d"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_schedule_neither_bunches_nor_drifts() {
        let hour = 60 * MINUTE_MS;
        let plan = Plan { every_ms: Some(hour), keep: Keep::default() };
        let tenant: TenantId = "acme".parse().unwrap();
        let due_by = due;
        let due = |plan, row: &PlanRow, created_at| {
            due_by(plan, row, (&tenant, created_at), 2_000_000_000_000)
        };
        let first = due(plan, &PlanRow::default(), 1000).unwrap();
        assert!((1000..1000 + hour / SPREAD).contains(&first));
        let mut row = PlanRow { last_begun: 1_000_000_000_000, ..PlanRow::default() };
        for _ in 0..500 {
            row.last_begun = due(plan, &row, 0).unwrap();
        }
        let took = row.last_begun - 1_000_000_000_000;
        assert!(took.abs_diff(500 * hour) <= 500 * hour / SPREAD, "{took}");
        assert_eq!(due(Plan::default(), &row, 0), None);
        row.failures = 1;
        assert_eq!(due(plan, &row, 0), Some(row.last_begun + AGAIN_MS));
        row.failures = 60;
        assert_eq!(due(plan, &row, 0), Some(row.last_begun + hour));
    }

    #[test]
    fn a_clock_that_was_ahead_stops_no_schedule() {
        let (now, hour) = (1_000_000_000_000, 60 * MINUTE_MS);
        let plan = Plan { every_ms: Some(hour), keep: Keep::default() };
        let tenant: TenantId = "acme".parse().unwrap();
        let is_due = |last_begun, failures, created_at| {
            let row = PlanRow { last_begun, failures, ..PlanRow::default() };
            due(plan, &row, (&tenant, created_at), now).is_some_and(|at| at <= now)
        };
        assert!(!is_due(now, 0, 0) && !is_due(now, 1, 0));
        for failures in [0, 1, 9] {
            assert!(is_due(now + 1, failures, 0) && is_due(u64::MAX, failures, 0));
        }
        assert!(is_due(0, 0, now + hour), "a tenant that is registered ahead of the time");
    }

    #[test]
    fn what_is_said_of_one_tenant_comes_first() {
        let acme: TenantId = "acme".parse().unwrap();
        let keep = |newest| Keep { newest, ..Keep::default() };
        let all = Plan { every_ms: Some(5), keep: keep(1) };
        let mut plans = Plans { all, tenants: BTreeMap::new() };
        let row = |every_ms, keep| PlanRow { every_ms, keep, ..PlanRow::default() };
        assert_eq!(plans.over(&acme, &row(None, None)), all);
        assert_eq!(plans.over(&acme, &row(Some(0), None)).every_ms, None);
        assert_eq!(
            plans.over(&acme, &row(Some(7), Some([3, 0, 0, 0]))),
            Plan { every_ms: Some(7), keep: keep(3) }
        );
        plans.tenants.insert(acme.clone(), Plan::default());
        assert_eq!(plans.over(&acme, &row(None, None)), Plan::default());
    }
}
