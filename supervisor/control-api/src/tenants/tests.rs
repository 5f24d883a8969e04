//! The shapes of `tenants create`, `list`, `show` and of `usage`.

use super::*;

const AT: u64 = 1_795_334_400_000;
const AT_TEXT: &str = "2026-11-22T08:00:00.000Z";

fn check(value: &impl Serialize, expected: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), expected);
}

fn limits() -> Limits {
    types::Limits::default().into()
}

fn limits_json() -> String {
    serde_json::to_string(&limits()).unwrap()
}

#[test]
fn tenants_create() {
    let mut made = CreatedTenant {
        id: "acme".parse().unwrap(),
        token: Some("tk_acme_x".to_owned()),
        created_at: AT.into(),
    };
    check(&made, &format!(r#"{{"id":"acme","token":"tk_acme_x","createdAt":"{AT_TEXT}"}}"#));
    assert!(!format!("{made:?}").contains("tk_"));
    made.token = None;
    check(&made, &format!(r#"{{"id":"acme","token":null,"createdAt":"{AT_TEXT}"}}"#));
}

#[test]
fn tenants_list() {
    let state = |state| TenantRow { id: "a".parse().unwrap(), state, created_at: AT.into() };
    let list = TenantList { tenants: vec![state(TenantState::Parked)], next: None };
    check(
        &list,
        &format!(
            r#"{{"tenants":[{{"id":"a","state":"parked","createdAt":"{AT_TEXT}"}}],"next":null}}"#
        ),
    );
    let states = [
        TenantState::Stopped,
        TenantState::Starting,
        TenantState::Ready,
        TenantState::Draining,
        TenantState::Parked,
        TenantState::Suspended,
    ];
    for one in states {
        check(&one, &format!("\"{}\"", one.as_str()));
    }
}

#[test]
fn tenants_show() {
    let worker =
        Worker { pid: 7, started_at: AT.into(), pss_bytes: None, version: "0.1.0".to_owned() };
    let mut tenant = Tenant {
        id: "acme".parse().unwrap(),
        state: TenantState::Ready,
        worker: Some(worker),
        limits: limits(),
        sleeps: "never".to_owned(),
        last_active_at: None,
        created_at: AT.into(),
    };
    let tail = format!(
        r#""limits":{},"sleeps":"never","lastActiveAt":null,"createdAt":"{AT_TEXT}"}}"#,
        limits_json()
    );
    let worker =
        format!(r#"{{"pid":7,"startedAt":"{AT_TEXT}","pssBytes":null,"version":"0.1.0"}}"#);
    check(&tenant, &format!(r#"{{"id":"acme","state":"ready","worker":{worker},{tail}"#));
    tenant.worker = None;
    check(&tenant, &format!(r#"{{"id":"acme","state":"ready","worker":null,{tail}"#));
}

#[test]
fn requests_refuse_what_they_do_not_know() {
    let create = |json: &str| serde_json::from_str::<CreateTenant>(json).is_ok();
    assert!(create(r#"{"id":"acme","limits":{"pidsMax":8}}"#));
    assert!(!create(r#"{"id":"../x"}"#));
    assert!(!create(r#"{"id":"acme","token":"mine"}"#));
    assert!(!create(r#"{"id":"acme","limits":{"pidsMax":-1}}"#));
    serde_json::from_str::<RestartTenant>("{}").unwrap();
    serde_json::from_str::<RestartTenant>(r#"{"force":true}"#).unwrap_err();
}
