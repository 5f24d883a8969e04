//! The table as clients read it: a JSON Schema, hints for user interfaces, and one place of it at a
//! time.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Field, Kind, root};
use crate::merge::join;

/// What a user interface should know of a setting.
#[derive(Debug, Clone, Serialize)]
pub struct Hint {
    /// Its name, for people.
    pub label: String,
    /// What it is for.
    pub help: &'static str,
    /// Its place among its siblings.
    pub order: usize,
    /// Whether its value is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
}

/// One place of the table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lookup {
    /// Where it is.
    pub path: String,
    /// Its JSON Schema, without its members.
    pub schema: Value,
    /// How a change takes effect: `hot`, as all do.
    pub reload_kind: &'static str,
    /// What a user interface should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Under which path the hints have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint_path: Option<String>,
    /// Its members.
    pub children: Vec<LookupChild>,
}

/// One member of a place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupChild {
    /// Its name; `*` for any, `[]` for the entries of a list.
    pub key: String,
    /// Where it is.
    pub path: String,
    /// The JSON type, where there is one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Value>,
    /// Whether it must be there; nothing must.
    pub required: bool,
    /// Whether it has members.
    pub has_children: bool,
    /// How a change takes effect.
    pub reload_kind: &'static str,
    /// What a user interface should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Under which path the hints have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint_path: Option<String>,
}

/// The table as a JSON Schema.
pub fn document() -> Value {
    let mut schema = schema(root(), true);
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
        members.insert("title".to_owned(), "OpenClawMU tenant configuration".into());
    }
    schema
}

/// What user interfaces should know, by path.
pub fn hints() -> BTreeMap<String, Hint> {
    let mut hints = BTreeMap::new();
    collect(root(), "", &mut hints);
    hints
}

/// One place of the table; `None` where there is no such place. Names are parted by dots or
/// slashes; entries of a list are `[]` or `[0]`.
pub fn lookup(path: &str) -> Option<Lookup> {
    let spread = path.replace('[', ".[").replace('/', ".");
    let (mut kind, mut at, mut hint) = (root(), String::new(), None);
    for name in spread.split('.').filter(|it| !it.is_empty()) {
        let next = children(kind).into_iter().find(|child| child.is(name))?;
        at = next.path(&at);
        hint = next.hint();
        kind = next.kind;
    }
    let child = |it: Child| LookupChild {
        path: it.path(&at),
        kind: schema(it.kind, false).get("type").cloned(),
        required: false,
        has_children: !children(it.kind).is_empty(),
        reload_kind: "hot",
        hint_path: it.hint().map(|_| it.path(&at)),
        hint: it.hint(),
        key: it.key.to_owned(),
    };
    let found = children(kind).into_iter().map(child).collect();
    Some(Lookup {
        schema: schema(kind, false),
        reload_kind: "hot",
        hint_path: hint.as_ref().map(|_| at.clone()),
        hint,
        children: found,
        path: if at.is_empty() { ".".to_owned() } else { at },
    })
}

/// A member, the members of a map, or the entries of a list.
struct Child {
    key: &'static str,
    kind: &'static Kind,
    field: Option<(usize, &'static Field)>,
}

impl Child {
    fn is(&self, name: &str) -> bool {
        match self.key {
            "*" => true,
            "[]" => name.starts_with('['),
            key => key == name,
        }
    }

    fn path(&self, above: &str) -> String {
        if self.key == "[]" { format!("{above}[]") } else { join(above, self.key) }
    }

    fn hint(&self) -> Option<Hint> {
        self.field.map(|(order, field)| hint(order, field))
    }
}

fn children(kind: &'static Kind) -> Vec<Child> {
    let any = |key, kind| vec![Child { key, kind, field: None }];
    match kind {
        Kind::Object(fields) => {
            let child = |(order, field): (usize, &'static Field)| Child {
                key: field.name,
                kind: &field.kind,
                field: Some((order, field)),
            };
            fields.iter().enumerate().map(child).collect()
        }
        Kind::Map(_, kind) => any("*", kind),
        Kind::List(_, kind) => any("[]", kind),
        Kind::Either(kinds) => kinds.iter().flat_map(children).collect(),
        Kind::Text(_)
        | Kind::Word(_)
        | Kind::Whole(..)
        | Kind::Switch
        | Kind::Off
        | Kind::Span
        | Kind::SpanOrMillis
        | Kind::Free
        | Kind::Sealed => Vec::new(),
    }
}

fn collect(kind: &'static Kind, path: &str, hints: &mut BTreeMap<String, Hint>) {
    for child in children(kind) {
        let path = child.path(path);
        if let Some(hint) = child.hint() {
            hints.insert(path.clone(), hint);
        }
        collect(child.kind, &path, hints);
    }
}

fn hint(order: usize, field: &'static Field) -> Hint {
    let sensitive = matches!(field.kind, Kind::Sealed).then_some(true);
    Hint { label: label(field.name), help: field.help, order, sensitive }
}

/// `maxConcurrentRuns` as `Max concurrent runs`.
fn label(name: &str) -> String {
    let mut label = String::new();
    for (at, letter) in name.chars().enumerate() {
        if at == 0 {
            label.push(letter.to_ascii_uppercase());
        } else if letter.is_ascii_uppercase() {
            label.push(' ');
            label.push(letter.to_ascii_lowercase());
        } else {
            label.push(letter);
        }
    }
    label
}

fn schema(kind: &'static Kind, deep: bool) -> Value {
    match kind {
        Kind::Object(fields) => {
            let mut properties = Map::new();
            for field in fields.iter().filter(|_| deep) {
                let mut schema = schema(&field.kind, deep);
                if let Value::Object(members) = &mut schema {
                    members.insert("description".to_owned(), field.help.into());
                }
                properties.insert(field.name.to_owned(), schema);
            }
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        }
        Kind::Map(max, kind) => {
            let members = if deep { schema(kind, deep) } else { json!({}) };
            json!({"type": "object", "additionalProperties": members, "maxProperties": max})
        }
        Kind::List(max, kind) => {
            let items = if deep { schema(kind, deep) } else { json!({}) };
            json!({"type": "array", "items": items, "maxItems": max})
        }
        Kind::Text(max) => json!({"type": "string", "maxLength": max}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::Whole(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Off => json!({"type": "boolean", "const": false}),
        Kind::Span => json!({"type": "string"}),
        Kind::SpanOrMillis => json!({"type": ["string", "integer"]}),
        Kind::Either(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(|kind| schema(kind, deep)).collect();
            json!({"anyOf": kinds})
        }
        Kind::Free => json!({}),
        Kind::Sealed => json!({"type": ["string", "object"]}),
    }
}
