//! Whether a skill can be used: what it needs against what there is. Pure.

use std::collections::BTreeSet;

use api::skills::{ConfigCheck, InstallOption, Requirements, SkillStatus};
use serde_json::Value;

use super::file::{SkillFile, Way};
use super::scan::{FILE, Origin};
use super::settings::{Entry, SkillSettings};
use crate::settings::Current;

/// What a worker runs on, in the words of skills.
const OS: &str = "linux";

/// What there is.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    settings: &'a SkillSettings,
    /// The skills that agents may use; all where nothing is said.
    filter: Option<&'a [String]>,
    config: Value,
    /// The programs that sandboxes have.
    bins: &'a BTreeSet<String>,
}

impl<'a> Gate<'a> {
    /// What there is with these settings.
    pub(super) fn new(now: &'a Current, bins: &'a BTreeSet<String>) -> Self {
        let (settings, agents) = (&now.settings.skills, &now.settings.agents);
        // They were read once already, when they came.
        let config = serde_json::from_slice(&now.text).unwrap_or_default();
        Self { settings, filter: agents.defaults.skills.as_deref(), config, bins }
    }

    /// One skill's state.
    pub(super) fn judge(&self, file: &SkillFile, origin: Origin, folder: &str) -> SkillStatus {
        let nothing = Entry::default();
        let key = file.key();
        let entry = self.settings.entries.get(key).unwrap_or(&nothing);
        let requirements = requirements(file);
        let missing = self.missing(file, entry);
        let bundled = origin == Origin::Platform;
        let disabled = entry.enabled == Some(false);
        let allowed = &self.settings.allow_bundled;
        let named = |list: &[String]| list.iter().any(|name| *name == file.name || name == key);
        let blocked_by_allowlist = bundled && !allowed.is_empty() && !named(allowed);
        let blocked_by_agent_filter = self.filter.is_some_and(|filter| !named(filter));
        let complete = missing == Requirements::default();
        let has_all = complete || (file.meta.always && missing.os.is_empty());
        let eligible = !disabled && !blocked_by_allowlist && !blocked_by_agent_filter && has_all;
        let check =
            |path: &String| ConfigCheck { path: path.clone(), satisfied: self.is_set(path) };
        SkillStatus {
            name: file.name.clone(),
            description: file.description.clone(),
            source: match origin {
                Origin::Workspace => "openclaw-workspace",
                Origin::Tenant => "openclaw-managed",
                Origin::Platform => "openclaw-bundled",
            },
            bundled,
            file_path: format!("{folder}/{FILE}"),
            base_dir: folder.to_owned(),
            skill_key: key.to_owned(),
            emoji: file.meta.emoji.clone(),
            homepage: file.homepage.clone(),
            primary_env: file.meta.primary_env.clone(),
            always: file.meta.always,
            disabled,
            blocked_by_allowlist,
            blocked_by_agent_filter,
            eligible,
            model_visible: eligible && !file.hidden_from_model,
            user_invocable: file.user_invocable,
            command_visible: eligible && file.user_invocable,
            config_checks: file.meta.requires.config.iter().map(check).collect(),
            install: install(file),
            requirements,
            missing,
        }
    }

    fn missing(&self, file: &SkillFile, entry: &Entry) -> Requirements {
        let requires = &file.meta.requires;
        let has_bin = |name: &String| self.bins.contains(name);
        let has_env = |name: &String| {
            let keyed = entry.has_api_key && file.meta.primary_env.as_ref() == Some(name);
            keyed
                || entry
                    .env
                    .get(name)
                    .is_some_and(|it| !matches!(it, Value::Null | Value::Bool(false)))
        };
        let without = |names: &[String], has: &dyn Fn(&String) -> bool| {
            names.iter().filter(|name| !has(name)).cloned().collect::<Vec<_>>()
        };
        let one_of = |names: &[String], has: bool| if has { Vec::new() } else { names.to_vec() };
        let any = requires.any_bins.iter().any(has_bin);
        Requirements {
            bins: without(&requires.bins, &has_bin),
            any_bins: one_of(&requires.any_bins, any),
            env: without(&requires.env, &has_env),
            config: without(&requires.config, &|path| self.is_set(path)),
            os: one_of(&file.meta.os, fits(&file.meta.os)),
        }
    }

    /// Whether the settings have something at a path like `channels.slack.enabled`.
    fn is_set(&self, path: &str) -> bool {
        let found = path.split('.').try_fold(&self.config, |at, name| at.get(name));
        match found {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => true,
        }
    }
}

fn fits(os: &[String]) -> bool {
    os.is_empty() || os.iter().any(|os| os == OS)
}

fn requirements(file: &SkillFile) -> Requirements {
    let requires = &file.meta.requires;
    Requirements {
        bins: requires.bins.clone(),
        any_bins: requires.any_bins.clone(),
        env: requires.env.clone(),
        config: requires.config.clone(),
        os: file.meta.os.clone(),
    }
}

fn install(file: &SkillFile) -> Vec<InstallOption> {
    let option = |(id, way): (String, &Way)| InstallOption {
        id,
        kind: way.kind.clone(),
        label: way.label.clone().unwrap_or_else(|| format!("Install with {}", way.kind)),
        bins: way.bins.clone(),
    };
    ways(file).map(option).collect()
}

/// The ways to install what a skill needs here, each with the id that it is chosen by.
pub(super) fn ways(file: &SkillFile) -> impl Iterator<Item = (String, &Way)> {
    let ways = file.meta.install.iter().enumerate().filter(|(_, way)| fits(&way.os));
    ways.map(|(at, way)| (way.id.clone().unwrap_or_else(|| format!("{}-{at}", way.kind)), way))
}
