//! What may be set and what may not, by name.

use serde_json::json;

use super::*;

/// Checks settings; `wanted` is the path and a part of the message of each mistake.
fn verify(value: &Value, wanted: &[(&str, &str)]) {
    let found = check(value);
    assert_eq!(found.len(), wanted.len(), "{value}: {found:?}");
    for (issue, (path, message)) in found.iter().zip(wanted) {
        assert_eq!(issue.path, *path, "{value}");
        assert!(issue.message.contains(message), "{issue:?}");
    }
}

#[test]
fn what_may_be_set() {
    verify(&json!({}), &[]);
    let all = json!({
        "agents": {"defaults": {
            "model": {"primary": "demo/demo", "fallbacks": ["a/b"]},
            "heartbeat": {"every": "1h30m", "prompt": "p", "target": "last", "ackMaxChars": 30,
                "activeHours": {"start": "08:00", "end": "24:00", "timezone": "Europe/Berlin"}},
            "timeoutSeconds": 600, "maxSteps": 8, "maxTokensPerRun": 100_000, "contextTokens": 200_000, "maxConcurrent": 4, "skills": ["a"],
            "compaction": {"mode": "safeguard", "reserveTokens": 1000, "keepRecentTokens": 2.0},
        }, "tools": {"ops": {"profile": "minimal", "allow": ["group:fs"], "deny": ["exec"]}}},
        "session": {
            "dmScope": "per-peer", "groupScope": "main", "identityLinks": {"ann": ["telegram:1"]},
            "reset": {"mode": "daily", "atHour": 4, "idleMinutes": 60},
            "resetByType": {"group": {"mode": "idle"}}, "resetByChannel": {"discord": {}},
            "maintenance": {"pruneAfter": "30d", "maxEntries": 500},
        },
        "messages": {"queue": {"mode": "collect", "debounceMs": 10, "cap": 5, "drop": "old"}},
        "cron": {"enabled": false, "maxConcurrentRuns": 2},
        "skills": {"entries": {"a.b": {"enabled": true, "config": {"x": {"y": [1]}}}}, "allowBundled": []},
        "hooks": {"enabled": true, "mappings": [{"match": {"path": "x"}, "action": "wake"}]},
        "gateway": {"nodes": {"allowCommands": ["camera.*"], "denyCommands": []}},
        "ui": {"seamColor": "#fff", "assistant": {"name": "M"}, "prefs": {"theme": "dark"}},
        "talk": {"interruptOnSpeech": true},
        "tools": {"profile": "coding", "allow": ["a"], "deny": []},
    });
    verify(&all, &[]);
    verify(&json!({"agents": {"defaults": {"model": "a/b"}}}), &[]);
    verify(&json!({"session": {"maintenance": {"pruneAfter": false}}}), &[]);
    verify(&json!({"session": {"maintenance": {"pruneAfter": 1000}}}), &[]);
}

#[test]
fn what_may_not_be_set_is_named() {
    let refused = |value: Value, path: &str| {
        verify(&value, &[(path, &format!("config key not allowed: {path}"))]);
    };
    refused(json!({"models": {"providers": {"openai": {"apiKey": "k"}}}}), "models.providers");
    refused(json!({"models": 1}), "models");
    refused(json!({"meta": {}}), "meta");
    refused(json!({"env": {"vars": {"PATH": "/"}}}), "env.vars");
    refused(json!({"secrets": {"providers": {}}}), "secrets.providers");
    refused(json!({"auth": {"profiles": {}}}), "auth.profiles");
    refused(json!({"channels": {"telegram": {"botToken": "t"}}}), "channels.telegram");
    refused(json!({"plugins": {"entries": {}}}), "plugins.entries");
    refused(json!({"logging": {"file": "/etc/passwd"}}), "logging.file");
    refused(json!({"browser": {"enabled": true}}), "browser.enabled");
    refused(json!({"bindings": []}), "bindings");
    refused(json!({"gateway": {"auth": {"token": "t"}}}), "gateway.auth.token");
    refused(json!({"gateway": {"bind": "lan"}}), "gateway.bind");
    refused(json!({"gateway": {"nodes": {"browser": 1}}}), "gateway.nodes.browser");
    refused(json!({"agents": {"list": [{"workspace": "/"}]}}), "agents.list");
    refused(json!({"agents": {"defaults": {"workspace": "/"}}}), "agents.defaults.workspace");
    refused(
        json!({"agents": {"defaults": {"sandbox": {"mode": "off"}}}}),
        "agents.defaults.sandbox.mode",
    );
    refused(json!({"tools": {"exec": {"host": "gateway"}}}), "tools.exec.host");
    refused(json!({"session": {"store": "/etc"}}), "session.store");
    refused(json!({"cron": {"store": "/etc"}}), "cron.store");
    refused(json!({"hooks": {"token": "t"}}), "hooks.token");
    refused(
        json!({"hooks": {"mappings": [{"transform": {"module": "x"}}]}}),
        "hooks.mappings[0].transform.module",
    );
    refused(json!({"skills": {"load": {"extraDirs": ["/"]}}}), "skills.load.extraDirs");
    refused(json!({"__proto__": {"models": 1}}), "__proto__.models");
    refused(json!({"": 1}), "");
    verify(
        &json!({"skills": {"entries": {"s": {"apiKey": "k", "env": {"A": "b"}}}}}),
        &[("skills.entries.s.apiKey", "skills.update"), ("skills.entries.s.env", "skills.update")],
    );
    let long = "x".repeat(1000);
    let found = check(&json!({long: 1}));
    assert!(found[0].message.len() < 200, "{found:?}");
}

#[test]
fn values_have_types_and_bounds() {
    verify(&json!({"cron": 7}), &[("cron", "must be an object")]);
    verify(&json!({"cron": null}), &[("cron", "must be an object")]);
    verify(&json!({"cron": {"enabled": "yes"}}), &[("cron.enabled", "true or false")]);
    verify(
        &json!({"cron": {"maxConcurrentRuns": 0}}),
        &[("cron.maxConcurrentRuns", "from 1 to 16")],
    );
    verify(&json!({"cron": {"maxConcurrentRuns": 1.5}}), &[("cron.maxConcurrentRuns", "whole")]);
    verify(&json!({"cron": {"maxConcurrentRuns": -1}}), &[("cron.maxConcurrentRuns", "whole")]);
    verify(
        &json!({"messages": {"queue": {"mode": "x"}}}),
        &[("messages.queue.mode", "steer, followup")],
    );
    verify(&json!({"tools": {"allow": "a"}}), &[("tools.allow", "list")]);
    verify(&json!({"tools": {"allow": [1]}}), &[("tools.allow[0]", "text")]);
    verify(&json!({"tools": {"allow": vec!["a"; 257]}}), &[("tools.allow", "256")]);
    verify(&json!({"ui": {"seamColor": "x".repeat(33)}}), &[("ui.seamColor", "32 bytes")]);
    verify(&json!({"agents": {"defaults": {"model": 1}}}), &[("agents.defaults.model", "text")]);
    verify(
        &json!({"agents": {"defaults": {"model": {"secondary": 1}}}}),
        &[("agents.defaults.model.secondary", "not allowed")],
    );
    for span in ["", "m", "3x", "30 m", "-1h", "1h30", "99999999999999d"] {
        let value = json!({"agents": {"defaults": {"heartbeat": {"every": span}}}});
        verify(&value, &[("agents.defaults.heartbeat.every", "span of time")]);
    }
    verify(&json!({"skills": {"entries": {"a/b": {}}}}), &[("skills.entries.a/b", "letters")]);
    verify(
        &json!({"skills": {"entries": {"__proto__": {}}}}),
        &[("skills.entries.__proto__", "letters")],
    );
    verify(&json!({"skills": {"entries": {"a..b": {}}}}), &[("skills.entries.a..b", "letters")]);
    let many: Map<_, _> = (0..100).map(|it| (format!("k{it}"), Value::from(1))).collect();
    assert_eq!(check(&Value::Object(many.clone())).len(), MAX_ISSUES);
    assert_eq!(check(&json!({"x": many})).len(), MAX_ISSUES);
}

#[test]
fn names_of_tenants_are_stars_in_patterns() {
    let check = |path: &[&str], wanted: &str| {
        let path: Vec<_> = path.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(pattern(&path), wanted);
    };
    check(&["agents", "defaults", "model", "primary"], "agents.defaults.model.primary");
    check(&["skills", "entries", "hunter2", "enabled"], "skills.entries.*.enabled");
    check(&["skills", "entries", "s", "config", "hunter2"], "skills.entries.*.config.*");
    check(&["skills", "entries", "s", "config", "a", "hunter2"], "skills.entries.*.config.*.*");
    check(&["hunter2", "b"], "*");
}

#[test]
fn the_table_is_shown() {
    let document = document();
    let model = "/properties/agents/properties/defaults/properties/model/anyOf/1/properties";
    assert_eq!(document.pointer(model).unwrap()["fallbacks"]["maxItems"], 16);
    assert_eq!(document["additionalProperties"], false);
    let hints = hints();
    assert_eq!(hints["skills.entries.*.apiKey"].sensitive, Some(true));
    assert_eq!(hints["cron.maxConcurrentRuns"].label, "Max concurrent runs");
    assert!(hints.contains_key("hooks.mappings[].match.path"));
    assert!(hints.contains_key("agents.defaults.model.primary"));
}

#[test]
fn one_place_at_a_time() {
    let found = lookup("agents.defaults").unwrap();
    assert_eq!((found.path.as_str(), &found.schema["type"]), ("agents.defaults", &json!("object")));
    let model = found.children.iter().find(|it| it.key == "model").unwrap();
    assert!(model.has_children && model.path == "agents.defaults.model");
    assert_eq!(lookup("skills.entries.weather.enabled").unwrap().path, "skills.entries.*.enabled");
    assert_eq!(lookup("hooks/mappings[0]/id").unwrap().path, "hooks.mappings[].id");
    assert_eq!(lookup("hooks.mappings").unwrap().children[0].path, "hooks.mappings[]");
    assert_eq!(lookup(".").unwrap().children.len(), 10);
    for none in ["models", "cron.store", "cron.enabled.x", "hooks.mappings.id"] {
        assert!(lookup(none).is_none(), "{none}");
    }
}

#[test]
fn what_may_be_anything_is_bounded() {
    let prefs = |values: usize| json!({"ui": {"prefs": {"list": vec![0; values]}}});
    verify(&prefs(MAX_FREE - 1), &[]);
    verify(&prefs(MAX_FREE), &[("ui.prefs.list", "4096 values")]);
    let nested = json!({"ui": {"prefs": {"x": {"a": vec![json!({"b": [0]}); MAX_FREE / 2]}}}});
    verify(&nested, &[("ui.prefs.x", "4096 values")]);
}
