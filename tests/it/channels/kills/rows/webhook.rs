//! Signed webhooks, of which the receiver knows those that come twice by their ids.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use ring::hmac;
use serde_json::json;
use tests::Client;
use tests::networks::{Receiver, Says};
use tokio::sync::mpsc;

use super::*;

pub(crate) type Row = One<Town>;

/// Messages that wait until they are taken: more than a test says at once.
const MAX_WAITING: usize = 4096;

pub(crate) struct Town(Arc<Receiver>);

pub(crate) struct Chat {
    receiver: Arc<Receiver>,
    /// The path at the receiver.
    path: String,
    says: mpsc::Sender<String>,
    /// How much of what came to the receiver was looked at, the ids that came here, and what came with them.
    looked: usize,
    ids: BTreeSet<String>,
    said: Vec<Value>,
}

/// Where the messages go.
struct Door {
    gateway: SocketAddr,
    path: String,
    secret: String,
}

impl Many for Town {
    const NAME: &'static str = "webhook";
    const SENDS: &'static str = "POST /events";

    type Talk = Chat;

    async fn start() -> Self {
        Self(Arc::new(Receiver::start(|_| Says::new(200, "")).await))
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.0.address())
    }

    async fn join(&self, ground: &Ground, tenant: &str, root: &str) -> Chat {
        let path = format!("/events/{tenant}");
        let server = format!("{root}{path}");
        let more = [&OPEN[..], &["--server", &server]].concat();
        let added = ground.add(&[tenant], Self::NAME, &[], &more);
        let text = |name: &str| added[name].as_str().unwrap().to_owned();
        let gateway = ground.gateway.address();
        let door = Door { gateway, path: text("path"), secret: text("webhookSecret") };
        let (says, waiting) = mpsc::channel(MAX_WAITING);
        drop(tokio::spawn(bring(door, waiting)));
        let receiver = Arc::clone(&self.0);
        Chat { receiver, path, says, looked: 0, ids: BTreeSet::new(), said: Vec::new() }
    }
}

impl Talk for Chat {
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async { self.says.try_send(text.to_owned()).unwrap() })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            self.look();
            let places = ["/data/attachments/0/name", "/data/text"];
            self.said.iter().map(|it| text_at(it, &places)).collect()
        })
    }

    fn newest(&mut self, count: usize) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            self.look();
            let newest = &self.said[self.said.len().saturating_sub(count)..];
            newest.iter().map(|it| text_at(it, &["/data/text"])).collect()
        })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async {
            let files = self.said.iter().filter_map(|it| it.pointer("/data/attachments/0/data"));
            files.map(|it| STANDARD.decode(it.as_str().unwrap()).unwrap()).collect()
        })
    }

    fn session(&self) -> String {
        session(Town::NAME, "u1")
    }
}

impl Chat {
    /// Looks at what came to the receiver since.
    fn look(&mut self) {
        let new = self.receiver.since(self.looked);
        self.looked += new.len();
        for came in new.iter().filter(|it| it.path == self.path) {
            // Whoever takes one with an id that was there takes it for the same.
            if self.ids.insert(came.header("webhook-id").to_owned()) {
                self.said.push(came.json());
            }
        }
    }
}

/// Brings messages one after the other, each until it is taken.
async fn bring(door: Door, mut waiting: mpsc::Receiver<String>) {
    let mut count = 0;
    while let Some(text) = waiting.recv().await {
        count += 1;
        let id = format!("msg_{count}");
        let data = json!({"conversation": {"id": "u1"}, "sender": {"id": "u1"}, "text": text});
        let body = json!({"type": "message", "data": data}).to_string();
        while !door.takes(&id, &body).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Door {
    async fn takes(&self, id: &str, body: &str) -> bool {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
        let key = STANDARD.decode(self.secret.trim_start_matches("whsec_")).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature));
        let client = Client::new(self.gateway, None)
            .header("webhook-id", id)
            .header("webhook-timestamp", &time)
            .header("webhook-signature", &signature)
            .header("content-type", "application/json");
        let reply = client.try_open(Method::POST, &self.path, body.to_owned()).await;
        reply.is_ok_and(|it| it.status().is_success())
    }
}
