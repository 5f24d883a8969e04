//! One `SKILL.md` as its author wrote it. Pure: bytes in, a skill or the reason why not out.

use serde::{Deserialize, Deserializer};

use super::front::{Front, InvalidFront};

/// Bytes of a `SKILL.md`.
pub(super) const MAX_FILE: usize = 64 << 10;

/// Bytes of a name or a key, and of any other name in a skill's metadata.
const MAX_NAME: usize = 128;

/// Bytes of a description that are shown.
const MAX_DESCRIPTION: usize = 1024;

/// Names in one list, and ways to install.
const MAX_LIST: usize = 64;

/// Opening brackets in the metadata, those in strings included: the reader goes one call deeper at
/// each, and a worker's threads have small stacks.
const MAX_BRACKETS: usize = 128;

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkillFile {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) homepage: Option<String>,
    pub(super) user_invocable: bool,
    pub(super) hidden_from_model: bool,
    pub(super) meta: Meta,
}

/// Why a file is no skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSkill {
    /// Too long.
    #[error("the file has more than {MAX_FILE} bytes")]
    TooLong,
    /// Not text.
    #[error("the file is not UTF-8")]
    Encoding,
    /// No frontmatter.
    #[error(transparent)]
    Front(#[from] InvalidFront),
    /// A required key is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A name that cannot be used.
    #[error("`name` must be 1 to {MAX_NAME} bytes of visible text")]
    Name,
    /// Metadata that cannot be read.
    #[error("`metadata` cannot be read: {0}")]
    Metadata(String),
}

/// What stands under `metadata.openclaw`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) always: bool,
    pub(super) emoji: Option<String>,
    pub(super) homepage: Option<String>,
    #[serde(deserialize_with = "names")]
    pub(super) os: Vec<String>,
    pub(super) requires: Requires,
    pub(super) primary_env: Option<String>,
    pub(super) skill_key: Option<String>,
    #[serde(deserialize_with = "ways")]
    pub(super) install: Vec<Way>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Requires {
    #[serde(deserialize_with = "names")]
    pub(super) bins: Vec<String>,
    #[serde(deserialize_with = "names")]
    pub(super) any_bins: Vec<String>,
    #[serde(deserialize_with = "names")]
    pub(super) env: Vec<String>,
    #[serde(deserialize_with = "names")]
    pub(super) config: Vec<String>,
}

/// One way to install what is needed. Which of its fields count says its kind: see `install`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Way {
    pub(super) id: Option<String>,
    pub(super) kind: String,
    pub(super) label: Option<String>,
    #[serde(deserialize_with = "names")]
    pub(super) bins: Vec<String>,
    #[serde(deserialize_with = "names")]
    pub(super) os: Vec<String>,
    pub(super) package: Option<String>,
    pub(super) module: Option<String>,
    pub(super) url: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) archive: Option<String>,
    pub(super) extract: Option<bool>,
    pub(super) strip_components: Option<u32>,
    pub(super) target_dir: Option<String>,
}

impl SkillFile {
    /// Reads a `SKILL.md`.
    ///
    /// # Errors
    /// When it is not one; the words are for its author.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSkill> {
        if bytes.len() > MAX_FILE {
            return Err(InvalidSkill::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_invalid| InvalidSkill::Encoding)?;
        let front = Front::parse(text)?;
        let name = front.text("name")?.ok_or(InvalidSkill::Missing("name"))?;
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(InvalidSkill::Name);
        }
        let description = front.text("description")?;
        let description = description.ok_or(InvalidSkill::Missing("description"))?;
        let end = description.floor_char_boundary(MAX_DESCRIPTION);
        let meta = front.object("metadata")?.map_or_else(|| Ok(Meta::default()), |it| meta(&it))?;
        Ok(Self {
            name,
            description: description.get(..end).unwrap_or_default().to_owned(),
            homepage: front.text("homepage")?.or_else(|| meta.homepage.clone()).map(short),
            user_invocable: front.flag("user-invocable")?.unwrap_or(true),
            hidden_from_model: front.flag("disable-model-invocation")?.unwrap_or(false),
            meta,
        })
    }

    /// Under which key settings name it.
    pub(super) fn key(&self) -> &str {
        self.meta.skill_key.as_deref().unwrap_or(&self.name)
    }
}

fn meta(text: &str) -> Result<Meta, InvalidSkill> {
    #[derive(Deserialize)]
    struct Outer {
        openclaw: Option<Meta>,
        clawdbot: Option<Meta>,
    }
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() > MAX_BRACKETS {
        let message = format!("it has more than {MAX_BRACKETS} opening brackets");
        return Err(InvalidSkill::Metadata(message));
    }
    let outer: Outer =
        json5::from_str(text).map_err(|err| InvalidSkill::Metadata(short(err.to_string())))?;
    let mut meta = outer.openclaw.or(outer.clawdbot).unwrap_or_default();
    meta.emoji = meta.emoji.map(short);
    meta.primary_env = meta.primary_env.map(short).filter(|name| !name.is_empty());
    meta.skill_key = meta.skill_key.map(short).filter(|key| !key.is_empty());
    for way in &mut meta.install {
        way.kind = short(std::mem::take(&mut way.kind));
        way.id = way.id.take().map(short).filter(|id| !id.is_empty());
        way.label = way.label.take().map(short).filter(|label| !label.is_empty());
    }
    Ok(meta)
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_NAME));
    text
}

/// A list of names, or one name alone.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    let names = match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    };
    let usable = names.into_iter().map(|name| short(name.trim().to_owned()));
    Ok(usable.filter(|name| !name.is_empty()).take(MAX_LIST).collect())
}

fn ways<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Way>, D::Error> {
    let mut ways = Vec::<Way>::deserialize(deserializer)?;
    ways.truncate(MAX_LIST);
    Ok(ways)
}

#[cfg(test)]
mod tests;
