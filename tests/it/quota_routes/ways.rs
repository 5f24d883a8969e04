//! Every way on which a tenant can make a provider work, and how it is gone.

use api::routes::{CHAT_COMPLETIONS, EMBEDDINGS, HOOK, RESPONSES};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::provider::Step;

use super::Stage;

/// The smallest picture that is one.
const DOT: [u8; 43] = *b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Where a way begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// At a route, by its path.
    Route(&'static str),
    /// At a method.
    Method(&'static str),
    /// In what nobody asks for at that moment: jobs, and tools of a turn.
    Inside,
}

/// What is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `POST` of this text, in which `NAME` is a new name, as JSON.
    Post(&'static str),
    Stream,
    /// The method with these parameters, in which `NAME` is a new name and `JOB` the job.
    Call(&'static str),
    /// A job at its time.
    Job,
    /// A tool with these arguments, in a turn of the agent.
    Tool(&'static str, &'static str),
}

/// One way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) door: Door,
    what: What,
}

const fn post(path: &'static str, body: &'static str) -> Way {
    Way { door: Door::Route(path), what: What::Post(body) }
}

const fn method(name: &'static str, params: &'static str) -> Way {
    Way { door: Door::Method(name), what: What::Call(params) }
}

const fn tool(name: &'static str, args: &'static str) -> Way {
    Way { door: Door::Inside, what: What::Tool(name, args) }
}

/// Every one.
pub(super) const WAYS: [Way; 20] = [
    post(
        CHAT_COMPLETIONS.path,
        r#"{"model": "mock", "messages": [{"role": "user", "content": "hi"}]}"#,
    ),
    post(
        CHAT_COMPLETIONS.path,
        r#"{"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}"#,
    ),
    Way { door: Door::Route(CHAT_COMPLETIONS.path), what: What::Stream },
    post(RESPONSES.path, r#"{"model": "mock", "input": "hi"}"#),
    post(RESPONSES.path, r#"{"model": "openclaw", "input": "hi"}"#),
    post(EMBEDDINGS.path, r#"{"model": "mock", "input": "hi"}"#),
    post(HOOK.path, r#"{"message": "hi", "waitForCompletion": true}"#),
    post(HOOK.path, r#"{"text": "NAME"}"#),
    method("chat.send", r#"{"sessionKey": "NAME", "message": "hi", "idempotencyKey": "NAME"}"#),
    method(
        "agent",
        r#"{"sessionKey": "agent:main:NAME", "message": "hi", "idempotencyKey": "NAME"}"#,
    ),
    method(
        "sessions.send",
        r#"{"key": "agent:main:long", "message": "hi", "idempotencyKey": "NAME"}"#,
    ),
    method("sessions.compact", r#"{"key": "agent:main:long"}"#),
    method("cron.run", r#"{"id": "JOB", "mode": "force"}"#),
    method("wake", r#"{"mode": "now", "text": "NAME"}"#),
    Way { door: Door::Inside, what: What::Job },
    tool("image", r#"{"prompt": "what is it?", "image": "dot.gif"}"#),
    tool("memory_search", r#"{"query": "when does the gate open?"}"#),
    tool("sessions_spawn", r#"{"task": "below"}"#),
    tool(
        "sessions_send",
        r#"{"sessionKey": "agent:main:long", "message": "hi", "timeoutSeconds": 20}"#,
    ),
    tool("cron", r#"{"action": "wake", "text": "NAME", "mode": "now"}"#),
];

impl Way {
    /// Whether it begins in a turn that asks the model first.
    pub(super) const fn is_tool(&self) -> bool {
        matches!(self.what, What::Tool(..))
    }

    /// How often the provider is asked, at least: by a turn with a tool before the tool, in it, and
    /// after it.
    pub(super) const fn asks(&self) -> usize {
        if self.is_tool() { 3 } else { 1 }
    }

    /// Goes it. What comes of it is seen at the provider.
    pub(super) async fn go(&self, stage: &mut Stage) {
        let name = stage.name();
        let job = stage.job.as_str().unwrap();
        let filled = |text: &str| -> serde_json::Value {
            serde_json::from_str(&text.replace("NAME", &name).replace("JOB", job)).unwrap()
        };
        match (self.door, self.what) {
            (Door::Route(path), What::Post(body)) => {
                let body = filled(body);
                let hook = if body["text"].is_string() { "wake" } else { "agent" };
                let path = path.replace("{*id}", hook);
                let client = if path.starts_with("/hooks/") { &stage.hooks } else { &stage.client };
                client.post(&path, &body).await;
            }
            (_, What::Stream) => drop(stage.client.stream("mock", "hi").await.rest().await),
            (Door::Method(method), What::Call(params)) => {
                drop(stage.operator.call(method, filled(params)).await);
            }
            (_, What::Job) => {
                let at = Timestamp::now().checked_add(SignedDuration::from_secs(1)).unwrap();
                let job = json!({
                    "name": name, "schedule": {"kind": "at", "at": at.to_string()},
                    "sessionTarget": "isolated", "wakeMode": "now",
                    "payload": {"kind": "agentTurn", "message": "ring"},
                });
                stage.operator.ok("cron.add", job).await;
            }
            (_, What::Tool(tool, args)) => {
                let workspace = stage.gateway.root(&stage.tenant).join("agents/main/workspace");
                put(&workspace, "dot.gif", &DOT);
                put(&workspace, "MEMORY.md", b"# Memory\n\nThe gate opens at noon.\n");
                stage.turn(&[Step::call(tool, filled(args))], &name).await;
            }
            (door, what) => panic!("{what:?} is no way through {door:?}"),
        }
    }
}

/// Puts a file into the workspace, as if its agent had written it.
fn put(folder: &std::path::Path, name: &str, content: &[u8]) {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    let owner = std::fs::metadata(folder).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}
