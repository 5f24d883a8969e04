//! Changes of what a tenant has set: checked as a whole, then stored as a whole.

use records::Overlay;
use serde_json::{Map, Value, json};
use types::{TenantId, UnixMillis};

use crate::effective::{Own, hash};
use crate::merge::{self, ReplacePaths, diff, leaves};
use crate::redact::restore;
use crate::{Error, Settings, check, overlay, schema};

/// How often a change that is based on nothing in particular is made anew because another was
/// faster.
const TRIES: usize = 8;

/// What a change came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// What names the new state.
    pub hash: String,
    /// The paths of what is different, as the tenant names them.
    pub paths: Vec<String>,
    /// The same with a star for what the tenant has named: fit for a log.
    pub patterns: Vec<String>,
}

impl Changed {
    /// Whether nothing is different.
    pub const fn is_noop(&self) -> bool {
        self.paths.is_empty()
    }
}

impl Settings {
    /// Replaces all that `tenant` has set by what the JSON5 text `raw` says. Where something is set,
    /// `base` must name it.
    ///
    /// # Errors
    /// When the text cannot be read or says what is not allowed, or is based on something older.
    pub async fn set(
        &self,
        tenant: &TenantId,
        raw: &str,
        base: Option<&str>,
        now: UnixMillis,
    ) -> Result<Changed, Error> {
        let own = self.own(tenant).await?;
        based(&own, base)?;
        let said = overlay::parse(raw)?;
        let new = restore(&said, &own.value, &self.0.platform.defaults)?;
        valid(&new)?;
        let text = if new == said { raw.to_owned() } else { overlay::rewrite(raw, &said, &new) };
        let stored = self.store(tenant, &own, text, &new, now).await?;
        stored.ok_or(Error::Stale)
    }

    /// Applies the JSON5 text `raw` to what `tenant` has set: null removes, objects are merged, as
    /// are lists whose entries have ids, unless their path is in `replace`. Everything else is
    /// replaced.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub async fn patch(
        &self,
        tenant: &TenantId,
        raw: &str,
        replace: ReplacePaths,
        base: Option<&str>,
        now: UnixMillis,
    ) -> Result<Changed, Error> {
        let own = self.own(tenant).await?;
        based(&own, base)?;
        let patch = restore(&overlay::parse(raw)?, &own.value, &self.0.platform.defaults)?;
        let new = merge::patch(&own.value, &patch, &replace);
        valid(&new)?;
        let text = own.rewritten(&new);
        self.store(tenant, &own, text, &new, now).await?.ok_or(Error::Stale)
    }

    /// Switches a skill on or off.
    pub(crate) async fn switch_skill(
        &self,
        tenant: &TenantId,
        skill: &str,
        enabled: bool,
        now: UnixMillis,
    ) -> Result<Changed, Error> {
        let patch = json!({"skills": {"entries": {skill: {"enabled": enabled}}}});
        for _ in 0..TRIES {
            let own = self.own(tenant).await?;
            let new = merge::patch(&own.value, &patch, &ReplacePaths::new());
            valid(&new)?;
            let text = own.rewritten(&new);
            if let Some(changed) = self.store(tenant, &own, text, &new, now).await? {
                return Ok(changed);
            }
        }
        Err(Error::Stale)
    }

    /// Stores `text`, which says `new`, found valid, if what is stored is still `own`.
    async fn store(
        &self,
        tenant: &TenantId,
        own: &Own,
        text: String,
        new: &Value,
        now: UnixMillis,
    ) -> Result<Option<Changed>, Error> {
        if text.len() > overlay::MAX_BYTES {
            return Err(overlay::Malformed::TooLong.into());
        }
        let nothing = Map::new();
        let difference =
            diff(own.value.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
        let paths = leaves(&difference);
        let mut patterns: Vec<_> = paths.iter().map(|it| schema::pattern(it)).collect();
        patterns.dedup();
        let hash = hash(&text);
        let changed = Changed {
            hash: hash.clone(),
            paths: paths.iter().map(|it| it.join(".")).collect(),
            patterns,
        };
        let expected = own.overlay.as_ref().map(|it| it.hash.as_str());
        let new = Overlay { raw: text, hash, updated_at: now };
        let stored = self.0.records.replace_overlay(tenant, expected, &new).await;
        Ok(stored.map_err(Error::Records)?.then_some(changed))
    }
}

impl Own {
    /// The tenant's text, saying `new`.
    fn rewritten(&self, new: &Value) -> String {
        match &self.overlay {
            Some(overlay) if self.issues.is_empty() => {
                overlay::rewrite(&overlay.raw, &self.value, new)
            }
            _ => overlay::rewrite("{}\n", &Value::Object(Map::new()), new),
        }
    }
}

/// Whether `new` may be set; asked before a text is made of it, which costs more.
fn valid(new: &Value) -> Result<(), Error> {
    let issues = check(new);
    if issues.is_empty() { Ok(()) } else { Err(Error::Invalid(issues)) }
}

/// Whether a change is based on what is stored.
fn based(own: &Own, base: Option<&str>) -> Result<(), Error> {
    match base {
        Some(base) if base == own.hash() => Ok(()),
        Some(_) => Err(Error::Stale),
        None if own.overlay.is_none() => Ok(()),
        None => Err(Error::NeedsHash),
    }
}
