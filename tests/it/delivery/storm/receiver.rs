//! Where results of jobs are posted: it takes them, refuses them, hangs up or keeps silent for a while,
//! at random, and remembers what it was brought.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::random;

/// The longest silence, in milliseconds.
const SILENCE: u64 = 200;

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub(in crate::delivery) struct Posted {
    /// By which a receiver knows a repetition.
    pub(in crate::delivery) ids: BTreeSet<String>,
    pub(in crate::delivery) bodies: BTreeSet<String>,
    /// How often it came.
    pub(in crate::delivery) arrivals: usize,
}

type Runs = Arc<Mutex<HashMap<String, Posted>>>;

/// A receiver; it lives as long as the test.
#[derive(Debug, Clone)]
pub(in crate::delivery) struct Receiver {
    pub(in crate::delivery) url: String,
    runs: Runs,
}

impl Receiver {
    pub(in crate::delivery) async fn start(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap());
        let receiver = Self { url, runs: Arc::default() };
        drop(tokio::spawn(serve(listener, Arc::clone(&receiver.runs))));
        receiver
    }

    /// What came of the run, if anything did.
    pub(in crate::delivery) fn of(&self, run: &str) -> Option<Posted> {
        self.runs.lock().unwrap().get(run).cloned()
    }

    /// Requests, and runs that they were of.
    pub(in crate::delivery) fn counts(&self) -> (usize, usize) {
        let runs = self.runs.lock().unwrap();
        (runs.values().map(|it| it.arrivals).sum(), runs.len())
    }
}

async fn serve(listener: TcpListener, runs: Runs) {
    while let Ok((stream, _)) = listener.accept().await {
        let runs = Arc::clone(&runs);
        let service = hyper::service::service_fn(move |request| taken(request, Arc::clone(&runs)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // It is cut off from both ends, which is what this is about.
        drop(tokio::spawn(async move { connection.await.unwrap_or_default() }));
    }
}

fn hung_up() -> std::io::Error {
    std::io::Error::other("hung up")
}

async fn taken(request: Request<Incoming>, runs: Runs) -> std::io::Result<Response<Empty<Bytes>>> {
    let id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
    // Cut off in its middle it has not arrived.
    let body = request.into_body().collect().await.map_err(|_cut| hung_up())?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    let run = told["runId"].as_str().unwrap().to_owned();
    {
        let mut runs = runs.lock().unwrap();
        let posted = runs.entry(run).or_default();
        posted.arrivals += 1;
        posted.ids.insert(id);
        posted.bodies.insert(body);
    }
    let status = match random(20) {
        0 => return Err(hung_up()),
        1 => 503,
        2..8 => {
            tokio::time::sleep(Duration::from_millis(random(SILENCE))).await;
            204
        }
        _ => 204,
    };
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}
