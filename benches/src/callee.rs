//! A worker that answers calls with one function and nothing else: the far end of a bare hop.

use std::pin::Pin;

use bytes::Bytes;
use proto::worker::worker_server::{Worker, WorkerServer};
use proto::worker::{
    ArchivePart, CallReply, CallRequest, ChannelEvent, Configuration, ConfigureReply, DrainReply,
    DrainRequest, EventsRequest, ExportRequest, HearReply, ImportReply, OutboundPart,
    OutboundRequest, ServePart, ServeRequest, StartReply, StartRequest, WakeReply, WakeRequest,
    WorkerEvent, call_reply,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

type Parts<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

struct Callee<F>(F);

/// A service that answers `Worker.Call` with what `answer` makes of the parameters.
pub fn service<F, A>(answer: F) -> WorkerServer<impl Worker>
where
    F: Fn(Bytes) -> A + Send + Sync + 'static,
    A: Future<Output = Bytes> + Send + 'static,
{
    WorkerServer::new(Callee(answer))
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("bench"))
}

#[tonic::async_trait]
impl<F, A> Worker for Callee<F>
where
    F: Fn(Bytes) -> A + Send + Sync + 'static,
    A: Future<Output = Bytes> + Send + 'static,
{
    type ServeStream = Parts<ServePart>;
    type EventsStream = Parts<WorkerEvent>;
    type RepliesStream = Parts<CallReply>;
    type ExportStream = Parts<ArchivePart>;
    type OutboundStream = Parts<OutboundPart>;

    async fn call(&self, call: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let result = self.0(call.into_inner().params).await;
        let outcome = Some(call_reply::Outcome::Result(result));
        Ok(Response::new(CallReply { outcome, events: 0 }))
    }

    async fn start(&self, _: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        not_here()
    }

    async fn configure(
        &self,
        _: Request<Configuration>,
    ) -> Result<Response<ConfigureReply>, Status> {
        not_here()
    }

    async fn events(
        &self,
        _: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        not_here()
    }

    async fn replies(
        &self,
        _: Request<CallRequest>,
    ) -> Result<Response<Self::RepliesStream>, Status> {
        not_here()
    }

    async fn wake(&self, _: Request<WakeRequest>) -> Result<Response<WakeReply>, Status> {
        not_here()
    }

    async fn serve(&self, _: Request<ServeRequest>) -> Result<Response<Self::ServeStream>, Status> {
        not_here()
    }

    async fn export(
        &self,
        _: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        not_here()
    }

    async fn import(
        &self,
        _: Request<Streaming<ArchivePart>>,
    ) -> Result<Response<ImportReply>, Status> {
        not_here()
    }

    async fn hear(&self, _: Request<ChannelEvent>) -> Result<Response<HearReply>, Status> {
        not_here()
    }

    async fn outbound(
        &self,
        _: Request<OutboundRequest>,
    ) -> Result<Response<Self::OutboundStream>, Status> {
        not_here()
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        not_here()
    }
}
