//! What is not shown of settings, and how a text that was shown without it is written back. Pure.

use serde_json::Value;

use crate::merge::join;
use crate::schema::{Kind, root};

/// What stands in place of a secret, as in `OpenClaw`.
pub const SENTINEL: &str = "__OPENCLAW_REDACTED__";

/// Parts of names that secrets have, beside an ending in `key`.
const SECRET_NAMES: &[&str] = &[
    "token",
    "secret",
    "passw",
    "passphrase",
    "pwd",
    "credential",
    "auth",
    "bearer",
    "cookie",
    "dsn",
    "webhook",
    "private",
];

/// The placeholder where nothing is stored that it could stand for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the placeholder {SENTINEL} stands for nothing that is stored")]
pub struct Unknown {
    /// Where it is.
    pub path: String,
}

/// The settings without what is secret in them.
pub(crate) fn redact(value: &Value) -> Value {
    hide(value, Some(root()), Place::Open)
}

/// Whether a value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is not.
    Open,
    /// It is if its name says so: the table knows nothing of it.
    Free,
    /// It is, with all that is in it.
    Secret,
}

fn hide(value: &Value, kind: Option<&Kind>, place: Place) -> Value {
    let place = match kind {
        Some(Kind::Sealed) => Place::Secret,
        Some(Kind::Free) if place == Place::Open => Place::Free,
        _ => place,
    };
    match value {
        Value::Object(members) => {
            let hide = |(name, value): (&String, &Value)| {
                let kind = kind.and_then(|it| it.member(name)).map(|(_, kind)| kind);
                // A member of free settings is judged by its name, wherever it is.
                let free = place == Place::Free || matches!(kind, Some(Kind::Free));
                let place = if free && is_secret(name) { Place::Secret } else { place };
                (name.clone(), hide(value, kind, place))
            };
            Value::Object(members.iter().map(hide).collect())
        }
        Value::Array(entries) => {
            let kind = match kind {
                Some(Kind::List(_, kind)) => Some(*kind),
                _ => None,
            };
            Value::Array(entries.iter().map(|it| hide(it, kind, place)).collect())
        }
        Value::String(_) | Value::Number(_) if place == Place::Secret => SENTINEL.into(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Number(_) => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("key") || SECRET_NAMES.iter().any(|it| name.contains(it))
}

/// What placeholders stand for.
#[derive(Clone, Copy)]
struct Sources<'a> {
    /// What the tenant has set.
    stored: Option<&'a Value>,
    /// What holds beneath it.
    beneath: Option<&'a Value>,
}

impl<'a> Sources<'a> {
    fn member(self, look: impl Fn(&'a Value) -> Option<&'a Value>) -> Self {
        Self { stored: self.stored.and_then(&look), beneath: self.beneath.and_then(&look) }
    }
}

/// `new` with what the placeholders in it stand for: what `stored` has at the same place. Where only
/// `beneath` has something, it is left out and goes on to hold; so are the keys and variables of
/// skills, which are stored elsewhere.
pub(crate) fn restore(new: &Value, stored: &Value, beneath: &Value) -> Result<Value, Unknown> {
    let sources = Sources { stored: Some(stored), beneath: Some(beneath) };
    put_back(new, sources, Some(root()), "")
}

fn put_back(
    new: &Value,
    sources: Sources<'_>,
    kind: Option<&Kind>,
    path: &str,
) -> Result<Value, Unknown> {
    match new {
        Value::String(text) if text == SENTINEL => {
            sources.stored.cloned().ok_or_else(|| Unknown { path: path.to_owned() })
        }
        Value::Object(members) => {
            let mut restored = serde_json::Map::new();
            for (name, value) in members {
                let kind = kind.and_then(|it| it.member(name)).map(|(_, kind)| kind);
                let sources = sources.member(|it| it.get(name));
                let inherited = sources.stored.is_none() && sources.beneath.is_some();
                let sealed = matches!(kind, Some(Kind::Sealed)) && is_placeholder(value);
                if sealed || (inherited && *value == SENTINEL) {
                    continue;
                }
                let value = put_back(value, sources, kind, &join(path, name))?;
                restored.insert(name.clone(), value);
            }
            Ok(Value::Object(restored))
        }
        Value::Array(entries) => {
            let entries = entries.iter().enumerate().map(|(at, entry)| {
                let sources = sources.member(|it| it.get(at));
                put_back(entry, sources, None, &format!("{path}[{at}]"))
            });
            entries.collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(new.clone()),
    }
}

/// Whether a value is the placeholder, or an object of nothing else.
fn is_placeholder(value: &Value) -> bool {
    let placeholders = |it: &serde_json::Map<_, _>| it.values().all(|it| *it == SENTINEL);
    value.as_object().map_or_else(|| *value == SENTINEL, placeholders)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn entry(entry: Value) -> Value {
        json!({"skills": {"entries": {"s": entry}}, "session": {"dmScope": "main"}})
    }

    #[test]
    fn what_is_secret_is_not_shown_and_comes_back() {
        let secret = entry(json!({"enabled": true, "config": {
            "apiToken": "hunter2", "site": "s", "nested": {"password": 7, "on": true},
            "list": [{"secretWord": "x", "name": "n"}], "auth": {"user": "u", "pass": "p"},
        }}));
        let shown = redact(&secret);
        for hidden in ["hunter2", "\"x\"", ":7", "\"u\"", "\"p\""] {
            assert!(!shown.to_string().contains(hidden), "{hidden}: {shown}");
        }
        for open in ["\"s\"", "\"n\"", "true", "main"] {
            assert!(shown.to_string().contains(open), "{open}: {shown}");
        }
        assert_eq!(restore(&shown, &secret, &json!({})).unwrap(), secret);
        assert_eq!(redact(&shown), shown);
    }

    #[test]
    fn sealed_values_are_left_out() {
        let with = entry(json!({"apiKey": SENTINEL, "env": {"A": SENTINEL}, "enabled": false}));
        let without = entry(json!({"enabled": false}));
        assert_eq!(restore(&with, &json!({}), &json!({})).unwrap(), without);
        let real = entry(json!({"apiKey": "k"}));
        assert_eq!(restore(&real, &json!({}), &json!({})).unwrap(), real);
        assert!(!redact(&real).to_string().contains("\"k\""));
    }

    #[test]
    fn a_placeholder_for_nothing_is_refused() {
        let err = restore(&json!({"ui": {"seamColor": SENTINEL}}), &json!({"ui": {}}), &json!({}))
            .unwrap_err();
        assert_eq!(err.path, "ui.seamColor");
        let list = json!({"tools": {"allow": ["a", SENTINEL]}});
        assert_eq!(
            restore(&list, &json!({"tools": {"allow": ["x"]}}), &json!({})).unwrap_err().path,
            "tools.allow[1]"
        );
    }

    #[test]
    fn what_the_operator_has_set_goes_on_to_hold() {
        let operators = entry(json!({"config": {"token": "hunter2", "site": "s"}}));
        let sent = entry(json!({"config": {"token": SENTINEL, "site": "t"}}));
        let wanted = entry(json!({"config": {"site": "t"}}));
        assert_eq!(restore(&sent, &json!({}), &operators).unwrap(), wanted);
    }
}
