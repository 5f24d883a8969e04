//! Telegram's Bot API on loopback, as far as bots see it: offsets that confirm, one poller at a time,
//! webhooks with their secret that are brought again, refusals in Telegram's words. `sdk/telegram_bot.py`
//! holds it against an official client before anything of ours is held against it.
//!
//! It has no memory of a day and no limits but those that a test asks for.

mod bot;
mod files;
mod form;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::networks::serve::Part;
use bot::{Answer, Bot};
pub use bot::{Fault, Sent};
pub use files::{FILE, File};

/// Pauses between attempts at a webhook.
const AGAIN: Duration = Duration::from_millis(150);

/// How long an attempt at a webhook may take.
const HOOK: Duration = Duration::from_secs(10);

/// The network. Clones are the same.
#[derive(Debug, Clone)]
pub struct Telegram {
    address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bots: Mutex<HashMap<String, Bot>>,
    /// Something has come, or somebody else asks.
    changed: Notify,
}

impl Telegram {
    /// A network without bots.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let network = this.clone();
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(tokio::spawn(serve(network.clone(), stream)));
            }
        }));
        this
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A bot with this number; gives its token.
    pub fn bot(&self, id: u64, name: &str) -> String {
        let token = format!("{id}:{}", "A".repeat(35));
        self.inner.bots.lock().unwrap().insert(token.clone(), Bot::new(id, name));
        token
    }

    /// Somebody writes to the bot alone; gives the number of the update.
    pub fn write(&self, token: &str, user: i64, text: &str) -> i64 {
        let from = json!({"id": user, "is_bot": false, "first_name": format!("User {user}")});
        let chat = json!({"id": user, "type": "private", "first_name": format!("User {user}")});
        self.push(token, json!({"from": from, "chat": chat, "text": text}))
    }

    /// Somebody sends the bot something else than a text.
    pub fn write_with(&self, token: &str, user: i64, more: &Value) -> i64 {
        let from = json!({"id": user, "is_bot": false, "first_name": format!("User {user}")});
        let chat = json!({"id": user, "type": "private", "first_name": format!("User {user}")});
        let mut message = json!({"from": from, "chat": chat});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.push(token, message)
    }

    /// Somebody writes among others.
    pub fn write_in(&self, token: &str, group: i64, user: i64, text: &str) -> i64 {
        let from = json!({"id": user, "is_bot": false, "first_name": format!("User {user}")});
        let chat = json!({"id": group, "type": "supergroup", "title": "Group"});
        self.push(token, json!({"from": from, "chat": chat, "text": text}))
    }

    fn push(&self, token: &str, message: Value) -> i64 {
        let id = self.of(token, |bot| bot.push(message));
        self.inner.changed.notify_waiters();
        self.bring(token);
        id
    }

    /// An update that was confirmed comes once more, as after a failover of the network's.
    pub fn again(&self, token: &str, update: i64) {
        self.of(token, |bot| bot.again(update));
        self.inner.changed.notify_waiters();
        self.bring(token);
    }

    /// The update itself, to be brought by whoever likes.
    pub fn update(&self, token: &str, update: i64) -> Value {
        self.of(token, |bot| bot.update(update))
    }

    /// What happens to the next message to a chat.
    pub fn fault(&self, token: &str, chat: i64, fault: Fault) {
        self.of(token, |bot| bot.faults.entry(chat).or_default().push_back(fault));
    }

    /// The token is good for nothing any more.
    pub fn revoke(&self, token: &str) {
        self.of(token, |bot| bot.is_revoked = true);
        self.inner.changed.notify_waiters();
    }

    /// Events are brought to this address from now on.
    pub fn set_webhook(&self, token: &str, url: &str, secret: &str) {
        self.of(token, |bot| bot.webhook = Some((url.to_owned(), secret.to_owned())));
        self.bring(token);
    }

    /// Where events are brought, and with which secret.
    pub fn webhook(&self, token: &str) -> Option<(String, String)> {
        self.of(token, |bot| bot.webhook.clone())
    }

    /// What was sent, in its order.
    pub fn sent(&self, token: &str) -> Vec<Sent> {
        self.of(token, |bot| bot.sent.clone())
    }

    /// The texts that were sent to one chat.
    pub fn texts(&self, token: &str, chat: i64) -> Vec<String> {
        let sent = self.sent(token).into_iter().filter(|it| it.chat == chat);
        sent.map(|it| it.text).collect()
    }

    /// The newest so many texts of all chats, oldest first.
    pub fn newest(&self, token: &str, count: usize) -> Vec<String> {
        self.of(token, |bot| {
            let sent = &bot.sent[bot.sent.len().saturating_sub(count)..];
            sent.iter().map(|it| it.text.clone()).collect()
        })
    }

    /// The files that were sent to one chat.
    pub fn files(&self, token: &str, chat: i64) -> Vec<File> {
        let sent = self.sent(token).into_iter().filter(|it| it.chat == chat);
        sent.filter_map(|it| it.file).collect()
    }

    /// Takes away what was sent to a chat.
    pub fn remove(&self, token: &str, chat: i64) {
        self.of(token, |bot| bot.sent.retain(|it| it.chat != chat));
    }

    /// How often a message was tried, whatever came of it.
    pub fn attempts(&self, token: &str) -> usize {
        self.of(token, |bot| bot.attempts)
    }

    /// How often typing was shown.
    pub fn typing(&self, token: &str) -> usize {
        self.of(token, |bot| bot.typing)
    }

    /// Updates that are not confirmed.
    pub fn pending(&self, token: &str) -> usize {
        self.of(token, |bot| bot.pending.len())
    }

    /// Whether somebody waits for updates.
    pub fn is_polled(&self, token: &str) -> bool {
        self.of(token, |bot| bot.polling)
    }

    fn of<T>(&self, token: &str, act: impl FnOnce(&mut Bot) -> T) -> T {
        act(self.inner.bots.lock().unwrap().get_mut(token).expect("a bot of this network"))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let path = head.uri.path().replace("%3A", ":");
        let (params, files) = form::params(&head, &body);
        let answer = match path.strip_prefix("/file/bot").and_then(|rest| rest.split_once('/')) {
            Some((token, file)) => return Ok(self.file(token, file)),
            None => match path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) {
                Some((token, method)) => self.call(token, method, (&params, files)).await,
                None => Answer::refused(404, "Not Found"),
            },
        };
        let Some(answer) = answer.body() else {
            // Taken, and never answered.
            return std::future::pending().await;
        };
        let (status, text) = answer;
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(Full::from(text)).unwrap())
    }

    fn file(&self, token: &str, file: &str) -> Response<Full<Bytes>> {
        let bots = self.inner.bots.lock().unwrap();
        let bytes = bots.get(token).and_then(|bot| bot.content(file));
        let status = if bytes.is_some() { 200 } else { 404 };
        let bytes = bytes.unwrap_or_default();
        Response::builder().status(status).body(Full::from(bytes)).unwrap()
    }

    async fn call(
        &self,
        token: &str,
        method: &str,
        (params, files): (&Value, Vec<Part>),
    ) -> Answer {
        {
            let mut bots = self.inner.bots.lock().unwrap();
            let Some(bot) = bots.get_mut(token).filter(|bot| !bot.is_revoked) else {
                return Answer::refused(401, "Unauthorized");
            };
            if method != "getUpdates" {
                return bot.call(method, params, files);
            }
        }
        self.updates(token, params).await
    }

    /// Waits as long as it is asked to. Whoever asks later ends the wait of whoever asked before.
    async fn updates(&self, token: &str, params: &Value) -> Answer {
        let number = |name: &str| params[name].as_i64();
        let wait = Duration::from_secs(number("timeout").unwrap_or(0).unsigned_abs().min(50));
        let until = Instant::now() + wait;
        let turn = match self.of(token, |bot| bot.ask(number("offset"))) {
            Ok(turn) => turn,
            Err(answer) => return answer,
        };
        self.inner.changed.notify_waiters();
        let limit = number("limit").unwrap_or(100).clamp(1, 100).unsigned_abs();
        let limit = usize::try_from(limit).unwrap();
        loop {
            let changed = self.inner.changed.notified();
            let due = Instant::now() >= until;
            if let Some(answer) = self.of(token, |bot| bot.look(turn, limit, due)) {
                return answer;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Brings what is pending to the webhook, one update after the other, each until it is taken.
    fn bring(&self, token: &str) {
        if !self.of(token, Bot::begins_bringing) {
            return;
        }
        let (this, token) = (self.clone(), token.to_owned());
        drop(tokio::spawn(async move {
            loop {
                let next = this.of(&token, Bot::next_for_webhook);
                let Some((id, update, url, secret)) = next else { return };
                let status = tokio::time::timeout(HOOK, post(&url, &secret, &update)).await;
                if matches!(status, Ok(Some(200..=299))) {
                    this.of(&token, |bot| bot.confirm(id));
                } else {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }));
    }
}

async fn serve(network: Telegram, stream: TcpStream) {
    let service = hyper::service::service_fn(move |request| {
        let network = network.clone();
        async move { network.answer(request).await }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A caller that is killed in the middle is what some tests are about.
    served.await.unwrap_or_default();
}

/// Posts an update as the network does; gives the status, where there was an answer.
pub async fn post(url: &str, secret: &str, update: &Value) -> Option<u16> {
    let uri: http::Uri = url.parse().unwrap();
    let host = uri.authority().unwrap().to_string();
    let stream = TcpStream::connect(&host).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    drop(tokio::spawn(connection));
    let request = Request::post(uri.path())
        .header("host", host)
        .header("content-type", "application/json")
        .header("x-telegram-bot-api-secret-token", secret)
        .body(Full::<Bytes>::from(update.to_string()))
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    Some(response.status().as_u16())
}
