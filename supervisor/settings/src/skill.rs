//! Keys and variables of skills: sealed, told of as set or not, and opened for nobody but whoever
//! uses them for their tenant. The operator's own come first unless the operator says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use types::{Secret, TenantId, UnixMillis};

use crate::schema::is_name;
use crate::vault::MAX_SECRET;
use crate::{Changed, Error, PlatformKeys, Settings};

/// The kind under which they are sealed.
pub(crate) const KIND: &str = "skill";

/// Variables of one change.
const MAX_ENV: usize = 32;

/// Bytes of the name of a variable.
const MAX_ENV_NAME: usize = 64;

/// What of a skill shall be different.
#[derive(Debug, Default)]
pub struct SkillChange {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Its key; empty for none.
    pub api_key: Option<Secret>,
    /// Its variables; an empty one is removed.
    pub env: BTreeMap<String, Secret>,
}

/// What a tenant's clients may know of a skill's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillView {
    /// Whether it may be used; yes where nothing is said.
    pub enabled: Option<bool>,
    /// Whether there is a key.
    pub has_api_key: bool,
    /// The variables that are set.
    pub env: Vec<String>,
}

/// What a skill is run with.
#[derive(Debug, Default)]
pub struct SkillSecrets {
    /// Its key.
    pub api_key: Option<Secret>,
    /// Its variables.
    pub env: BTreeMap<String, Secret>,
}

/// What is set of each skill.
pub(crate) type Set = BTreeMap<String, SetOf>;

/// What is set of one skill.
#[derive(Debug, Default)]
pub(crate) struct SetOf {
    pub(crate) api_key: bool,
    pub(crate) env: BTreeSet<String>,
}

impl Settings {
    /// Changes the settings of one skill.
    ///
    /// # Errors
    /// When a name or value cannot be kept, or the operator keeps it.
    pub async fn update_skill(
        &self,
        tenant: &TenantId,
        skill: &str,
        change: SkillChange,
        now: UnixMillis,
    ) -> Result<Changed, Error> {
        if !is_name(skill) {
            let problem = "1 to 64 letters, digits, - _ : @ or +, or dots between them".to_owned();
            return Err(Error::Skill { path: "skillKey".to_owned(), problem });
        }
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        if change.env.len() > MAX_ENV {
            let problem = format!("at most {MAX_ENV} variables at once");
            return Err(Error::Skill { path: "env".to_owned(), problem });
        }
        let key = change.api_key.map(|secret| (None, secret));
        let env = change.env.into_iter().map(|(name, secret)| (Some(name), secret));
        for (name, secret) in key.into_iter().chain(env) {
            self.may_set(skill, name.as_deref(), &secret)?;
            let place = place(skill, name.as_deref());
            if secret.expose().trim().is_empty() {
                removed.push(place);
            } else {
                put.push((place, secret));
            }
        }
        if !put.is_empty() || !removed.is_empty() {
            let written = self.0.vault.write(tenant, KIND, &put, &removed).await;
            written.map_err(Error::Vault)?;
        }
        let mut changed = match change.enabled {
            Some(enabled) => self.switch_skill(tenant, skill, enabled, now).await?,
            None => Changed { hash: self.own(tenant).await?.hash(), ..Changed::default() },
        };
        for place in put.into_iter().map(|(place, _)| place).chain(removed) {
            let variable = place.contains("/env/");
            let what = if variable { "env.*" } else { "apiKey" };
            changed.patterns.push(format!("skills.entries.*.{what}"));
        }
        Ok(changed)
    }

    /// What is set of one skill.
    pub async fn skill(&self, tenant: &TenantId, skill: &str) -> Result<SkillView, Error> {
        let own = self.own(tenant).await?;
        let holding = crate::merge::merge(&self.0.platform.defaults, &own.value);
        let entry = holding.get("skills").and_then(|it| it.get("entries")?.get(skill));
        let enabled = entry.and_then(|it| it.get("enabled")?.as_bool());
        let set = self.secrets_set(tenant).await?.remove(skill).unwrap_or_default();
        Ok(SkillView { enabled, has_api_key: set.api_key, env: set.env.into_iter().collect() })
    }

    /// What a skill of `tenant` is run with. Each caller is a place to look at in a review.
    pub async fn skill_secrets(
        &self,
        tenant: &TenantId,
        skill: &str,
    ) -> Result<SkillSecrets, Error> {
        let mut secrets = SkillSecrets::default();
        let set = self.secrets_set(tenant).await?.remove(skill).unwrap_or_default();
        if set.api_key {
            secrets.api_key = self.secret(tenant, skill, None).await?;
        }
        for name in set.env {
            if let Some(secret) = self.secret(tenant, skill, Some(&name)).await? {
                secrets.env.insert(name, secret);
            }
        }
        Ok(secrets)
    }

    /// The variables that `tenant` itself has set for a skill. The operator's are not among them: a
    /// program can print its environment, and nobody may read those.
    pub async fn own_skill_env(
        &self,
        tenant: &TenantId,
        skill: &str,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        let mut env = BTreeMap::new();
        let set = self.secrets_set(tenant).await?.remove(skill).unwrap_or_default();
        let keys = self.0.platform.keys.get(skill);
        for name in set.env {
            let platforms = keys.is_some_and(|it| it.secret(Some(&name)).is_some());
            let replaced = keys.is_some_and(|it| it.tenant_may_replace);
            if platforms && !replaced {
                continue;
            }
            let own = self.0.vault.read(tenant, KIND, &place(skill, Some(&name))).await;
            if let Some(secret) = own.map_err(Error::Vault)? {
                env.insert(name, secret);
            }
        }
        Ok(env)
    }

    async fn secret(
        &self,
        tenant: &TenantId,
        skill: &str,
        variable: Option<&str>,
    ) -> Result<Option<Secret>, Error> {
        let keys = self.0.platform.keys.get(skill);
        let platforms = keys.and_then(|keys| keys.secret(variable));
        if let Some(secret) = platforms.filter(|_| keys.is_none_or(|it| !it.tenant_may_replace)) {
            return Ok(Some(secret.clone()));
        }
        let own = self.0.vault.read(tenant, KIND, &place(skill, variable)).await;
        Ok(own.map_err(Error::Vault)?.or_else(|| platforms.cloned()))
    }

    /// The keys and variables that skills have, the operator's too.
    pub(crate) async fn secrets_set(&self, tenant: &TenantId) -> Result<Set, Error> {
        let mut set = Set::new();
        for name in self.0.vault.names(tenant).await.map_err(Error::Vault)? {
            let mut parts = name.split('/');
            let (Some(KIND), Some(skill)) = (parts.next(), parts.next()) else { continue };
            let of = set.entry(skill.to_owned()).or_default();
            match (parts.next(), parts.next()) {
                (Some("apiKey"), None) => of.api_key = true,
                (Some("env"), Some(name)) => {
                    of.env.insert(name.to_owned());
                }
                _ => {}
            }
        }
        for (skill, keys) in &self.0.platform.keys {
            let of = set.entry(skill.clone()).or_default();
            of.api_key |= keys.api_key.is_some();
            of.env.extend(keys.env.keys().cloned());
        }
        Ok(set)
    }

    /// Whether a tenant may set a key or variable to this.
    fn may_set(&self, skill: &str, variable: Option<&str>, secret: &Secret) -> Result<(), Error> {
        let what = variable.map_or_else(|| "apiKey".to_owned(), |name| format!("env.{name}"));
        let path = format!("skills.entries.{skill}.{what}");
        let fail = |problem: String| Err(Error::Skill { path: what.clone(), problem });
        if !variable.is_none_or(is_variable) {
            let problem = format!("a variable has 1 to {MAX_ENV_NAME} letters, digits or _");
            return Err(Error::Skill { path: "env".to_owned(), problem });
        }
        if secret.expose().len() > MAX_SECRET {
            return fail(format!("at most {MAX_SECRET} bytes"));
        }
        if secret.expose().contains('\0') {
            return fail("no zero byte".to_owned());
        }
        let keeps = |it: &PlatformKeys| !it.tenant_may_replace && it.secret(variable).is_some();
        if self.0.platform.keys.get(skill).is_some_and(keeps) {
            return Err(Error::Platform { path });
        }
        Ok(())
    }
}

impl PlatformKeys {
    /// The skill's key, or one of its variables.
    fn secret(&self, variable: Option<&str>) -> Option<&Secret> {
        match variable {
            None => self.api_key.as_ref(),
            Some(name) => self.env.get(name),
        }
    }
}

/// Under which name a skill's key or variable is sealed.
fn place(skill: &str, variable: Option<&str>) -> String {
    match variable {
        None => format!("{KIND}/{skill}/apiKey"),
        Some(name) => format!("{KIND}/{skill}/env/{name}"),
    }
}

/// Whether a skill may have this key.
pub fn is_skill(name: &str) -> bool {
    is_name(name)
}

/// Whether a variable of a skill may be called this.
pub fn is_variable(name: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    (1..=MAX_ENV_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(|it: char| it.is_ascii_digit())
}
