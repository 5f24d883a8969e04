//! Panels of official clients: what a tenant does not have, said truthfully, and what it has used.
//! Starts no worker, and keeps nothing.

use api::ApiError;
use api::panels::{
    ActivityParams, Audit, AuditParams, Board, Branches, CardParams, Catalogs, CatalogsParams,
    Companion, Cost, CostParams, Day, Discussion, Environments, EnvironmentsParams, Following,
    GroupDefaults, Groups, Members, NoParams, Nothing, Panels, PluginPages, PluginParts, Plugins,
    Preferences, PreferencesParams, Progress, Projects, ProjectsParams, ProviderUsage, Publishing,
    PublishingParams, PullRequestsParams, Questions, Secrets, Seen, SessionParams,
    SetPreferencesParams, Suggestions, SuggestionsParams, Surface, SurfaceParams, SystemInfo,
    TalkCatalog, TalkConfig, TalkConfigParams, TalkParams, Tasks, TasksParams, TtsProviders,
    TtsStatus, UsageStatus, UsageWindow, Used, Users, VisibilityParams, Worktrees,
};
use api::tenants::Standing;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ledger::Amount;
use types::Level;

use crate::Call;
use crate::own::usage;

/// The longest session key, in bytes.
const MAX_KEY: usize = 512;

/// The longest cursor or search text, in bytes.
const MAX_TEXT: usize = 4096;

/// Session keys of one call at most: more than one page shows.
const MAX_KEYS: usize = 256;

/// Days where none are asked for.
const DAYS: u16 = 30;

/// Days at most: records of use are kept for no longer than a year and a day.
const MAX_DAYS: u16 = 366;

/// What this gateway is called where an official one names its machine.
const NAME: &str = "openclawmu";

impl Panels for Call<'_> {
    async fn plugin_approvals(&self, _: NoParams) -> Result<Nothing, ApiError> {
        Ok([])
    }

    async fn gateway_approvals(&self, _: NoParams) -> Result<Nothing, ApiError> {
        Ok([])
    }

    async fn questions(&self, _: NoParams) -> Result<Questions, ApiError> {
        Ok(Questions::default())
    }

    async fn plugin_pages(&self, _: NoParams) -> Result<PluginPages, ApiError> {
        Ok(PluginPages { revision: "0", ..PluginPages::default() })
    }

    async fn plugin_parts(&self, _: NoParams) -> Result<PluginParts, ApiError> {
        Ok(PluginParts { ok: true, ..PluginParts::default() })
    }

    async fn plugins(&self, _: NoParams) -> Result<Plugins, ApiError> {
        Ok(Plugins::default())
    }

    async fn surface(&self, params: SurfaceParams) -> Result<Surface, ApiError> {
        text("observedUrl", params.observed_url.as_deref())?;
        text("surface", Some(&params.surface))?;
        Ok(Surface { surface: params.surface, ..Surface::default() })
    }

    async fn board(&self, params: SessionParams) -> Result<Board, ApiError> {
        Ok(Board { session_key: key(params.session_key)?, ..Board::default() })
    }

    async fn projects(&self, _: ProjectsParams) -> Result<Projects, ApiError> {
        Ok(Projects::default())
    }

    async fn tasks(&self, params: TasksParams) -> Result<Tasks, ApiError> {
        within("limit", params.limit, 500)?;
        text("cursor", params.cursor.as_deref())?;
        params.session_key.map(key).transpose()?;
        Ok(Tasks::default())
    }

    async fn suggestions(&self, params: SuggestionsParams) -> Result<Suggestions, ApiError> {
        params.session_key.map(key).transpose()?;
        Ok(Suggestions::default())
    }

    async fn progress(&self, params: CardParams) -> Result<Progress, ApiError> {
        key(params.session_key)?;
        Ok(Progress::default())
    }

    async fn visibility(&self, _: VisibilityParams) -> Result<Seen, ApiError> {
        Ok(Seen { ok: true })
    }

    async fn publishing(&self, params: PublishingParams) -> Result<Publishing, ApiError> {
        key(params.session_key)?;
        Ok(Publishing::default())
    }

    async fn discussion(&self, params: SessionParams) -> Result<Discussion, ApiError> {
        key(params.session_key)?;
        Ok(Discussion { state: "none" })
    }

    async fn members(&self, params: SessionParams) -> Result<Members, ApiError> {
        Ok(Members {
            session_key: key(params.session_key)?,
            role: "owner",
            allowed_visibilities: ["shared"],
            ..Members::default()
        })
    }

    async fn groups(&self, _: NoParams) -> Result<Groups, ApiError> {
        Ok(Groups::default())
    }

    async fn group_defaults(&self, _: NoParams) -> Result<GroupDefaults, ApiError> {
        Ok(GroupDefaults::default())
    }

    async fn branches(&self, params: SessionParams) -> Result<Branches, ApiError> {
        key(params.session_key)?;
        Ok(Branches::default())
    }

    async fn companion(&self, params: SessionParams) -> Result<Companion, ApiError> {
        key(params.session_key)?;
        Ok(Companion::default())
    }

    async fn catalogs(&self, params: CatalogsParams) -> Result<Catalogs, ApiError> {
        text("search", params.search.as_deref())?;
        if params.limit_per_host == Some(0) {
            return Err(ApiError::invalid("limitPerHost must be at least 1"));
        }
        Ok(Catalogs::default())
    }

    async fn pull_requests(&self, params: PullRequestsParams) -> Result<Following, ApiError> {
        if params.session_keys.len() > MAX_KEYS {
            return Err(ApiError::invalid(format!("sessionKeys must be at most {MAX_KEYS}")));
        }
        for session_key in params.session_keys {
            key(session_key)?;
        }
        Ok(Following { subscribed: true })
    }

    async fn talk_catalog(&self, params: TalkParams) -> Result<TalkCatalog, ApiError> {
        text("provider", params.provider.as_deref())?;
        text("model", params.model.as_deref())?;
        Ok(TalkCatalog::default())
    }

    async fn talk_config(&self, _: TalkConfigParams) -> Result<TalkConfig, ApiError> {
        Ok(TalkConfig::default())
    }

    async fn tts_status(&self, _: NoParams) -> Result<TtsStatus, ApiError> {
        Ok(TtsStatus { auto: "off", ..TtsStatus::default() })
    }

    async fn tts_providers(&self, _: NoParams) -> Result<TtsProviders, ApiError> {
        Ok(TtsProviders::default())
    }

    async fn users(&self, _: NoParams) -> Result<Users, ApiError> {
        Ok(Users::default())
    }

    async fn preferences(&self, _: PreferencesParams) -> Result<Preferences, ApiError> {
        Ok(Preferences { status: "no_durable_identity" })
    }

    async fn set_preferences(&self, _: SetPreferencesParams) -> Result<Preferences, ApiError> {
        Ok(Preferences { status: "no_durable_identity" })
    }

    async fn system_info(&self, _: NoParams) -> Result<SystemInfo, ApiError> {
        let version = env!("CARGO_PKG_VERSION");
        Ok(SystemInfo {
            machine_name: NAME,
            hostname: NAME,
            platform: "linux",
            release: version,
            os_label: format!("{NAME} {version}"),
            uptime_ms: self.parts.clock.now().saturating_sub(self.parts.started_at),
            ..SystemInfo::default()
        })
    }

    async fn usage_cost(&self, params: CostParams) -> Result<Cost, ApiError> {
        let now = self.parts.clock.now();
        let (first, last, days) = range(&params, now)?;
        let tenant = self.caller.permit.tenant();
        let [first, last] = [day(first)?, day(last)?];
        let rows = self.parts.tenants.days(tenant, first, last).await;
        let rows = rows.map_err(|err| crate::failed(&err))?;
        let today = ledger::Day::of(now);
        let mut daily: Vec<_> = rows
            .iter()
            .filter(|row| row.day != today)
            .map(|row| Day { date: row.day.to_string(), used: used(&row.sums.total) })
            .collect();
        // The ledger knows better than the books what was used a moment ago.
        let view = self.parts.tenants.usage(tenant, tenants::Span::Day);
        let view = view.map_err(|err| crate::failed(&err))?;
        if (first..=last).contains(&today) && !view.used.is_zero() {
            daily.push(Day { date: view.window, used: used(&view.used) });
        }
        let totals = daily.iter().fold(Used::default(), |sum, day| Used {
            input: sum.input.saturating_add(day.used.input),
            output: sum.output.saturating_add(day.used.output),
            cache_read: sum.cache_read.saturating_add(day.used.cache_read),
            total_tokens: sum.total_tokens.saturating_add(day.used.total_tokens),
            total_cost: sum.total_cost + day.used.total_cost,
            ..Used::default()
        });
        Ok(Cost { updated_at: now, days, daily, totals })
    }

    async fn usage_status(&self, _: NoParams) -> Result<UsageStatus, ApiError> {
        let window = |it: Standing| {
            let label = it.limit;
            Some(UsageWindow { label, used_percent: it.percent, reset_at: it.resets_at? })
        };
        let standings = usage::standings(self)?.into_iter();
        let own = standings.filter(|it| it.level == Level::Tenant);
        let windows: Vec<_> = own.filter_map(window).collect();
        let limits = ProviderUsage { provider: NAME, display_name: "Gateway limits", windows };
        let providers = if limits.windows.is_empty() { Vec::new() } else { vec![limits] };
        Ok(UsageStatus { updated_at: self.parts.clock.now(), providers })
    }

    async fn environments(&self, _: EnvironmentsParams) -> Result<Environments, ApiError> {
        Ok(Environments::default())
    }

    async fn worktrees(&self, _: NoParams) -> Result<Worktrees, ApiError> {
        Ok(Worktrees::default())
    }

    async fn audit(&self, params: AuditParams) -> Result<Audit, ApiError> {
        within("limit", params.limit, 500)?;
        Ok(Audit::default())
    }

    async fn activity(&self, params: ActivityParams) -> Result<Audit, ApiError> {
        within("limit", params.limit, 500)?;
        Ok(Audit::default())
    }

    async fn secrets(&self, _: NoParams) -> Result<Secrets, ApiError> {
        Ok(Secrets::default())
    }
}

fn key(session_key: String) -> Result<String, ApiError> {
    if session_key.is_empty() || session_key.len() > MAX_KEY {
        return Err(ApiError::invalid(format!("sessionKey must have 1 to {MAX_KEY} bytes")));
    }
    Ok(session_key)
}

/// Whether a text is not too long.
pub(crate) fn text(name: &str, value: Option<&str>) -> Result<(), ApiError> {
    let fits = value.is_none_or(|value| value.len() <= MAX_TEXT);
    if fits {
        Ok(())
    } else {
        Err(ApiError::invalid(format!("{name} must have at most {MAX_TEXT} bytes")))
    }
}

/// Whether a number is within its bounds.
pub(crate) fn within(name: &str, value: Option<u16>, most: u16) -> Result<(), ApiError> {
    let fits = value.is_none_or(|value| (1..=most).contains(&value));
    if fits { Ok(()) } else { Err(ApiError::invalid(format!("{name} must be 1 to {most}"))) }
}

/// The first day, the last one, and how many that are.
fn range(params: &CostParams, now: u64) -> Result<(Date, Date, u16), ApiError> {
    let invalid = |name: &str| ApiError::invalid(format!("{name} must be a day, as 2026-11-22"));
    let day = |name: &str, text: &Option<String>| match text {
        Some(text) => text.parse::<Date>().map(Some).map_err(|_why| invalid(name)),
        None => Ok(None),
    };
    within("days", params.days, MAX_DAYS)?;
    let now = i64::try_from(now).ok().and_then(|now| jiff::Timestamp::from_millisecond(now).ok());
    let today = now.unwrap_or_default().to_zoned(TimeZone::UTC).date();
    let last = day("endDate", &params.end_date)?.unwrap_or(today);
    let first = if let Some(first) = day("startDate", &params.start_date)? {
        first
    } else {
        let back = i64::from(params.days.unwrap_or(DAYS)).saturating_sub(1);
        last.checked_sub(back.days()).map_err(|_why| invalid("endDate"))?
    };
    let between = (last - first).get_days();
    match u16::try_from(between.saturating_add(1)) {
        Ok(days) if (1..=MAX_DAYS).contains(&days) => Ok((first, last, days)),
        Ok(_) | Err(_) => {
            Err(ApiError::invalid(format!("startDate to endDate must be 1 to {MAX_DAYS} days")))
        }
    }
}

fn used(amount: &Amount) -> Used {
    Used {
        input: amount.input_tokens.saturating_sub(amount.cached_tokens),
        output: amount.output_tokens,
        cache_read: amount.cached_tokens,
        total_tokens: amount.tokens(),
        total_cost: dollars(amount.cost_micros),
        ..Used::default()
    }
}

/// A day as the books name it.
fn day(date: Date) -> Result<ledger::Day, ApiError> {
    let invalid = |_why| ApiError::invalid("days begin with 1970-01-01");
    date.to_string().parse().map_err(invalid)
}

/// Micro-dollars as dollars; a day's cost beyond four billion dollars is told as that.
fn dollars(micros: u64) -> f64 {
    let whole = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
    let rest = u32::try_from(micros % 1_000_000).unwrap_or_default();
    f64::from(whole) + f64::from(rest) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_days_are_meant() {
        let now = 1_795_000_000_000; // 2026-11-18
        let check = |params: &str, expected: Result<(&str, &str, u16), &str>| {
            let params: CostParams = serde_json::from_str(params).unwrap();
            let found = range(&params, now).map(|(a, b, n)| (a.to_string(), b.to_string(), n));
            match (found, expected) {
                (Ok(found), Ok((a, b, n))) => assert_eq!(found, (a.to_owned(), b.to_owned(), n)),
                (Err(found), Err(part)) => assert!(found.message.contains(part), "{found:?}"),
                (found, expected) => panic!("{params:?}: {found:?}, expected {expected:?}"),
            }
        };
        check("{}", Ok(("2026-10-20", "2026-11-18", 30)));
        check(r#"{"days":1}"#, Ok(("2026-11-18", "2026-11-18", 1)));
        check(
            r#"{"startDate":"2026-11-01","endDate":"2026-11-03"}"#,
            Ok(("2026-11-01", "2026-11-03", 3)),
        );
        check(r#"{"days":0}"#, Err("days"));
        check(r#"{"days":400}"#, Err("days"));
        check(r#"{"startDate":"2020-11-01"}"#, Err("366 days"));
        check(r#"{"startDate":"2026-11-30"}"#, Err("366 days"));
        check(r#"{"endDate":"yesterday"}"#, Err("endDate"));
    }

    #[test]
    fn what_was_paid() {
        let check = |micros: u64, expected: f64| {
            assert!((dollars(micros) - expected).abs() < 1e-9, "{micros}");
        };
        check(0, 0.0);
        check(1, 0.000_001);
        check(2_500_000, 2.5);
    }
}
