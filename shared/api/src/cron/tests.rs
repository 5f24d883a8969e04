//! What clients may send.

use serde_json::json;

use super::*;

fn add(extra: &Value) -> Result<AddParams, serde_json::Error> {
    let mut params = json!({
        "name": "n", "schedule": {"kind": "every", "everyMs": 60_000}, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": {"kind": "agentTurn", "message": "m"},
    });
    for (key, value) in extra.as_object().unwrap() {
        params[key] = value.clone();
    }
    serde_json::from_value(params)
}

#[test]
fn a_job_is_closed_at_every_level() {
    add(&json!({})).unwrap();
    let refused = [
        json!({"other": 1}),
        json!({"schedule": {"kind": "every", "everyMs": 60_000, "other": 1}}),
        json!({"schedule": {"kind": "monthly"}}),
        json!({"payload": {"kind": "agentTurn", "message": "m", "other": 1}}),
        json!({"delivery": {"mode": "none", "other": 1}}),
        json!({"owner": {"other": 1}}),
        json!({"failureAlert": {"other": 1}}),
        json!({"delivery": {"mode": "none", "failureDestination": {"other": 1}}}),
        json!({"wakeMode": "later"}),
    ];
    for extra in refused {
        assert!(add(&extra).is_err(), "{extra}");
    }
}

#[test]
fn what_is_stored_reads_back_as_it_was() {
    for schedule in [
        json!({"kind": "at", "at": "2026-11-22T12:00:00Z"}),
        json!({"kind": "every", "everyMs": 1000, "anchorMs": 5}),
        json!({"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin"}),
    ] {
        let parsed: Schedule = serde_json::from_value(schedule.clone()).unwrap();
        assert_eq!(serde_json::to_value(parsed).unwrap(), schedule);
    }
}

#[test]
fn null_is_told_from_absent() {
    let patch: Patch = serde_json::from_value(json!({"agentId": null})).unwrap();
    assert_eq!((patch.agent_id, patch.session_key), (Some(None), None));
}
