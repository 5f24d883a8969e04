//! `memory_get`: lines of a file that is the agent's memory.

use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::paths::{MAX_PATH, Place, Root};
use super::read::{LINES, MAX_LINE, look};
use super::{Context, Failure, Group, Outcome, Row, Tool, files};
use crate::memory::is_memory;

#[derive(Debug)]
pub(super) struct MemoryGet;

static ROW: Row = Row {
    name: "memory_get",
    label: "Read memory",
    group: Group::Memory,
    is_read_only: true,
    description: "Reads lines of MEMORY.md, USER.md or memory/*.md of the workspace. A file that is \
                  not there is empty.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["path"],"properties":{"path":{"type":"string"},"from":{"type":"integer","minimum":1,"description":"The first line, counted from 1."},"lines":{"type":"integer","minimum":1,"maximum":2000}}}"#,
};

#[async_trait]
impl Tool for MemoryGet {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let path = arguments.required(&["path"], MAX_PATH)?;
        let first = arguments.whole(&["from"], 1..=MAX_LINE)?.unwrap_or(1);
        let lines = arguments.whole(&["lines"], 1..=LINES)?.unwrap_or(LINES);
        arguments.end()?;
        let place = Place::parse("path", &path)?;
        if place.root() != Root::Workspace || !is_memory(place.names()) {
            let what = "path must be MEMORY.md, USER.md or a file memory/*.md";
            return Err(Failure::Refused(what.to_owned()));
        }
        let agent = context.key.agent().clone();
        files::job(context, move |root| {
            if !files::is_taken(root, &agent, &place)? {
                return Ok(Outcome::text("").with(json!({ "path": place.shown(), "lines": 0 })));
            }
            look(files::open(root, &agent, &place)?, &place, first, lines)
        })
        .await
    }
}
