//! The power to run commands, as it is served on one worker's pair. The worker may have been taken
//! over: how many calls it has open and how long each message is are bounded before anything is kept.

use std::pin::Pin;
use std::sync::Arc;

use proto::host::run_request::What;
use proto::host::sandbox_server::{Sandbox, SandboxServer};
use proto::host::{RunEvent, RunRequest};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::bounds::{FIRST_MESSAGE, FRAMES, MAX_EVENT, MAX_MESSAGE};
use crate::command::Command;
use crate::error::Bound;
use crate::metrics::Kind;
use crate::programs::Programs;
use crate::run::Run;

/// The power to run commands of one tenant.
pub type Service = SandboxServer<Power>;

/// See [`Service`].
#[derive(Debug)]
pub struct Power(Arc<Programs>);

impl Programs {
    /// The power to run this tenant's commands.
    pub fn service(self: &Arc<Self>) -> Service {
        SandboxServer::new(Power(Arc::clone(self)))
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_EVENT)
    }
}

#[tonic::async_trait]
impl Sandbox for Power {
    type RunStream = Pin<Box<dyn Stream<Item = Result<RunEvent, Status>> + Send>>;

    async fn run(
        &self,
        call: Request<Streaming<RunRequest>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let programs = &self.0;
        let refused = |err: Error| {
            programs.shared.metrics.refused(Kind::Command, err.reason());
            programs.note_refusal(&format!("exec refused: {err}"));
            err.status()
        };
        let permit = Arc::clone(&programs.calls).try_acquire_owned();
        let permit = permit.map_err(|_full| refused(Error::Full(Bound::Calls)))?;
        let mut requests = call.into_inner();
        let command = first(&mut requests).await?.map_err(refused)?;
        let (events, received) = mpsc::channel(FRAMES);
        let run = Run { programs: Arc::clone(programs), command, requests, events };
        drop(programs.shared.tasks.spawn(async move {
            run.serve().await;
            drop(permit);
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(received))))
    }
}

/// The command that a call begins with. Nothing that is larger than a command may be outlives this.
async fn first(requests: &mut Streaming<RunRequest>) -> Result<Result<Command, Error>, Status> {
    let late = |_elapsed| Status::deadline_exceeded("a call begins with its command");
    let first = tokio::time::timeout(FIRST_MESSAGE, requests.message()).await.map_err(late)??;
    Ok(match first.and_then(|it| it.what) {
        Some(What::Command(wire)) => Command::parse(wire),
        Some(What::Input(_) | What::EndOfInput(_) | What::Resize(_) | What::Signal(_)) | None => {
            Err(Error::Invalid("a call begins with its command".to_owned()))
        }
    })
}

#[cfg(test)]
mod tests;
