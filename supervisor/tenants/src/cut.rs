//! Runs whose end their worker did not live to tell: the gateway tells it.
//!
//! Looks at nothing of a run but which one it is and whether it has ended.

use std::collections::HashMap;

use hub::Message;
use serde::{Deserialize, Serialize};

/// Runs of one worker that are kept in mind: as many as a worker lets under way at once.
const MAX_RUNS: usize = 512;

/// The longest id or key that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// The event that tells of runs.
const CHAT: &str = "chat";

/// The runs that a worker has begun to tell of and not ended.
#[derive(Debug, Default)]
pub(crate) struct Runs(HashMap<String, Run>);

#[derive(Debug)]
struct Run {
    session_key: String,
    agent_id: Option<String>,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    run_id: String,
    session_key: String,
    agent_id: Option<String>,
    #[serde(default)]
    seq: u64,
    state: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cut<'a> {
    run_id: &'a str,
    session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    seq: u64,
    state: &'static str,
    stop_reason: &'static str,
    error_message: &'static str,
    error_kind: &'static str,
}

impl Runs {
    /// Takes note of what a worker says.
    pub(crate) fn note(&mut self, message: &Message) {
        if message.event.name != CHAT {
            return;
        }
        // What is not told as runs are told is nobody's run.
        let Ok(told) = serde_json::from_slice::<Told>(&message.payload) else { return };
        let Told { run_id, session_key, agent_id, seq, state } = told;
        if matches!(&*state, "final" | "error" | "aborted") {
            self.0.remove(&run_id);
            return;
        }
        let agent = agent_id.as_ref().map_or(0, String::len);
        let fits = [run_id.len(), session_key.len(), agent].into_iter().all(|it| it <= MAX_TEXT);
        if fits && (self.0.len() < MAX_RUNS || self.0.contains_key(&run_id)) {
            self.0.insert(run_id, Run { session_key, agent_id, seq });
        }
    }

    /// What is to be said when the worker is gone, but for runs that go on elsewhere.
    pub(crate) fn cut(self, goes_on: impl Fn(&str) -> bool) -> Vec<Message> {
        let Some(event) = api::events::event(CHAT) else { return Vec::new() };
        let ends = self.0.into_iter().filter(|(run_id, _)| !goes_on(run_id)).filter_map(
            |(run_id, run)| {
                let cut = Cut {
                    run_id: &run_id,
                    session_key: &run.session_key,
                    agent_id: run.agent_id.as_deref(),
                    seq: run.seq.saturating_add(1),
                    state: "error",
                    stop_reason: "error",
                    error_message: "the run was cut short: its worker ended",
                    error_kind: "unknown",
                };
                match serde_json::to_vec(&cut) {
                    Ok(payload) => Some(Message {
                        event,
                        payload: payload.into(),
                        session_key: run.session_key,
                    }),
                    Err(err) => {
                        tracing::error!(error = %err, "an event has no JSON form");
                        None
                    }
                }
            },
        );
        ends.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message(name: &str, payload: &Value) -> Message {
        let event = api::events::event(name).unwrap();
        Message { event, payload: payload.to_string().into(), session_key: String::new() }
    }

    fn chat(run: &str, seq: u64, state: &str) -> Message {
        let chat = json!({"runId": run, "sessionKey": "agent:main:x", "agentId": "main",
            "seq": seq, "state": state, "message": {"content": []}});
        message("chat", &chat)
    }

    #[test]
    fn who_has_begun_and_not_ended_is_told_of() {
        let check = |told: &[Message], cut: &[(&str, u64)]| {
            let mut runs = Runs::default();
            for it in told {
                runs.note(it);
            }
            let ends: Vec<Value> = runs
                .cut(|_| false)
                .iter()
                .map(|it| serde_json::from_slice(&it.payload).unwrap())
                .collect();
            let ids: Vec<_> = ends
                .iter()
                .map(|it| (it["runId"].as_str().unwrap(), it["seq"].as_u64().unwrap()))
                .collect();
            assert_eq!(ids, cut, "{told:?}");
            assert!(ends.iter().all(|it| it["state"] == "error" && it["agentId"] == "main"));
        };
        check(&[], &[]);
        check(&[chat("a", 1, "status"), chat("a", 2, "delta")], &[("a", 3)]);
        for end in ["final", "error", "aborted"] {
            let told = [chat("a", 1, "delta"), chat("b", 1, "status"), chat("a", 2, end)];
            check(&told, &[("b", 2)]);
        }
        check(&[message("agent", &json!({"runId": "a", "state": "delta"}))], &[]);
        check(&[message("chat", &json!({"runId": 1, "state": "delta"}))], &[]);
        check(&[chat(&"x".repeat(MAX_TEXT + 1), 1, "delta")], &[]);
    }

    #[test]
    fn what_is_kept_in_mind_is_bounded() {
        let mut runs = Runs::default();
        for n in 0..MAX_RUNS + 10 {
            runs.note(&chat(&n.to_string(), 1, "status"));
        }
        runs.note(&chat("0", 7, "delta"));
        assert_eq!(runs.0.get("0").map(|run| run.seq), Some(7));
        assert_eq!(runs.cut(|_| false).len(), MAX_RUNS);
    }
}
