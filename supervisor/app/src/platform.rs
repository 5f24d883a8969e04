//! What the operator has set for all tenants: their default settings, the platform's skills, and the
//! keys of skills. Read and checked before privilege is dropped; nothing is looked at again later.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use settings::{MAX_SKILL, MAX_SKILLS, MAX_SKILLS_BYTES, PlatformKeys};
use types::Secret;

use crate::config::Config;
use crate::secrets::{self, Source};

/// What a skill's folder must have.
const FILE: &str = "SKILL.md";

/// Entries of the folder that are looked at; beyond these it is a wrong folder.
const MAX_ENTRIES: usize = 1024;

/// The platform's skills.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Skills {
    /// A folder with a folder for each skill that all tenants have, a `SKILL.md` in each: at most
    /// 64, of at most 64 KiB each and 1 MiB together.
    pub folder: Option<PathBuf>,
    /// Keys of skills, by the key of the skill. Tenants may use them and cannot read them.
    pub entries: BTreeMap<String, SkillEntry>,
}

/// The keys of one skill.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SkillEntry {
    /// Where its key comes from.
    pub api_key: Option<Source>,
    /// Where its variables come from.
    pub env: BTreeMap<String, Source>,
    /// Whether what a tenant sets takes their place for that tenant.
    pub tenant_may_replace: bool,
}

/// What the operator has set and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("skills.folder: {path} cannot be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder is not what it should be.
    #[error("skills.folder: {path} {problem}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A secret cannot be had.
    #[error("skills.entries.{skill}.{what}")]
    Secret {
        /// Of which skill.
        skill: String,
        /// `apiKey`, or `env.` and the variable.
        what: String,
        /// Why.
        #[source]
        source: secrets::Error,
    },
}

/// What holds for all tenants.
///
/// # Errors
/// When a skill or a secret cannot be had.
pub(crate) fn read(config: &Config) -> Result<settings::Platform, Error> {
    let skills = config.skills.folder.as_deref().map_or_else(|| Ok(Vec::new()), folder)?;
    let skills = skills.into_iter().map(|(name, text)| (name, text.into())).collect();
    let mut keys = BTreeMap::new();
    for (skill, entry) in &config.skills.entries {
        keys.insert(skill.clone(), entry.fetch(skill)?);
    }
    let defaults = Value::Object(config.tenant_defaults.clone());
    Ok(settings::Platform { defaults, skills, keys })
}

/// What is wrong with what can be judged without reading anything.
pub(crate) fn mistakes(defaults: &Map<String, Value>, skills: &Skills, mistakes: &mut Vec<String>) {
    for issue in settings::check(&Value::Object(defaults.clone())) {
        mistakes.push(format!("tenantDefaults.{}: {}", issue.path, issue.message));
    }
    for (skill, entry) in &skills.entries {
        if !settings::is_skill(skill) {
            mistakes.push(format!("skills.entries.{skill}: no skill has such a key"));
        }
        for name in entry.env.keys().filter(|name| !settings::is_variable(name)) {
            mistakes.push(format!("skills.entries.{skill}.env.{name}: no variable is called so"));
        }
    }
}

impl SkillEntry {
    fn fetch(&self, skill: &str) -> Result<PlatformKeys, Error> {
        let fetch = |what: String, source: &Source| -> Result<Secret, Error> {
            let fail = |source| Error::Secret { skill: skill.to_owned(), what, source };
            source.fetch().map_err(fail)
        };
        let key = self.api_key.as_ref().map(|source| fetch("apiKey".to_owned(), source));
        let mut env = BTreeMap::new();
        for (name, source) in &self.env {
            env.insert(name.clone(), fetch(format!("env.{name}"), source)?);
        }
        Ok(PlatformKeys {
            api_key: key.transpose()?,
            env,
            tenant_may_replace: self.tenant_may_replace,
        })
    }
}

/// Folder name and `SKILL.md` of a skill.
type NamedSkill = (String, Vec<u8>);

/// Every skill, in the order of their names.
fn folder(path: &Path) -> Result<Vec<NamedSkill>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    trusted(path, &std::fs::metadata(path).map_err(read)?)?;
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        if folders.len() >= MAX_ENTRIES {
            return Err(unusable(path, format!("has more than {MAX_ENTRIES} entries")));
        }
        folders.push(entry.map_err(read)?.path());
    }
    folders.sort();
    let (mut skills, mut total) = (Vec::new(), 0_usize);
    for folder in folders {
        let file = folder.join(FILE);
        let Some(text) = skill(&file)? else { continue };
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unusable(&folder, "has a name that is not UTF-8"))?;
        total = total.saturating_add(text.len());
        if skills.len() >= MAX_SKILLS {
            return Err(unusable(path, format!("has more than {MAX_SKILLS} skills")));
        }
        if total > MAX_SKILLS_BYTES {
            let problem = format!("has more than {MAX_SKILLS_BYTES} bytes of {FILE} together");
            return Err(unusable(path, problem));
        }
        skills.push((name.to_owned(), text));
    }
    Ok(skills)
}

/// The text of a `SKILL.md`, if it is there.
fn skill(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Non-blocking, because a pipe of this name must not hold up the start.
    let mut options = File::options();
    options.read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(err)
            if matches!(
                err.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(err) => return Err(read(err)),
    };
    let stat = file.metadata().map_err(read)?;
    trusted(path, &stat)?;
    if !stat.is_file() {
        return Err(unusable(path, "is no file"));
    }
    let bound = u64::try_from(MAX_SKILL).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    file.take(bound).read_to_end(&mut text).map_err(read)?;
    if text.len() > MAX_SKILL {
        return Err(unusable(path, format!("has more than {MAX_SKILL} bytes")));
    }
    Ok(Some(text))
}

/// What others could have written would be told to every tenant's model.
fn trusted(path: &Path, stat: &Metadata) -> Result<(), Error> {
    let ours = stat.uid() == 0 || stat.uid() == nix::unistd::geteuid().as_raw();
    if ours && stat.mode() & 0o022 == 0 {
        return Ok(());
    }
    let problem =
        "must belong to root or the user who starts the gateway, and be writable by nobody else";
    Err(unusable(path, problem))
}

fn unusable(path: &Path, problem: impl Into<String>) -> Error {
    Error::Unusable { path: path.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn make(root: &Path, name: &str, text: &[u8]) -> PathBuf {
        let file = root.join(name).join(FILE);
        std::fs::create_dir_all(root.join(name)).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        file
    }

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        root
    }

    fn refused(root: &Path, wanted: &str) {
        let err = types::Chain(&folder(root).unwrap_err()).to_string();
        assert!(err.contains(wanted), "{err}");
    }

    #[test]
    fn skills_are_read_within_bounds() {
        let root = root();
        make(root.path(), "b", b"two");
        let file = make(root.path(), "a", b"one");
        std::fs::create_dir(root.path().join("empty")).unwrap();
        std::fs::write(root.path().join("README"), "").unwrap();
        let read = folder(root.path()).unwrap();
        let read: Vec<_> = read.iter().map(|(name, text)| (name.as_str(), &text[..])).collect();
        assert_eq!(read, [("a", &b"one"[..]), ("b", b"two")]);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
        refused(root.path(), "writable by nobody else");
        make(root.path(), "a", &vec![0; MAX_SKILL + 1]);
        refused(root.path(), "a/SKILL.md has more than 65536 bytes");
        refused(&root.path().join("none"), "cannot be read");
    }

    #[test]
    fn there_are_not_too_many_skills() {
        let small = root();
        for number in 0..=MAX_SKILLS {
            make(small.path(), &format!("s{number}"), b"");
        }
        refused(small.path(), "more than 64 skills");
        let large = root();
        for number in 0..=MAX_SKILLS_BYTES / MAX_SKILL {
            make(large.path(), &format!("s{number}"), &vec![0; MAX_SKILL]);
        }
        refused(large.path(), "bytes of SKILL.md together");
    }

    #[test]
    fn keys_are_fetched() {
        let root = root();
        let file = root.path().join("key");
        std::fs::write(&file, "hunter2\n").unwrap();
        let text = format!(
            "{{ tenantDefaults: {{ cron: {{ enabled: false }} }}, skills: {{ entries: {{ maps: {{ apiKey: {{ file: '{}' }}, tenantMayReplace: true }} }} }} }}",
            file.display()
        );
        let platform = read(&Config::parse(&text, "test").unwrap()).unwrap();
        let maps = &platform.keys["maps"];
        assert_eq!(maps.api_key.as_ref().unwrap().expose(), "hunter2");
        assert!(maps.tenant_may_replace && !format!("{platform:?}").contains("hunter2"));
        assert_eq!(platform.defaults["cron"]["enabled"], false);
        let missing = text.replace("/key'", "/none'");
        let err = read(&Config::parse(&missing, "test").unwrap()).unwrap_err();
        assert_eq!(err.to_string(), "skills.entries.maps.apiKey");
    }
}
