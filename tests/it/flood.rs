//! Many streams at once, and streams that nobody reads: what one tenant starts costs the others
//! nothing and leaves nothing behind.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tests::{Client, Gateway, Provider, Stream, Tenant, Wire, peak, resident, until};
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;

/// How much a supervisor may have grown after a flood. What it keeps is the allocator's: the
/// buffers of the streams themselves are gone.
const GROWTH: u64 = 64 * MIB;

/// Streams of one flood.
const STREAMS: usize = 500;

async fn flood(client: &Client, count: usize) -> Vec<Stream> {
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let client = client.clone();
        opening.spawn(async move {
            let mut stream = client.stream("slow", "go").await;
            assert_eq!(stream.status(), StatusCode::OK);
            stream.next().await.expect("an event");
            stream
        });
    }
    opening.join_all().await
}

/// Counts a stream's events until it is told to stop.
struct Neighbour {
    stop: tokio_util::sync::CancellationToken,
    counted: tokio::task::JoinHandle<usize>,
}

impl Neighbour {
    async fn start(client: &Client) -> Self {
        let mut stream = client.stream("slow", "a neighbour").await;
        stream.next().await.expect("an event");
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let counted = tokio::spawn(async move {
            let mut count = 0;
            while !stopped.is_cancelled() {
                let event = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
                let event = event.expect("the stream goes on").expect("the stream is not cut");
                assert!(!event.contains("error"), "{event}");
                count += 1;
            }
            count
        });
        Self { stop, counted }
    }

    async fn finish(self) -> usize {
        self.stop.cancel();
        self.counted.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_that_end_at_once_leave_nothing_behind() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let (tenant, other) =
        (gateway.tenant_with("acme", &["--concurrency", "1024"]), gateway.tenant("other"));
    let (client, neighbour) = (gateway.client(&tenant), gateway.client(&other));
    let workers = [&tenant, &other].map(|tenant| gateway.worker_pid(tenant));
    let going_on = Neighbour::start(&neighbour).await;
    let supervisor = gateway.supervisor_pid();
    let before = resident(supervisor);
    for round in 1..=2 {
        let streams = flood(&client, STREAMS).await;
        neighbour.chat("mock", "in the midst of it").await.answer();
        drop(streams);
        assert_eq!(client.chat("mock", "right after").await.answer(), "right after");
        until("the provider sees every cancel", || provider.cancelled() == round * STREAMS);
    }
    client.chat("openclaw", "and a turn").await.answer();
    assert!(going_on.finish().await >= 10, "the neighbour starved");
    let after = resident(supervisor);
    assert!(after < before + GROWTH, "{} MiB, then {} MiB", before / MIB, after / MIB);
    assert_eq!(workers, [&tenant, &other].map(|tenant| gateway.worker_pid(tenant)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_turns_is_bounded_and_the_bound_is_told() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant_with("acme", &["--concurrency", "50"]);
    let client = gateway.client(&tenant);
    let streams = flood(&client, 50).await;
    let refused = client.chat("mock", "one too many").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert!(refused.headers.contains_key("retry-after"));
    drop(streams);
    until("the provider sees every cancel", || provider.cancelled() == 50);
    let again = flood(&client, 49).await;
    client.chat("mock", "there is room for one").await.answer();
    drop(again);
}

/// Asks for an endless stream and reads nothing but its head.
async fn unread(gateway: &Gateway, tenant: &Tenant) -> Wire {
    let mut wire = Wire::open_narrow(gateway.address()).await;
    let body = json!({"model": "flood", "stream": true,
        "messages": [{"role": "user", "content": "go"}]});
    let (body, token) = (body.to_string(), &tenant.token);
    wire.send(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let (status, _) = wire.head().await.expect("a head");
    assert_eq!(status, StatusCode::OK);
    wire
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_reads_wait_and_stop_nobody() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let (tenant, other) = (gateway.tenant("acme"), gateway.tenant("other"));
    let client = gateway.client(&tenant);
    client.chat("mock", "the worker is awake").await.answer();
    let supervisor = gateway.supervisor_pid();
    let before = resident(supervisor);
    let mut unread_streams = Vec::new();
    for _ in 0..12 {
        unread_streams.push(unread(&gateway, &tenant).await);
    }
    // Endless and as fast as it is taken: it comes to rest only if somebody stops taking it.
    let mut words = 0;
    until("the provider comes to rest", || {
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut words, provider.words()) == provider.words()
    });
    for client in [&client, &gateway.client(&other)] {
        for model in ["mock", "openclaw"] {
            assert_eq!(client.chat(model, "somebody reads").await.answer(), "somebody reads");
        }
        let (text, _) = client.stream("mock", "somebody reads").await.rest().await;
        assert_eq!(text, "somebody reads");
    }
    let after = resident(supervisor);
    assert!(after < before + GROWTH, "{} MiB, then {} MiB", before / MIB, after / MIB);
    drop(unread_streams);
    until("the provider sees every cancel", || provider.cancelled() == 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_long_answers_is_not_held_whole() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let client = gateway.client(&gateway.tenant("acme"));
    let turn = client.clone().header("x-openclaw-session-key", "main");
    for _ in 0..3 {
        turn.chat("openclaw", &"x".repeat(400_000)).await.answer();
    }
    let before = resident(gateway.supervisor_pid());
    let history = json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
        "params": {"sessionKey": "main"}});
    // Whether they are cut, streamed or refused: 64 times 2 MiB fit nowhere at once.
    drop(client.post("/rpc", &json!(vec![history; 64])).await);
    let most = peak(gateway.supervisor_pid());
    assert!(most < before + GROWTH, "{} MiB, then {} MiB", before / MIB, most / MIB);
}
