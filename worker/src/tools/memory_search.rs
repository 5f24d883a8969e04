//! `memory_search`: what the agent wrote down about something.

use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::{Context, Failure, Group, Outcome, Row, Tool};
use crate::memory::Query;

/// Bytes of a query.
const MAX_QUERY: usize = 1000;
/// Results where nothing is said, as in `OpenClaw`, and at most.
const RESULTS: u64 = 6;
const MAX_RESULTS: u64 = 50;
/// What a result must score where nothing is said, as in `OpenClaw`.
const MIN_SCORE: f64 = 0.35;

#[derive(Debug)]
pub(super) struct MemorySearch;

static ROW: Row = Row {
    name: "memory_search",
    label: "Search memory",
    group: Group::Memory,
    is_read_only: true,
    description: "Searches MEMORY.md, USER.md and memory/*.md of the workspace, by words and where \
                  that is set up by meaning. Gives snippets with their lines; read more of them with \
                  memory_get.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["query"],"properties":{"query":{"type":"string","maxLength":1000},"maxResults":{"type":"integer","minimum":1,"maximum":50},"minScore":{"type":"number","minimum":0,"maximum":1}}}"#,
};

#[async_trait]
impl Tool for MemorySearch {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let text = arguments.required(&["query"], MAX_QUERY)?;
        let max = arguments.whole(&["maxResults"], 1..=MAX_RESULTS)?.unwrap_or(RESULTS);
        let min_score = arguments.fraction(&["minScore"])?.unwrap_or(MIN_SCORE);
        arguments.end()?;
        let settings = context.core.live.now().settings;
        let settings = &settings.agents.defaults.memory_search;
        if !settings.is_enabled() {
            return Err(Failure::Refused("the search of the memory is switched off".to_owned()));
        }
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let model = settings.model.clone();
        let query = Query { text, max, min_score, model: model.clone() };
        let (core, agent) = (&context.core, context.key.agent());
        let found = core.memory.search(core, agent, query).await.map_err(|err| {
            tracing::error!(error = %types::Chain(&err), "a memory could not be searched");
            Failure::Failed("the memory cannot be searched now".to_owned())
        })?;
        let mut details = json!({ "results": found.hits, "model": model });
        if let (Some(members), false) = (details.as_object_mut(), found.notes.is_empty()) {
            members.insert("notes".to_owned(), json!(found.notes));
        }
        Ok(Outcome::text(details.to_string()).with(details))
    }
}
