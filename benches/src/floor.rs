//! The least that a gateway of this shape can cost: an axum proxy, one gRPC hop over a socket pair
//! to another thread, and a pooled client to the provider. No token, limit, ledger or log.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proto::worker::worker_client::WorkerClient;
use proto::worker::worker_server::{Worker, WorkerServer};
use proto::worker::{
    CallReply, CallRequest, DrainReply, DrainRequest, ServePart, ServeRequest, StartReply,
    StartRequest, call_reply,
};
use runtime::{Tasks, pair};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

struct Hop {
    client: Client<HttpConnector, Full<Bytes>>,
    provider: SocketAddr,
}

#[tonic::async_trait]
impl Worker for Hop {
    type ServeStream = Pin<Box<dyn Stream<Item = Result<ServePart, Status>> + Send>>;

    async fn call(&self, call: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let request = http::Request::post(format!("http://{}/v1/chat/completions", self.provider))
            .body(Full::new(call.into_inner().params))
            .unwrap();
        let reply = self.client.request(request).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        Ok(Response::new(CallReply { outcome: Some(call_reply::Outcome::Result(body)) }))
    }

    async fn start(&self, _: Request<StartRequest>) -> Result<Response<StartReply>, Status> {
        Err(Status::unimplemented("floor"))
    }

    async fn serve(&self, _: Request<ServeRequest>) -> Result<Response<Self::ServeStream>, Status> {
        Err(Status::unimplemented("floor"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        Err(Status::unimplemented("floor"))
    }
}

/// Starts the proxy in front of `provider` and gives its address.
pub fn start(provider: SocketAddr) -> SocketAddr {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let client = Client::builder(TokioExecutor::new()).build(connector);
            pair::serve(WorkerServer::new(Hop { client, provider }), far, &Tasks::default())
                .await
                .unwrap();
        });
    });
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let client = WorkerClient::new(pair::connect(near, &Tasks::default()).await.unwrap());
            let app = Router::new().route("/v1/chat/completions", post(forward)).with_state(client);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(
                axum::serve::ListenerExt::tap_io(listener, |io| {
                    io.set_nodelay(true).unwrap();
                }),
                app,
            )
            .await
            .unwrap();
        });
    });
    receiver.recv().unwrap()
}

async fn forward(State(mut hop): State<WorkerClient<pair::Client>>, body: Bytes) -> Vec<u8> {
    let call = CallRequest { method: String::new(), params: body };
    match hop.call(call).await.unwrap().into_inner().outcome {
        Some(call_reply::Outcome::Result(body)) => body.to_vec(),
        other => panic!("{other:?}"),
    }
}
