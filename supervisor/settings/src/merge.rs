//! How settings are put together: a tenant's over the operator's, and a patch over a tenant's. Pure;
//! of settings it knows only which lists forbid, and of which the stricter holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Lists of what is forbidden, wherever they are: nobody takes back what the operator forbids.
const FORBIDDING: [&str; 2] = ["deny", "denyCommands"];

/// Words of which the stricter holds, whoever says it, with their values from strict to free: what the
/// operator tightens, no tenant loosens.
const STRICTER: [(&[&str], &[&str]); 4] = [
    (&["tools", "exec", "security"], &["deny", "allowlist", "full"]),
    (&["tools", "exec", "ask"], &["always", "on-miss", "off"]),
    (&["tools", "exec", "network"], &["none", "broker"]),
    (&["tools", "terminal", "enabled"], &["false", "true"]),
];

/// `over` above `under`: objects are merged, lists that forbid add up, of some words the stricter
/// holds, everything else is replaced.
pub(crate) fn merge(under: &Value, over: &Value) -> Value {
    let mut merged = above(under, over);
    for (path, order) in STRICTER {
        let at = |it: &Value| path.iter().try_fold(it, |it, name| it.get(name)).cloned();
        if let (Some(below), Some(above)) = (at(under), at(over))
            && strictness(order, &below) < strictness(order, &above)
            && let Some(place) = path.iter().try_fold(&mut merged, |it, name| it.get_mut(name))
        {
            *place = below;
        }
    }
    merged
}

/// How far from the strictest a value is; what is not known is the strictest.
fn strictness(order: &[&str], value: &Value) -> usize {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    order.iter().position(|it| *it == text).unwrap_or_default()
}

fn above(under: &Value, over: &Value) -> Value {
    let (Value::Object(under), Value::Object(over)) = (under, over) else { return over.clone() };
    let mut merged = under.clone();
    for (key, value) in over {
        let forbids = FORBIDDING.contains(&key.as_str());
        let value = match (under.get(key), value) {
            (Some(Value::Array(below)), Value::Array(more)) if forbids => both(below, more),
            (Some(below), value) => above(below, value),
            (None, value) => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    Value::Object(merged)
}

fn both(below: &[Value], above: &[Value]) -> Value {
    let more = above.iter().filter(|it| !below.contains(it));
    below.iter().chain(more).cloned().collect()
}

/// The paths of arrays that a patch replaces though their entries have ids.
pub(crate) type ReplacePaths = BTreeSet<String>;

/// `patch` applied to `target` as RFC 7396 has it: null removes, objects are merged, everything else
/// is replaced. As in `OpenClaw`, arrays whose entries all have an id are merged by it, unless their
/// path is one of `replace`.
pub(crate) fn patch(target: &Value, patch: &Value, replace: &ReplacePaths) -> Value {
    Patch { replace }.apply(Some(target), patch, "")
}

struct Patch<'a> {
    replace: &'a ReplacePaths,
}

impl Patch<'_> {
    fn apply(&self, target: Option<&Value>, patch: &Value, at: &str) -> Value {
        match (target, patch) {
            (target, Value::Object(patch)) => {
                let target = target.and_then(Value::as_object);
                Value::Object(self.object(target, patch, at))
            }
            (target, Value::Array(patch)) if !self.replace.contains(at) => {
                let target = target.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                self.by_id(target, patch, at).unwrap_or_else(|| Value::Array(patch.clone()))
            }
            _ => patch.clone(),
        }
    }

    fn object(
        &self,
        target: Option<&Map<String, Value>>,
        patch: &Map<String, Value>,
        at: &str,
    ) -> Map<String, Value> {
        let mut patched = target.cloned().unwrap_or_default();
        for (key, value) in patch {
            if value.is_null() {
                patched.remove(key);
                continue;
            }
            let at = join(at, key);
            let value = self.apply(target.and_then(|it| it.get(key)), value, &at);
            patched.insert(key.clone(), value);
        }
        patched
    }

    /// `None` where an entry of the patch has no id or two have the same; entries of the target are
    /// kept if that holds for them.
    fn by_id(&self, target: &[Value], patch: &[Value], at: &str) -> Option<Value> {
        let new = ids(patch)?;
        let (old, mut merged) = match ids(target) {
            Some(old) => (old, target.to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        let old: BTreeMap<_, _> = old.into_iter().enumerate().map(|(at, id)| (id, at)).collect();
        let inside = format!("{at}[]");
        for (id, entry) in new.iter().zip(patch) {
            match old.get(id).and_then(|at| merged.get_mut(*at)) {
                Some(found) => *found = self.apply(Some(&*found), entry, &inside),
                None => merged.push(self.apply(None, entry, &inside)),
            }
        }
        Some(Value::Array(merged))
    }
}

fn ids(entries: &[Value]) -> Option<Vec<&str>> {
    let id = |it: &Value| it.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    if entries.is_empty() || !entries.iter().all(id) {
        return None;
    }
    let ids: Vec<_> = entries.iter().filter_map(|it| it.get("id")?.as_str()).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    (distinct.len() == ids.len()).then_some(ids)
}

/// The path of a member.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The patch that makes `new` of `old`, both objects.
pub(crate) fn diff(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut diff = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        diff.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), value) if before == value => {}
            (Some(Value::Object(before)), Value::Object(value)) => {
                diff.insert(key.clone(), Value::Object(self::diff(before, value)));
            }
            _ => {
                diff.insert(key.clone(), value.clone());
            }
        }
    }
    diff
}

/// The paths of what a patch names, down to what is not an object.
pub(crate) fn leaves(patch: &Map<String, Value>) -> Vec<Vec<String>> {
    let mut leaves = Vec::new();
    for (key, value) in patch {
        match value.as_object().filter(|it| !it.is_empty()) {
            Some(inner) => leaves.extend(self::leaves(inner).into_iter().map(|mut path| {
                path.insert(0, key.clone());
                path
            })),
            None => leaves.push(vec![key.clone()]),
        }
    }
    leaves
}

#[cfg(test)]
mod tests;
