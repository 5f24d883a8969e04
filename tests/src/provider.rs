//! A model provider on loopback that speaks `OpenAI`'s streaming protocol by a script: what it
//! does is chosen by the model's name, and it counts what it was asked.

mod bill;
mod script;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;

pub use bill::{Line, bill, brief};
pub use script::{CURTAIN, Step, play};

/// The key that the gateway must present, and that nobody else may ever see.
pub const KEY: &str = "sk-provider-key-0123456789abcdef";

/// Tokens that a request for vectors is said to take.
const VECTORS: u64 = 6;

/// A provider.
#[derive(Debug, Clone)]
pub struct Provider {
    address: SocketAddr,
    seen: Arc<Seen>,
}

/// What a provider was asked.
#[derive(Debug)]
struct Seen {
    requests: AtomicUsize,
    /// Those of the model `bill`.
    billed: AtomicUsize,
    /// When each of them came.
    arrivals: Mutex<Vec<SystemTime>>,
    /// Streams that were given up before their end.
    cancelled: AtomicUsize,
    words: AtomicUsize,
    bodies: Mutex<Vec<Value>>,
    /// Whether what was asked is forgotten.
    forgets: AtomicBool,
    queue: Mutex<VecDeque<Step>>,
    /// Input and output tokens that an answer of a known size reports.
    fixed: Mutex<(u64, u64)>,
    /// Input and output tokens that were reported as used.
    reported: AtomicU64,
    /// Lets go of those that wait at a [`Line::Wait`].
    curtain: Semaphore,
    /// How many wait there, or have waited.
    waiting: AtomicUsize,
}

impl Seen {
    fn new() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            billed: AtomicUsize::new(0),
            arrivals: Mutex::default(),
            cancelled: AtomicUsize::new(0),
            words: AtomicUsize::new(0),
            bodies: Mutex::default(),
            forgets: AtomicBool::new(false),
            queue: Mutex::default(),
            fixed: Mutex::new((10, 4)),
            reported: AtomicU64::new(0),
            curtain: Semaphore::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The figures of an answer of a known size.
    fn fixed(&self) -> Value {
        let (input, output) = *self.fixed.lock().unwrap();
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    fn keep(&self, body: Value) {
        if !self.forgets.load(Ordering::Relaxed) {
            self.bodies.lock().unwrap().push(body);
        }
    }

    /// The same, which are reported by now.
    fn report(&self) -> Value {
        let (input, output) = *self.fixed.lock().unwrap();
        self.reported.fetch_add(input + output, Ordering::SeqCst);
        self.fixed()
    }
}

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

impl Provider {
    /// The models, by what they do: `mock` answers with the last message, and `call NAME {json}` with
    /// a call of that tool if tools are offered, `slow` takes 50 ms a
    /// word and never ends, `paced` gives the last message back in capitals, a word each 150 ms, `flood` sends words of 4 KiB as fast as they are taken and never ends,
    /// `broken` answers 500, `busy` answers 429 with `Retry-After: 7`, `cut` ends in the middle of
    /// an event, `script` plays what it is told to ([`play`] and [`Provider::script`]), `bill` says
    /// and reports what it is told to ([`bill`], [`brief`]), `fixed` says one word and reports what
    /// [`Provider::charge`] has set.
    pub const MODELS: [&'static str; 10] =
        ["mock", "slow", "paced", "flood", "broken", "busy", "cut", "script", "bill", "fixed"];

    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider =
            Self { address: listener.local_addr().unwrap(), seen: Arc::new(Seen::new()) };
        let seen = Arc::clone(&provider.seen);
        drop(tokio::spawn(accept(listener, seen)));
        provider
    }

    /// A configuration with this provider and no other.
    pub fn config(&self) -> String {
        self.config_with(json!({}))
    }

    /// The same with more: members of `more` beside it, or in its place.
    pub fn config_with(&self, more: Value) -> String {
        let mut config = json!({
            "providers": {"test": {
                "kind": "openai",
                "baseUrl": format!("http://{}/v1", self.address),
                "apiKey": {"command": ["printf", KEY]},
                "models": Self::MODELS,
            }},
            "defaultModel": "test/mock",
        });
        let more: serde_json::Map<_, _> = serde_json::from_value(more).unwrap();
        config.as_object_mut().unwrap().extend(more);
        config.to_string()
    }

    /// A configuration in which every model costs so much, in micro-dollars for a million tokens of
    /// input and of output, with members of `more` beside it or in its place.
    pub fn config_priced(&self, (input, output): (u64, u64), more: Value) -> String {
        let mut config: Value = serde_json::from_str(&self.config_with(more)).unwrap();
        let priced = Self::MODELS.map(|name| {
            json!({"name": name, "inputMicrosPerMillion": input, "outputMicrosPerMillion": output})
        });
        config["providers"]["test"]["models"] = json!(priced);
        config.to_string()
    }

    /// What the model `fixed` reports from now on, and `script` as well: input and output tokens, of
    /// which there are 10 and 4 else.
    pub fn charge(&self, input: u64, output: u64) {
        *self.seen.fixed.lock().unwrap() = (input, output);
    }

    /// Input and output tokens that were reported as used, all answers together.
    pub fn reported(&self) -> u64 {
        self.seen.reported.load(Ordering::SeqCst)
    }

    /// How many answers have come to a [`Line::Wait`].
    pub fn waiting(&self) -> usize {
        self.seen.waiting.load(Ordering::SeqCst)
    }

    /// Lets `count` answers go on that wait, or will.
    pub fn go_on(&self, count: usize) {
        self.seen.curtain.add_permits(count);
    }

    /// Lets the model `script` play these steps, after those that it has still to play.
    pub fn script(&self, steps: Vec<Step>) {
        self.seen.queue.lock().unwrap().extend(steps);
    }

    /// How many steps are still to be played.
    pub fn unplayed(&self) -> usize {
        self.seen.queue.lock().unwrap().len()
    }

    /// The results of tools that the model `script` was given last in answer to what contained
    /// `mark`: the texts since the user's message, oldest first.
    pub fn results(&self, mark: &str) -> Vec<String> {
        let bodies = self.seen.bodies.lock().unwrap();
        let told = |body: &&Value| body["model"] == "script" && body.to_string().contains(mark);
        bodies.iter().rev().find(told).map(script::results).unwrap_or_default()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it had.
    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// How many requests the model `bill` had.
    pub fn billed(&self) -> usize {
        self.seen.billed.load(Ordering::SeqCst)
    }

    /// Has it keep nothing of what it is asked from now on: there is more of it than memory.
    pub fn forget(&self) {
        self.seen.forgets.store(true, Ordering::Relaxed);
    }

    /// When each request came, oldest first.
    pub fn arrivals(&self) -> Vec<SystemTime> {
        self.seen.arrivals.lock().unwrap().clone()
    }

    /// How many streams were given up before their end.
    pub fn cancelled(&self) -> usize {
        self.seen.cancelled.load(Ordering::SeqCst)
    }

    /// How many words it has sent.
    pub fn words(&self) -> usize {
        self.seen.words.load(Ordering::SeqCst)
    }

    /// The bodies that it was sent, oldest first.
    pub fn bodies(&self) -> Vec<Value> {
        self.seen.bodies.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let seen = Arc::clone(&seen);
        let service = hyper::service::service_fn(move |request| {
            let answer = answer(request, Arc::clone(&seen));
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        drop(tokio::spawn(connection));
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Response<Body> {
    seen.arrivals.lock().unwrap().push(SystemTime::now());
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let authorized = request
        .headers()
        .get("authorization")
        .is_some_and(|value| value.as_bytes() == format!("Bearer {KEY}").as_bytes());
    if !authorized {
        return whole(401, r#"{"error":{"message":"wrong key"}}"#);
    }
    let embeds = request.uri().path().ends_with("/embeddings");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let model = body["model"].as_str().unwrap().to_owned();
    if embeds {
        let answer = vectors(&body);
        seen.reported.fetch_add(VECTORS, Ordering::SeqCst);
        seen.bodies.lock().unwrap().push(body);
        return whole(200, answer);
    }
    let last = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    let last = last.as_str().map_or_else(|| last.to_string(), str::to_owned);
    let offers = body["tools"].is_array();
    if model == "script" {
        let step = script::next(&body, &mut seen.queue.lock().unwrap());
        let mut bodies = seen.bodies.lock().unwrap();
        bodies.push(body);
        return events(step.events(bodies.len(), seen.report()));
    }
    if model == "bill" {
        let lines = bill::read(&last, &body);
        seen.billed.fetch_add(1, Ordering::SeqCst);
        seen.keep(body);
        return bill::stream(lines, seen);
    }
    seen.keep(body);
    match (model.as_str(), last.strip_prefix("call ").and_then(|it| it.split_once(' '))) {
        ("mock", Some((name, arguments))) if offers => {
            return call(name, arguments, &seen.report());
        }
        _ => {}
    }
    match model.as_str() {
        "broken" => whole(500, r#"{"error":{"message":"broken"}}"#),
        "busy" => whole(429, r#"{"error":{"message":"busy"}}"#),
        "fixed" => {
            let usage = seen.fixed();
            bill::stream(bill::usual("ok", usage), seen)
        }
        _ => stream(model, last, seen),
    }
}

/// One vector of two numbers for each text: its length, and one half.
fn vectors(body: &Value) -> String {
    let texts = body["input"].as_array().unwrap().iter().enumerate();
    let data: Vec<_> = texts
        .map(|(index, text)| {
            let length = text.as_str().unwrap().len();
            json!({"object": "embedding", "index": index, "embedding": [length, 0.5]})
        })
        .collect();
    let usage = json!({"prompt_tokens": VECTORS, "total_tokens": VECTORS});
    json!({"object": "list", "data": data, "usage": usage}).to_string()
}

/// Calls the tool `name`, in two pieces.
fn call(name: &str, arguments: &str, usage: &Value) -> Response<Body> {
    let (first, rest) = arguments.split_at(arguments.len() / 2);
    let delta = |call: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
    let function = json!({"name": name, "arguments": first});
    let begun =
        delta(json!({"index": 0, "id": "call_mock", "type": "function", "function": function}));
    let more = delta(json!({"index": 0, "function": {"arguments": rest}}));
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}],
        "usage": usage});
    events([begun, more, end].map(|it| it.to_string()).into_iter().chain(["[DONE]".to_owned()]))
}

/// A stream whose events are known already.
fn events(all: impl IntoIterator<Item = String>) -> Response<Body> {
    let all: Vec<_> = all.into_iter().collect();
    let (sender, receiver) = tokio::sync::mpsc::channel(all.len());
    for data in all {
        sender.try_send(Ok(event(&data))).unwrap();
    }
    let body = StreamBody::new(ReceiverStream::new(receiver));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

fn whole(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.try_send(Ok(Frame::data(text.into()))).unwrap();
    let body = StreamBody::new(ReceiverStream::new(receiver));
    Response::builder().status(status).header("retry-after", "7").body(body).unwrap()
}

fn stream(model: String, text: String, seen: Arc<Seen>) -> Response<Body> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    drop(tokio::spawn(async move {
        let pause = match model.as_str() {
            "slow" => Some(Duration::from_millis(50)),
            "paced" => Some(Duration::from_millis(150)),
            _ => None,
        };
        let text = if model == "paced" { text.to_uppercase() } else { text };
        let words: Box<dyn Iterator<Item = String> + Send> = match model.as_str() {
            "slow" => Box::new((0..100_000).map(|n| format!("word{n} "))),
            "flood" => Box::new(std::iter::repeat_with(|| "flood ".repeat(683))),
            _ => {
                let words: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
                Box::new(words.into_iter())
            }
        };
        let mut count = 0;
        for word in words {
            count += 1;
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": word}}]});
            if sender.send(Ok(event(&chunk.to_string()))).await.is_err() {
                seen.cancelled.fetch_add(1, Ordering::SeqCst);
                return;
            }
            seen.words.fetch_add(1, Ordering::SeqCst);
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
        if model == "cut" {
            drop(sender.send(Ok(Frame::data(Bytes::from_static(b"data: {\"choi")))).await);
            return;
        }
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": count,
            "total_tokens": 10 + count}});
        seen.reported.fetch_add(10 + count, Ordering::SeqCst);
        for data in [end.to_string(), usage.to_string(), "[DONE]".to_owned()] {
            if sender.send(Ok(event(&data))).await.is_err() {
                return;
            }
        }
    }));
    let body = StreamBody::new(ReceiverStream::new(receiver));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

fn event(data: &str) -> Frame<Bytes> {
    Frame::data(Bytes::from(format!("data: {data}\n\n")))
}
