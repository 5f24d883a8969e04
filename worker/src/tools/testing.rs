//! A run of the agent `main` on a directory of its own, whose tools the test calls.

use serde_json::Value;
use tokio::sync::mpsc;

use super::{Allowed, Content, Context, Failure, Outcome, rows};
use crate::agent::SessionKey;
use crate::testing::Harness;

/// A worker, and what calls of its tools are told.
pub(crate) struct Bench {
    pub(crate) harness: Harness,
    pub(crate) context: Context,
    pub(super) updates: mpsc::Receiver<String>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::over(Harness::new().await)
    }

    /// A run of a worker that was started.
    pub(crate) fn over(harness: Harness) -> Self {
        let (sender, updates) = mpsc::channel(16);
        let context = Context {
            core: harness.core.clone(),
            key: SessionKey::parse("main").unwrap(),
            run_id: "run".to_owned(),
            request_id: crate::upcalls::own_id(),
            call_id: "call".to_owned(),
            depth: 0,
            allowed: Allowed::of(rows().map(|row| row.name)),
            updates: sender,
        };
        Self { harness, context, updates }
    }

    pub(super) fn workspace(&self, name: &str) -> std::path::PathBuf {
        self.harness.root.join("agents/main/workspace").join(name)
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Result<Outcome, Failure> {
        call(self.context.clone(), tool, arguments).await
    }

    /// Calls a tool, which must answer with text.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> String {
        text(&self.call(tool, arguments).await.unwrap())
    }

    /// Calls a tool, which must refuse.
    pub(super) async fn refusal(&self, tool: &str, arguments: Value) -> String {
        self.call(tool, arguments).await.unwrap_err().to_string()
    }
}

/// Calls a tool.
pub(crate) async fn call(
    context: Context,
    tool: &str,
    arguments: Value,
) -> Result<Outcome, Failure> {
    super::find(tool).expect("there is such a tool").call(&context, arguments).await
}

/// The text of an outcome.
pub(super) fn text(outcome: &Outcome) -> String {
    let parts = outcome.content.iter().map(|part| match part {
        Content::Text(text) => text.clone(),
        Content::Image { mime, .. } => format!("<{mime}>"),
    });
    parts.collect::<Vec<_>>().join("\n")
}
