//! The least that a gateway of this shape can cost: an axum proxy, one gRPC hop over a socket pair
//! to another thread, and a pooled client to the provider. No token, limit, ledger or log.

use std::net::SocketAddr;
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
use proto::worker::{CallRequest, call_reply};
use runtime::{Tasks, pair};

use crate::callee;

async fn ask(
    client: Client<HttpConnector, Full<Bytes>>,
    provider: SocketAddr,
    body: Bytes,
) -> Bytes {
    let request = http::Request::post(format!("http://{provider}/v1/chat/completions"))
        .body(Full::new(body))
        .unwrap();
    client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
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
            let hop = callee::service(move |body| ask(client.clone(), provider, body));
            pair::serve(hop, far, &Tasks::default()).await.unwrap();
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
    let call = CallRequest { params: body, ..CallRequest::default() };
    match hop.call(call).await.unwrap().into_inner().outcome {
        Some(call_reply::Outcome::Result(body)) => body.to_vec(),
        other => panic!("{other:?}"),
    }
}
