//! What comes for one tenant while the kills go on: messages, hooks and jobs, each sent until it is
//! acknowledged, as networks do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::{Client, Gateway, Tenant};
use tokio_util::sync::CancellationToken;

use super::super::seen::{hook_token, rpc};
use super::random;

/// Conversations of one tenant's chat. In those from [`PACED`] on the model takes its time.
const CHATS: u64 = 7;
const PACED: u64 = 5;

/// How long until the time of a job at most, in milliseconds.
const AHEAD: u64 = 2_000;

/// The pause between two events of one sender at most, in milliseconds.
const PAUSE: u64 = 120;

/// What the job says that runs again and again.
pub(in crate::delivery) const TICK: &str = "tick";

/// How one event came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::delivery) enum Way {
    Chat,
    Hook,
    /// As a job, whose result goes to a webhook where that is true and else into the main session.
    Job {
        id: String,
        is_posted: bool,
    },
}

/// One event that was acknowledged.
#[derive(Debug, Clone)]
pub(in crate::delivery) struct Sent {
    pub(in crate::delivery) way: Way,
    pub(in crate::delivery) text: String,
    /// Where its turn is to be seen; a job's run says it.
    pub(in crate::delivery) session: String,
    pub(in crate::delivery) answer: String,
}

/// Who sends events to one tenant.
#[derive(Debug)]
pub(in crate::delivery) struct Sender {
    pub(in crate::delivery) tenant: Tenant,
    chat: Client,
    hook: Client,
    url: String,
    /// The job that runs again and again.
    pub(in crate::delivery) ticks: Option<String>,
    count: AtomicU64,
    /// Whether the gateway listens.
    is_up: Arc<AtomicBool>,
}

/// The model of an event, and what it will say.
fn model(text: &str) -> (&'static str, String) {
    if random(4) == 0 {
        ("test/paced", text.to_uppercase())
    } else {
        ("test/mock", text.to_owned())
    }
}

impl Sender {
    pub(in crate::delivery) async fn new(
        gateway: &Gateway,
        tenant: Tenant,
        url: &str,
        is_up: &Arc<AtomicBool>,
    ) -> Self {
        let hook = Client::new(gateway.address(), Some(hook_token(gateway, &tenant)));
        for n in PACED..CHATS {
            let model = json!({"key": format!("agent:main:s{n}"), "model": "test/paced"});
            rpc(gateway, &tenant, "sessions.patch", model).await;
        }
        Self {
            chat: gateway.client(&tenant),
            hook,
            url: url.to_owned(),
            ticks: None,
            count: AtomicU64::new(0),
            is_up: Arc::clone(is_up),
            tenant,
        }
    }

    /// With a job that runs again and again.
    pub(in crate::delivery) async fn ticking(mut self, gateway: &Gateway) -> Self {
        let job = json!({
            "name": TICK, "schedule": {"kind": "every", "everyMs": 1000},
            "sessionTarget": "isolated", "wakeMode": "now",
            "payload": {"kind": "agentTurn", "message": TICK},
            "delivery": {"mode": "webhook", "to": self.url},
        });
        let added = rpc(gateway, &self.tenant, "cron.add", job).await;
        self.ticks = Some(added["id"].as_str().unwrap().to_owned());
        self
    }

    /// Sends until it is told to stop.
    pub(in crate::delivery) async fn send(self: Arc<Self>, stop: CancellationToken) -> Vec<Sent> {
        let mut all = Vec::new();
        while !stop.is_cancelled() {
            all.push(self.one().await);
            tokio::time::sleep(Duration::from_millis(random(PAUSE))).await;
        }
        all
    }

    async fn one(&self) -> Sent {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        self.by(n % 4, n).await
    }

    /// Sends one event: a hook for 0, a job for 1, else a message.
    pub(in crate::delivery) async fn by(&self, way: u64, n: u64) -> Sent {
        let text = format!("event {n}");
        loop {
            while !self.is_up.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let sent = match way {
                0 => self.hook(n, &text).await,
                1 => self.job(&text, random(2) == 0).await,
                _ => self.chat(n, &text).await,
            };
            if let Some(sent) = sent {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn chat(&self, n: u64, text: &str) -> Option<Sent> {
        let number = n % CHATS;
        let session = format!("agent:main:s{number}");
        let params = json!({"sessionKey": session, "message": text, "queueMode": "followup",
            "idempotencyKey": format!("key-{n}")});
        let reply = self.call("chat.send", params).await?;
        reply["runId"].as_str()?;
        let answer = if number >= PACED { text.to_uppercase() } else { text.to_owned() };
        Some(Sent { way: Way::Chat, text: text.to_owned(), session, answer })
    }

    async fn hook(&self, n: u64, text: &str) -> Option<Sent> {
        let client = self.hook.clone().header("idempotency-key", &format!("hook-{n}"));
        // The same at each attempt, as it is the same event.
        let is_paced = n.is_multiple_of(3);
        let model = if is_paced { "test/paced" } else { "test/mock" };
        let body = json!({"message": text, "model": model});
        let reply = asked(&client, "/hooks/agent", &body).await?;
        let session = format!("agent:main:{}", reply["runId"].as_str()?);
        let answer = if is_paced { text.to_uppercase() } else { text.to_owned() };
        Some(Sent { way: Way::Hook, text: text.to_owned(), session, answer })
    }

    /// A job has no name that would make its making repeatable once it has run: whoever got no answer
    /// looks for it.
    async fn job(&self, text: &str, is_posted: bool) -> Option<Sent> {
        let (model, answer) = model(text);
        let ahead = SignedDuration::from_millis(i64::try_from(random(AHEAD)).unwrap());
        let at = Timestamp::now().checked_add(ahead).unwrap().to_string();
        let delivery = if is_posted {
            json!({"mode": "webhook", "to": self.url})
        } else {
            json!({"mode": "announce"})
        };
        let job = json!({
            "name": text, "schedule": {"kind": "at", "at": at}, "sessionTarget": "isolated",
            "wakeMode": "now", "payload": {"kind": "agentTurn", "message": text, "model": model},
            "delivery": delivery,
        });
        let added = self.call("cron.add", job).await;
        let id = added.and_then(|job| Some(job["id"].as_str()?.to_owned()));
        let id = match id {
            Some(id) => id,
            None => self.find(text).await?,
        };
        let way = Way::Job { id, is_posted };
        Some(Sent { way, text: text.to_owned(), session: String::new(), answer })
    }

    /// The job of this name: one that waits, or one that has run. Gives none where there is none.
    async fn find(&self, name: &str) -> Option<String> {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            // In this order: it may run in between.
            let waits = json!({"query": name, "enabled": "all", "limit": 200});
            let Some(waits) = self.call("cron.list", waits).await else { continue };
            let ran = json!({"scope": "all", "query": name, "limit": 200});
            let Some(ran) = self.call("cron.runs", ran).await else { continue };
            let named = |all: &Value, key: &str, id: &str| {
                let all = all.as_array().unwrap().clone();
                let found = all.into_iter().find(|it| it[key] == name)?;
                Some(found[id].as_str().unwrap().to_owned())
            };
            return named(&waits["jobs"], "name", "id")
                .or_else(|| named(&ran["entries"], "jobName", "jobId"));
        }
    }

    /// A method's result, where there is one.
    pub(in crate::delivery) async fn call(&self, method: &str, params: Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut reply = asked(&self.chat, "/rpc", &body).await?;
        let result = reply["result"].take();
        (!result.is_null()).then_some(result)
    }
}

/// The answer, where there is one: the gateway may be gone.
async fn asked(client: &Client, path: &str, body: &Value) -> Option<Value> {
    use http_body_util::BodyExt as _;
    let client = client.clone().header("content-type", "application/json");
    let reply = client.try_open(http::Method::POST, path, body.to_string()).await.ok()?;
    if !reply.status().is_success() {
        return None;
    }
    let body = reply.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
