//! gRPC over one socket pair: unary calls of 128 bytes to another thread and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::worker::CallRequest;
use proto::worker::worker_client::WorkerClient;
use runtime::{Tasks, pair};

use crate::callee;
use crate::load::Outcome;
use crate::stats::Spread;

/// `callers` at once, each with its next call when the last is answered, for `time`.
pub async fn unary(callers: usize, time: Duration) -> Outcome {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(pair::serve(callee::service(std::future::ready), far, &Tasks::default()))
    });
    let tasks = Tasks::default();
    let client = WorkerClient::new(pair::connect(near, &tasks).await.unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..callers).map(|_| tokio::spawn(caller(client.clone(), Arc::clone(&over)))).collect();
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut nanos = Vec::new();
    for caller in callers {
        nanos.extend(caller.await.unwrap());
    }
    drop(client);
    assert!(tasks.shut_down(Duration::from_secs(5)).await);
    server.join().unwrap().unwrap();
    Outcome { per_second: nanos.len() as f64 / time.as_secs_f64(), latency: Spread::of(nanos) }
}

async fn caller(mut client: WorkerClient<pair::Client>, over: Arc<AtomicBool>) -> Vec<u64> {
    let params = bytes::Bytes::from(vec![b'x'; 128]);
    let mut nanos = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let call = CallRequest { params: params.clone(), ..CallRequest::default() };
        client.call(call).await.unwrap();
        nanos.push(u64::try_from(sent.elapsed().as_nanos()).unwrap());
    }
    nanos
}
