//! Secrets, fetched once at start from where the configuration says that they are. The supervisor
//! cannot start programs later on, and nobody else ever holds them.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use types::Secret;

/// Bytes of a secret; more is a wrong file.
const MAX_BYTES: usize = 16 << 10;

/// Where a secret is.
#[derive(Debug, Clone)]
pub enum Source {
    /// In a variable of the gateway's environment.
    Env(String),
    /// In a file, without the line end.
    File(PathBuf),
    /// On the standard output of a program, without the line end; program and arguments, no shell.
    Command(Vec<String>),
    /// Already here; a file cannot say this.
    Given(Secret),
}

/// What a file can say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Said {
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Place)
    }
}

/// Reads where a secret is. One that is written out is refused without being repeated in the error.
struct Place;

impl<'de> Visitor<'de> for Place {
    type Value = Source;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(
            "where a secret is: { env: NAME }, { file: PATH } or { command: [PROGRAM, ...] }",
        )
    }

    fn visit_str<E: de::Error>(self, _secret: &str) -> Result<Source, E> {
        Err(E::custom(
            "a secret is not written in the configuration, but where it is: { env: NAME }, { file: PATH } or \
             { command: [PROGRAM, ...] }",
        ))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
        Ok(match Said::deserialize(de::value::MapAccessDeserializer::new(map))? {
            Said::Env(name) => Source::Env(name),
            Said::File(path) => Source::File(path),
            Said::Command(words) => Source::Command(words),
        })
    }
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such variable.
    #[error("the variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program cannot be run.
    #[error("the key command cannot be run")]
    Command(#[source] std::io::Error),
    /// The program failed.
    #[error("the key command ended with {0}")]
    Failed(std::process::ExitStatus),
    /// What was found is no secret.
    #[error("a secret has 1 to {MAX_BYTES} bytes of printable text on one line")]
    Malformed,
}

impl Source {
    /// The secret.
    ///
    /// # Errors
    /// When it is not there or is not one line of text.
    pub fn fetch(&self) -> Result<Secret, Error> {
        let text = match self {
            Self::Env(name) => variable(name)?,
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|source| Error::File { path: path.clone(), source })?,
            Self::Command(argv) => output(argv)?,
            Self::Given(secret) => return Ok(secret.clone()),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        let fits = !text.is_empty() && text.len() <= MAX_BYTES;
        if fits && text.chars().all(|c| !c.is_control()) {
            Ok(Secret::from(text.to_owned()))
        } else {
            Err(Error::Malformed)
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the configuration names the variable; read at start"
)]
fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name).ok().ok_or_else(|| Error::Env(name.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "the operator's key command, before privilege drops")]
fn output(argv: &[String]) -> Result<String, Error> {
    let (program, rest) = argv.split_first().ok_or(Error::Malformed)?;
    let output = std::process::Command::new(program)
        .args(rest)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(Error::Command)?;
    if !output.status.success() {
        return Err(Error::Failed(output.status));
    }
    String::from_utf8(output.stdout).ok().ok_or(Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line() {
        let echo = |text: &str| Source::Command(vec!["printf".to_owned(), text.to_owned()]).fetch();
        assert_eq!(echo("key\n").unwrap().expose(), "key");
        assert!(matches!(echo("two\nlines"), Err(Error::Malformed)));
        assert!(matches!(echo(""), Err(Error::Malformed)));
        assert!(matches!(Source::Command(vec!["false".to_owned()]).fetch(), Err(Error::Failed(_))));
        let missing = Source::File(PathBuf::from("/nonexistent/key")).fetch();
        assert!(matches!(missing, Err(Error::File { .. })));
    }
}
