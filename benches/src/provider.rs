//! A mock provider that costs as little as a provider can: canned replies on a raw socket, in a
//! thread of its own. It answers `"stream":true` with events and everything else with JSON, and calls
//! a tool where it was started to do so.

use std::net::SocketAddr;
use std::sync::mpsc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Chunks of a flood.
pub const FLOOD_CHUNKS: usize = 20_000;

/// What a message says for which a model that calls tools runs a command first.
pub const WITH_CALL: &str = "run one command";

/// What a message says for which it runs none.
pub const WITHOUT_CALL: &str = "run no command";

/// A line that costs what `true` costs, and shows that a shell has read it.
const COMMAND: &str = "echo bench''marked";

/// Starts the provider and gives its address.
pub fn start() -> SocketAddr {
    start_as(false)
}

/// The same, but it calls a tool for messages that say so.
pub fn start_calling() -> SocketAddr {
    start_as(true)
}

fn start_as(calls: bool) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let canned = &*Box::leak(Box::new(Canned::new()));
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                drop(tokio::spawn(serve(stream, canned, calls)));
            }
        });
    });
    receiver.recv().unwrap()
}

struct Canned {
    json: Vec<u8>,
    events: Vec<u8>,
    flood_head: Vec<u8>,
    flood_block: Vec<u8>,
    call: Vec<u8>,
}

impl Canned {
    fn new() -> Self {
        let text = "a".repeat(1024);
        let json = format!(
            r#"{{"id":"x","object":"chat.completion","created":1,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":256,"completion_tokens":256,"total_tokens":512}}}}"#
        );
        let delta = |text: &str| {
            format!(
                "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
            )
        };
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":256,\"completion_tokens\":256,\"total_tokens\":512}}\n\ndata: [DONE]\n\n";
        let events = delta(&text) + end;
        let block = delta("word ").repeat(100);
        let blocks = FLOOD_CHUNKS / 100;
        let flood_length = block.len() * blocks + end.len();
        Self {
            json: head("application/json", json.len(), &json),
            events: head("text/event-stream", events.len(), &events),
            flood_head: head("text/event-stream", flood_length, ""),
            flood_block: [block.into_bytes()].concat(),
            call: call(),
        }
    }
}

/// One call of `exec`, as events.
fn call() -> Vec<u8> {
    let arguments = json!({"command": COMMAND}).to_string();
    let call = json!({"index": 0, "id": "call_bench", "type": "function",
        "function": {"name": "exec", "arguments": arguments}});
    let event = |delta: Value, reason: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let events = event(json!({"tool_calls": [call]}), None)
        + &event(json!({}), Some("tool_calls"))
        + "data: [DONE]\n\n";
    head("text/event-stream", events.len(), &events)
}

fn head(content_type: &str, length: usize, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn serve(mut stream: TcpStream, canned: &'static Canned, calls: bool) {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let Some(request) = crate::load::read_message(&mut stream, &mut buffer).await else {
            return;
        };
        if calls && wants_call(&request) {
            if stream.write_all(&canned.call).await.is_err() {
                return;
            }
            continue;
        }
        let flood = find(&request, b"\"flood\"");
        let streaming = find(&request, b"\"stream\":true");
        let written = if flood {
            flood_to(&mut stream, canned).await
        } else if streaming {
            stream.write_all(&canned.events).await
        } else {
            stream.write_all(&canned.json).await
        };
        if written.is_err() {
            return;
        }
    }
}

async fn flood_to(stream: &mut TcpStream, canned: &Canned) -> std::io::Result<()> {
    stream.write_all(&canned.flood_head).await?;
    for _ in 0..FLOOD_CHUNKS / 100 {
        stream.write_all(&canned.flood_block).await?;
    }
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":256,\"completion_tokens\":256,\"total_tokens\":512}}\n\ndata: [DONE]\n\n";
    stream.write_all(end.as_bytes()).await
}

/// Whether what was said last asks for a call. A result that no shell can have given is a panic.
fn wants_call(request: &[u8]) -> bool {
    let last = |needle: &[u8]| request.windows(needle.len()).rposition(|it| it == needle);
    let result = last(br#""role":"tool""#);
    let with = last(WITH_CALL.as_bytes());
    if result > with && result > last(WITHOUT_CALL.as_bytes()) {
        assert!(find(request, b"benchmarked"), "{}", String::from_utf8_lossy(request));
    }
    with > result && with > last(WITHOUT_CALL.as_bytes())
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Reads until the peer closes; used by floods.
pub async fn drain(stream: &mut TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
