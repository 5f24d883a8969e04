//! What is read of a worker that answers with more than a whole one would.

use std::pin::Pin;

use proto::worker::call_reply::Outcome;
use proto::worker::worker_event::What;
use proto::worker::worker_server::{Worker as Service, WorkerServer};
use proto::worker::{
    ConfigureReply, DrainReply, Event, HearReply, StartReply, StartRequest, WakeReply,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response};

use super::*;

type Parts<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers everything with so many bytes.
struct Long(usize);

#[tonic::async_trait]
impl Service for Long {
    type ServeStream = Parts<ServePart>;
    type EventsStream = Parts<WorkerEvent>;
    type RepliesStream = Parts<CallReply>;
    type ExportStream = Parts<ArchivePart>;
    type OutboundStream = Parts<OutboundPart>;

    async fn configure(
        &self,
        _: Request<Configuration>,
    ) -> Result<Response<ConfigureReply>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn events(
        &self,
        _: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let payload = vec![0; self.0].into();
        let event = Event { payload, ..Event::default() };
        let event = WorkerEvent { what: Some(What::Event(event)) };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(event)))))
    }

    async fn replies(
        &self,
        request: Request<CallRequest>,
    ) -> Result<Response<Self::RepliesStream>, Status> {
        let reply = self.call(request).await?.into_inner();
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(reply)))))
    }

    async fn wake(&self, _: Request<WakeRequest>) -> Result<Response<WakeReply>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn start(&self, _: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn call(&self, _: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let outcome = Some(Outcome::Result(vec![0; self.0].into()));
        Ok(Response::new(CallReply { outcome, events: 0 }))
    }

    async fn serve(&self, _: Request<ServeRequest>) -> Result<Response<Self::ServeStream>, Status> {
        let part = ServePart { head: None, data: vec![0; self.0].into() };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(part)))))
    }

    async fn export(
        &self,
        _: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let part = ArchivePart { data: vec![0; self.0].into(), summary: None };
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(part)))))
    }

    async fn import(
        &self,
        _: Request<Streaming<ArchivePart>>,
    ) -> Result<Response<ImportReply>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn hear(&self, _: Request<ChannelEvent>) -> Result<Response<HearReply>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn outbound(
        &self,
        _: Request<OutboundRequest>,
    ) -> Result<Response<Self::OutboundStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// The codes of a call and of a part of so many bytes; a reply of several is bounded as a call is,
/// an event and a part of an archive as a part is.
async fn check(bytes: usize) -> (Code, Code) {
    let tasks = Tasks::default();
    let (near, far) = sandbox::pairs::pair().unwrap();
    let service = WorkerServer::new(Long(bytes)).max_encoding_message_size(usize::MAX);
    let scope = tasks.clone();
    drop(tasks.spawn(async move { pair::serve(service, far, &scope).await }));
    let connection = pair::connect(near, &tasks).await.unwrap();
    let code = |status: Result<(), Status>| status.map_or_else(|it| it.code(), |()| Code::Ok);
    let call = client(&connection).call(CallRequest::default()).await.map(drop);
    let mut parts = reading(&connection, limits::MAX_PART);
    let mut parts = parts.serve(ServeRequest::default()).await.unwrap().into_inner();
    let part = parts.next().await.unwrap().map(drop);
    let mut parts = reading(&connection, limits::MAX_PART);
    let mut events = parts.events(EventsRequest {}).await.unwrap().into_inner();
    let event = events.next().await.unwrap().map(drop);
    let mut parts = reading(&connection, limits::MAX_PART);
    let mut archive = parts.export(ExportRequest {}).await.unwrap().into_inner();
    let archive = archive.next().await.unwrap().map(drop);
    let mut replies = client(&connection);
    let mut replies = replies.replies(CallRequest::default()).await.unwrap().into_inner();
    let reply = replies.next().await.unwrap().map(drop);
    tasks.stop();
    let (call, part) = (code(call), code(part));
    assert_eq!((call, part, part), (code(reply), code(event), code(archive)));
    (call, part)
}

#[tokio::test]
async fn messages_of_a_worker_are_bounded_by_what_a_whole_one_sends() {
    let refused = Code::OutOfRange;
    assert_eq!(check(limits::MAX_PART).await, (Code::Ok, Code::Ok));
    assert_eq!(check(limits::MAX_PART + (16 << 10)).await, (Code::Ok, refused));
    assert_eq!(check(limits::MAX_RESULT).await, (Code::Ok, refused));
    assert_eq!(check(limits::MAX_RESULT + (16 << 10)).await, (refused, refused));
}
