//! Programs on behalf of skills, in the tenant's sandbox. What they may do is the supervisor's to
//! judge, like that of every other program.

use std::time::Duration;

use proto::host::run_event::What;
use proto::host::run_request::What as Asked;
use proto::host::{Command, Ended, RunRequest, Variable};
use tokio::sync::mpsc;
use tonic::Status;
use types::AgentId;

use super::install::Installer;
use crate::service::Core;

/// Bytes of each output that are kept, its end: that is where an installer says what went wrong.
const MAX_OUTPUT: usize = 32 << 10;

/// What happens where somebody must agree to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    /// It is waited for.
    Awaited,
    /// The program is given up: nobody has asked for it, and nobody is asked.
    GivenUp,
}

/// What came of a program.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) ended: Ended,
}

impl Ran {
    /// Whether it did what it was for.
    pub(crate) fn is_fine(&self) -> bool {
        self.ended.reason == "exit" && self.ended.code == 0
    }
}

/// Runs a program to its end.
pub(super) async fn run(
    core: &Core,
    agent: &AgentId,
    installer: Installer,
    (timeout, approval): (Duration, Approval),
) -> Result<Ran, Status> {
    let variable = |(name, value): (&str, String)| Variable { name: name.to_owned(), value };
    let command = Command {
        agent: agent.to_string(),
        argv: installer.argv,
        env: installer.env.into_iter().map(variable).collect(),
        cwd: "/home/agent".to_owned(),
        timeout_s: u32::try_from(timeout.as_secs().max(1)).unwrap_or(u32::MAX),
        request_id: format!("req_{}", uuid::Uuid::new_v4().simple()),
        ..Command::default()
    };
    // It has no input: the sender goes with the first message.
    let (sender, requests) = mpsc::channel(1);
    let first = RunRequest { what: Some(Asked::Command(command)) };
    sender.try_send(first).map_err(|_full| Status::internal("no room"))?;
    let _input = sender;
    let mut events = core.sandbox.run(requests).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(event) = events.message().await? {
        match event.what {
            Some(What::Stdout(bytes)) => keep(&mut stdout, &bytes),
            Some(What::Stderr(bytes)) => keep(&mut stderr, &bytes),
            Some(What::Ended(ended)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                return Ok(Ran { stdout: text(&stdout), stderr: text(&stderr), ended });
            }
            Some(What::Waiting(_)) if approval == Approval::GivenUp => {
                return Err(Status::failed_precondition("somebody would have to agree"));
            }
            Some(What::Waiting(_) | What::Running(_)) | None => {}
        }
    }
    Err(Status::unavailable("the program was lost"))
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    kept.drain(..kept.len().saturating_sub(MAX_OUTPUT));
}
