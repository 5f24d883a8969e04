//! Which entries of a transcript a model gets to see.

use serde_json::json;

use super::super::prompt::text_of;
use super::*;

fn read_lines(lines: &[serde_json::Value]) -> Vec<String> {
    let text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let file = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).unwrap();
    read(&file, MAX_CHARS).unwrap().messages.iter().map(text_of).collect()
}

fn line(id: &str, parent: Option<&str>, text: &str) -> serde_json::Value {
    let message = json!({"role": "user", "content": text});
    json!({"type": "message", "id": id, "parentId": parent, "message": message})
}

#[test]
fn a_branch_is_followed_and_others_are_not() {
    let lines = [
        json!({"type": "session", "version": 3, "id": "s"}),
        line("a", None, "one"),
        line("b", Some("a"), "abandoned"),
        line("c", Some("a"), "two"),
        json!({"type": "model_change", "id": "d", "parentId": "c", "modelId": "m"}),
        line("e", Some("d"), "three"),
    ];
    assert_eq!(read_lines(&lines), ["one", "two", "three"]);
}

#[test]
fn a_compaction_stands_for_what_it_replaced() {
    let compaction = json!({"type": "compaction", "id": "d", "parentId": "c", "summary": "S",
        "firstKeptEntryId": "b"});
    let lines = [
        line("a", None, "gone"),
        line("b", Some("a"), "kept"),
        line("c", Some("b"), "kept too"),
        compaction,
        line("e", Some("d"), "new"),
    ];
    let summary = "Summary of the conversation before this point:\n\nS";
    assert_eq!(read_lines(&lines), [summary, "kept", "kept too", "new"]);
}

#[test]
fn the_newest_messages_within_the_budget_are_kept() {
    let long = "ü".repeat(MAX_CHARS / 2);
    let lines = [line("a", None, &long), line("b", Some("a"), &long), line("c", Some("b"), "x")];
    assert_eq!(read_lines(&lines), [long.as_str(), "x"]);
    let message = |text: &str| text_message(Role::User, text.to_owned());
    let kept = newest(vec![message(&long), message(&long), message("x")]);
    assert_eq!(kept.len(), 2);
}

#[test]
fn calls_without_answers_and_answers_without_calls_are_left_out() {
    let call = |ids: &[&str], text: &str| Message {
        tool_calls: ids
            .iter()
            .map(|id| ToolCall { id: (*id).into(), ..ToolCall::default() })
            .collect(),
        parts: if text.is_empty() {
            Vec::new()
        } else {
            text_message(Role::User, text.into()).parts
        },
        role: Role::Assistant.into(),
        ..Message::default()
    };
    let answer =
        |id: &str| Message { tool_call_id: id.into(), ..text_message(Role::Tool, "r".into()) };
    let user = || text_message(Role::User, "u".into());
    let check = |before: Vec<Message>, after: Vec<Message>| assert_eq!(settle(before), after);
    let whole = || vec![user(), call(&["1", "2"], ""), answer("2"), answer("1")];
    check(whole(), whole());
    check(vec![user(), call(&["1", "2"], "t"), answer("1")], vec![user(), call(&[], "t")]);
    check(vec![user(), call(&["1"], ""), user()], vec![user()]);
    check(vec![answer("1"), user()], vec![user()]);
    let other = Message { tool_call_id: "1".into(), ..text_message(Role::Tool, "late".into()) };
    check(
        vec![user(), call(&["1"], ""), answer("1"), other],
        vec![user(), call(&["1"], ""), answer("1")],
    );
}

#[test]
fn what_another_session_has_sent_is_marked() {
    let sent = |id: &str, parent: Option<&str>, provenance: serde_json::Value| {
        let mut line = line(id, parent, "do it");
        line["message"]["provenance"] = provenance;
        line
    };
    let by = |tool: &str, key: &str| json!({"kind": "internal_system", "sourceTool": tool, "sourceSessionKey": key});
    let lines = [
        sent("a", None, by("sessions_send", "agent:ops:main")),
        sent("b", Some("a"), json!({"kind": "internal_system", "sourceTool": "sessions_send"})),
        sent("c", Some("b"), by("cron", "agent:ops:main")),
        sent("d", Some("c"), by("sessions_send", "x]\n[y")),
    ];
    let wanted = [
        "[from session agent:ops:main]\ndo it",
        "[from session another]\ndo it",
        "do it",
        "[from session xy]\ndo it",
    ];
    assert_eq!(read_lines(&lines), wanted);
}
