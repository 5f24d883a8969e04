//! What holds for a tenant, as its worker and its clients are told of it: without a secret.

use bytes::Bytes;
use records::Overlay;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use types::TenantId;

use crate::merge::merge;
use crate::redact::{SENTINEL, redact};
use crate::skill::Set;
use crate::{Error, Issue, Settings, check, overlay};

/// What holds for one tenant, without a secret.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    /// JSON. Of the keys and variables of skills it says which there are.
    pub settings: Bytes,
    /// Folder name and `SKILL.md` of each skill of the platform.
    pub skills: Vec<(String, Bytes)>,
}

/// What a tenant's clients may see of its settings.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whether the tenant has set anything.
    pub exists: bool,
    /// What it has set, as it wrote it, with the placeholder in place of secrets.
    pub raw: Option<String>,
    /// What that says, likewise.
    pub parsed: Value,
    /// What holds with the operator's settings beneath, likewise.
    pub config: Value,
    /// What names this state of what the tenant has set.
    pub hash: String,
    /// What is wrong with what the tenant has set: nothing, unless another version stored it.
    pub issues: Vec<Issue>,
}

/// What a tenant has set.
pub(crate) struct Own {
    pub(crate) overlay: Option<Overlay>,
    /// What it says; empty where nothing is set or it cannot be read.
    pub(crate) value: Value,
    pub(crate) issues: Vec<Issue>,
}

impl Own {
    pub(crate) fn hash(&self) -> String {
        self.overlay.as_ref().map_or_else(|| hash(""), |it| it.hash.clone())
    }
}

/// How skills' keys are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Worker,
    Client,
}

impl Settings {
    /// What holds for `tenant` now.
    pub async fn effective(&self, tenant: &TenantId) -> Result<Effective, Error> {
        let own = self.own(tenant).await?;
        let settings = self.holding(tenant, &own.value, Reader::Worker).await?;
        let skills = self.0.platform.skills.clone();
        Ok(Effective { settings: settings.to_string().into(), skills })
    }

    /// What `tenant`'s clients may see of its settings now.
    pub async fn snapshot(&self, tenant: &TenantId) -> Result<Snapshot, Error> {
        let own = self.own(tenant).await?;
        let config = self.holding(tenant, &own.value, Reader::Client).await?;
        let (hash, parsed) = (own.hash(), redact(&own.value));
        let Own { overlay, value, issues } = own;
        let raw = overlay.map(|it| {
            if issues.is_empty() {
                overlay::rewrite(&it.raw, &value, &parsed)
            } else {
                "{}\n".to_owned()
            }
        });
        Ok(Snapshot { exists: raw.is_some(), raw, parsed, config, hash, issues })
    }

    /// What `tenant` has set.
    pub(crate) async fn own(&self, tenant: &TenantId) -> Result<Own, Error> {
        let overlay = self.0.records.overlay(tenant).await.map_err(Error::Records)?;
        let empty = || Value::Object(Map::new());
        let (value, issues) = match overlay.as_ref().map(|it| overlay::parse(&it.raw)) {
            None => (empty(), Vec::new()),
            Some(Ok(value)) => {
                let issues = check(&value);
                if issues.is_empty() { (value, issues) } else { (empty(), issues) }
            }
            Some(Err(err)) => {
                (empty(), vec![Issue { path: String::new(), message: err.to_string() }])
            }
        };
        if !issues.is_empty() {
            tracing::warn!(%tenant, "a tenant's settings are from another version and do not hold");
        }
        Ok(Own { overlay, value, issues })
    }

    /// What `own` comes to above the operator's settings.
    async fn holding(
        &self,
        tenant: &TenantId,
        own: &Value,
        reader: Reader,
    ) -> Result<Value, Error> {
        let mut holding = redact(&merge(&self.0.platform.defaults, own));
        let set = self.secrets_set(tenant).await?;
        if let Value::Object(members) = &mut holding {
            show(members, &set, reader);
        }
        Ok(holding)
    }
}

/// Says which keys and variables of skills are set.
fn show(settings: &mut Map<String, Value>, set: &Set, reader: Reader) {
    for (skill, set) in set {
        let Some(entry) = ["skills", "entries", skill.as_str()]
            .into_iter()
            .try_fold(&mut *settings, |at, name| {
                at.entry(name).or_insert_with(|| json!({})).as_object_mut()
            })
        else {
            continue;
        };
        let there = if reader == Reader::Worker { Value::from(true) } else { SENTINEL.into() };
        if set.api_key {
            let name = if reader == Reader::Worker { "hasApiKey" } else { "apiKey" };
            entry.insert(name.to_owned(), there.clone());
        }
        if !set.env.is_empty() {
            let env: Map<_, _> = set.env.iter().map(|name| (name.clone(), there.clone())).collect();
            entry.insert("env".to_owned(), Value::Object(env));
        }
    }
}

/// What names a text.
pub(crate) fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hash, byte| {
        // Writing to a string cannot fail.
        write!(hash, "{byte:02x}").unwrap_or_default();
        hash
    })
}
