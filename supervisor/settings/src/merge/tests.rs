//! What merging and patching keep to, whatever is merged.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn plain(target: &Value, patch: &Value) -> Value {
    super::patch(target, patch, &ReplacePaths::new())
}

/// Any JSON of few names, so that names meet.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_u64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("(a|b|c|id)", inner, 0..4).prop_map(|it| it.into_iter().collect())
}

fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        Value::Array(entries) => entries.iter().for_each(|it| keys(it, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a null is a member of an object that is in no array: there patches remove.
fn has_null(value: &Value) -> bool {
    let null = |it: &Value| it.is_null() || has_null(it);
    value.as_object().is_some_and(|members| members.values().any(null))
}

proptest! {
    #[test]
    fn a_patch_that_was_applied_changes_nothing_more(target in anything(), patch in anything()) {
        let once = plain(&target, &patch);
        prop_assert_eq!(&plain(&once, &patch), &once);
    }

    #[test]
    fn a_patch_leaves_no_null_behind(target in object(anything()), patch in object(anything())) {
        let target = plain(&json!({}), &Value::Object(target));
        prop_assert!(!has_null(&plain(&target, &Value::Object(patch))));
    }

    #[test]
    fn nothing_is_invented(one in anything(), other in anything()) {
        let (mut given, mut made) = (BTreeSet::new(), BTreeSet::new());
        for value in [&one, &other] {
            keys(value, &mut given);
        }
        keys(&merge(&one, &other), &mut made);
        keys(&plain(&one, &other), &mut made);
        prop_assert!(made.is_subset(&given));
    }

    #[test]
    fn what_is_above_holds(under in object(anything()), over in object(anything())) {
        let merged = merge(&Value::Object(under.clone()), &Value::Object(over.clone()));
        for (key, value) in &over {
            if !value.is_object() {
                prop_assert_eq!(&merged[key], value);
            }
        }
        for (key, value) in under.iter().filter(|(key, _)| !over.contains_key(*key)) {
            prop_assert_eq!(&merged[key], value);
        }
    }

    #[test]
    fn a_difference_is_the_patch_that_makes_it(old in object(anything()), new in object(anything())) {
        // Null in settings is refused, and no patch can write it.
        let of = |it: Map<String, Value>| plain(&json!({}), &Value::Object(it));
        let (old, new) = (of(old), of(new));
        let (Some(from), Some(to)) = (old.as_object(), new.as_object()) else { panic!() };
        let patch = Value::Object(diff(from, to));
        let all = leaves(patch.as_object().unwrap()).into_iter();
        let arrays: ReplacePaths = all.map(|it| it.join(".")).collect();
        prop_assert_eq!(super::patch(&old, &patch, &arrays), new);
    }
}

#[test]
fn what_the_operator_forbids_stays_forbidden() {
    let operator = json!({"nodes": {"commands": {"deny": ["a", "b"], "allow": ["c"]}}});
    let tenant = json!({"nodes": {"commands": {"deny": ["b", "d"], "allow": ["e"]}}});
    let merged = json!({"nodes": {"commands": {"deny": ["a", "b", "d"], "allow": ["e"]}}});
    assert_eq!(merge(&operator, &tenant), merged);
    let nothing = json!({"nodes": {"commands": {"deny": []}}});
    assert_eq!(merge(&operator, &nothing), operator);
}

#[test]
fn what_the_operator_tightens_no_tenant_loosens() {
    let check = |path: &[&str], strict: Value, free: Value| {
        let wrap = |value: &Value| {
            path.iter().rev().fold(value.clone(), |inner, name| json!({ *name: inner }))
        };
        let (strict, free) = (wrap(&strict), wrap(&free));
        assert_eq!(merge(&strict, &free), strict);
        assert_eq!(merge(&free, &strict), strict);
        assert_eq!(merge(&free, &free), free);
        assert_eq!(merge(&json!({}), &free), free);
        assert_eq!(merge(&strict, &json!({})), strict);
    };
    check(&["tools", "exec", "security"], json!("deny"), json!("allowlist"));
    check(&["tools", "exec", "security"], json!("allowlist"), json!("full"));
    check(&["tools", "exec", "ask"], json!("always"), json!("on-miss"));
    check(&["tools", "exec", "ask"], json!("on-miss"), json!("off"));
    check(&["tools", "exec", "network"], json!("none"), json!("broker"));
    check(&["tools", "terminal", "enabled"], json!(false), json!(true));
    // Words of the same name elsewhere are replaced.
    let (under, over) = (json!({"exec": {"ask": "always"}}), json!({"exec": {"ask": "off"}}));
    assert_eq!(merge(&under, &over), over);
}

#[test]
fn arrays_with_ids_are_merged_by_them() {
    let old = json!({"list": [{"id": "a", "x": 1}, {"id": "b"}]});
    let new = json!({"list": [{"id": "a", "y": 2}, {"id": "c", "z": null}]});
    let merged = json!({"list": [{"id": "a", "x": 1, "y": 2}, {"id": "b"}, {"id": "c"}]});
    assert_eq!(plain(&old, &new), merged);
    let replaced = patch(&old, &new, &ReplacePaths::from(["list".to_owned()]));
    assert_eq!(replaced, new);
    let mixed = json!({"list": [{"id": "a"}, {"x": 1}]});
    assert_eq!(plain(&old, &mixed), mixed);
    let twice = json!({"list": [{"id": "a"}, {"id": "a"}]});
    assert_eq!(plain(&old, &twice), twice);
}

#[test]
fn what_a_patch_names() {
    let patch = json!({"a": {"b": 1, "c": {"d": null}}, "e": {}});
    let found = leaves(patch.as_object().unwrap());
    let found: Vec<_> = found.iter().map(|it| it.join(".")).collect();
    assert_eq!(found, ["a.b", "a.c.d", "e"]);
}
