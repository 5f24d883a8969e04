//! The table of rules and what is left by them.

use serde_json::{Value, json};

use super::*;

const fn row(name: &'static str, group: Group) -> Row {
    Row { name, label: name, group, is_read_only: false, description: "", parameters: "{}" }
}

static ROWS: [Row; 8] = [
    row("read", Group::Fs),
    row("write", Group::Fs),
    row("exec", Group::Runtime),
    row("sessions_send", Group::Sessions),
    row("session_status", Group::Sessions),
    row("cron", Group::Automation),
    row("message", Group::Messaging),
    row("agents_list", Group::Agents),
];

const ALL: &[&str] =
    &["agents_list", "cron", "exec", "message", "read", "session_status", "sessions_send", "write"];

fn rules(value: Value) -> Rules {
    serde_json::from_value(value).unwrap()
}

#[test]
fn rules_and_what_they_leave() {
    let check = |tenant: Value, agent: Value, wanted: &[&str]| {
        let (tenant_rules, agent_rules) = (rules(tenant.clone()), rules(agent.clone()));
        let left = allowed(&ROWS, &tenant_rules, Some(&agent_rules));
        assert_eq!(left.names(), wanted, "{tenant} {agent}");
    };
    let none = || json!({});
    check(none(), none(), ALL);
    check(json!({"profile": "minimal"}), none(), &["session_status"]);
    let coding = ["cron", "exec", "read", "session_status", "sessions_send", "write"];
    check(json!({"profile": "coding"}), none(), &coding);
    let messaging = ["message", "session_status", "sessions_send"];
    check(json!({"profile": "messaging"}), none(), &messaging);
    check(json!({"allow": ["group:fs", "Exec"]}), none(), &["exec", "read", "write"]);
    check(json!({"allow": []}), none(), &[]);
    check(json!({"allow": ["*"], "deny": ["*"]}), none(), &[]);
    check(json!({"profile": "minimal", "allow": ["*"]}), none(), &["session_status"]);
    // What an agent says takes the place of what the tenant says, but for what is forbidden.
    check(json!({"profile": "minimal"}), json!({"profile": "full"}), ALL);
    check(json!({"allow": ["read"]}), json!({"allow": ["write"]}), &["write"]);
    check(json!({"deny": ["write"]}), json!({"allow": ["group:FS"], "deny": []}), &["read"]);
    let both = json!({"deny": ["group:runtime", "group:sessions"]});
    check(both, json!({"deny": ["write", "message", "cron"]}), &["agents_list", "read"]);
    // Part of a name, and a name from elsewhere.
    check(
        json!({"deny": ["session*", "*xec", "a*_l*t", "group:m*"]}),
        none(),
        &["cron", "read", "write"],
    );
    let aliases = json!({"deny": ["Bash", " automations ", "*e*d*", "write"]});
    check(aliases, none(), &["agents_list", "message", "session_status"]);
    check(json!({"allow": ["w*e", "r*x", "*wri"]}), none(), &["write"]);
    // A word that means nothing allows and forbids nothing.
    check(json!({"allow": ["nope", "group:", "group:nope", ""]}), none(), &[]);
    check(json!({"deny": ["nope", "group:ö"]}), none(), ALL);
}

#[test]
fn a_set_only_shrinks() {
    let all = listed(&ROWS, &["*".to_owned()]);
    let some = listed(&ROWS, &["group:fs".to_owned(), "cron".to_owned(), "gone".to_owned()]);
    assert_eq!(all.and(&some), some);
    assert_eq!(some.and(&all).without(&["cron", "exec"]).names(), ["read", "write"]);
    assert!(Allowed::default().and(&all).is_empty());
}
