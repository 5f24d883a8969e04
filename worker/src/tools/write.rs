//! `write`: a whole file, new or in place of the one that is there.

use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::Arguments;
use super::paths::{MAX_PATH, Place};
use super::{Context, Failure, Group, Outcome, Row, Tool, files};

/// Bytes of a file that a model writes or changes.
pub(super) const MAX_CONTENT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Write;

static ROW: Row = Row {
    name: "write",
    label: "Write",
    group: Group::Fs,
    is_read_only: false,
    description: "Writes a file of the workspace (/workspace) or the home (/home/agent), at most 1 MiB. \
                  What is there is replaced; directories on the way are made.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["path","content"],"properties":{"path":{"type":"string","description":"The file, relative to the workspace or absolute."},"content":{"type":"string","description":"All of it."}}}"#,
};

#[async_trait]
impl Tool for Write {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let path = arguments.required(&["path", "file_path"], MAX_PATH)?;
        let text = arguments.required(&["content"], MAX_CONTENT)?;
        arguments.end()?;
        let place = Place::parse("path", &path)?;
        let agent = context.key.agent().clone();
        files::job(context, move |root| {
            files::replace(root, &agent, &place, text.as_bytes())?;
            let (shown, bytes) = (place.shown(), text.len());
            let details = json!({ "path": shown, "bytes": bytes });
            Ok(Outcome::text(format!("Wrote {bytes} bytes to {shown}")).with(details))
        })
        .await
    }
}
