//! A visitor whose page stays open, as our own page does in a browser: it is opened again where its line
//! breaks, asks for what it missed, and says once more what it said last, as if it had not heard that it is
//! kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Page, Site};

/// How long a page is closed between two lines.
const AGAIN: Duration = Duration::from_millis(100);

/// One; dropped, the page is closed.
#[derive(Debug)]
pub struct Visitor {
    id: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    site: Site,
    word: Value,
    state: Mutex<State>,
    says: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<u64, Value>,
    rev: u64,
    said: usize,
    /// What was said last: id and text.
    last: Option<(String, String)>,
    /// Those before it of which it is not known that they are kept.
    unkept: Vec<(String, String)>,
    /// And those of them that are not sent yet.
    unsent: Vec<(String, String)>,
    is_open: bool,
    /// Why something that was said is not taken.
    refused: Option<Value>,
}

impl Visitor {
    /// Somebody new.
    pub async fn new(site: Site) -> Self {
        let page = site.new_visitor().await;
        let (id, word) = (page.id.clone(), page.word.clone());
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { site, word, state, says: Notify::new() });
        let task = tokio::spawn(stay(Arc::clone(&shared), page));
        Self { id, shared, task }
    }

    /// The visitor's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says something; it is said again until it is kept.
    pub fn say(&self, text: &str) {
        let mut state = self.shared.state();
        state.said += 1;
        let said = (format!("m{}", state.said), text.to_owned());
        state.last = Some(said.clone());
        state.unsent.push(said.clone());
        state.unkept.push(said);
        drop(state);
        self.shared.says.notify_one();
    }

    /// The answers that the page shows; of a file its name.
    pub fn answers(&self) -> Vec<String> {
        assert!(!self.task.is_finished(), "the page has failed");
        let state = self.shared.state();
        assert_eq!(state.refused, None, "what was said is not taken");
        let answers = state.items.values().filter(|it| it["type"] == "message");
        let name = |it: &Value| it["file"]["name"].as_str().map(str::to_owned);
        let text = |it: &Value| it["text"].as_str().unwrap_or_default().to_owned();
        answers.map(|it| name(it).unwrap_or_else(|| text(it))).collect()
    }

    /// What is in the files that the page shows.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let state = self.shared.state();
        let files = state.items.values().filter_map(|it| it["file"]["data"].as_str());
        files.map(|it| STANDARD.decode(it).unwrap()).collect()
    }

    /// Whether the page has a line.
    pub fn is_open(&self) -> bool {
        self.shared.state().is_open
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all of which it is not known that it is kept.
    async fn send_again(&self, page: &mut Page) {
        let unkept = self.state().all();
        send(page, unkept).await;
    }

    /// Sends what is new: what is said counts, also where it is said again.
    async fn send_new(&self, page: &mut Page) {
        let unsent = std::mem::take(&mut self.state().unsent);
        send(page, unsent).await;
    }
}

async fn send(page: &mut Page, said: Vec<(String, String)>) {
    for (id, text) in said {
        page.send(&id, &text).await;
    }
}

impl State {
    /// What is not known to be kept, which is about to be sent.
    fn all(&mut self) -> Vec<(String, String)> {
        self.unsent.clear();
        self.unkept.clone()
    }

    fn shows(&mut self, page: &Page) {
        if page.anew {
            self.items.clear();
            self.rev = 0;
        }
        self.items.extend(page.items.clone());
        self.rev = self.rev.max(page.rev);
        let last = self.last.clone().filter(|last| !self.unkept.contains(last));
        self.unkept.extend(last);
        self.is_open = true;
    }

    /// Takes in a frame; gives after how long what is not kept is to be said again.
    fn hears(&mut self, frame: &Value) -> Option<Duration> {
        match frame["type"].as_str() {
            Some("item") => {
                self.rev = self.rev.max(frame["rev"].as_u64().unwrap());
                self.items.insert(frame["seq"].as_u64().unwrap(), frame["it"].clone());
            }
            Some("kept") => self.unkept.retain(|(id, _)| frame["id"] != id.as_str()),
            Some("refused") => self.refused = Some(frame.clone()),
            Some("later") => return Some(Duration::from_millis(frame["ms"].as_u64().unwrap())),
            _ => {}
        }
        None
    }
}

async fn stay(shared: Arc<Shared>, first: Page) {
    let mut page = Some(first);
    loop {
        if let Some(page) = page {
            attend(&shared, page).await;
            shared.state().is_open = false;
        }
        tokio::time::sleep(AGAIN).await;
        let after = shared.state().rev;
        page = shared.site.try_enter(json!({"visitor": shared.word, "after": after})).await;
    }
}

/// Has a page open until its line breaks.
async fn attend(shared: &Shared, mut page: Page) {
    shared.state().shows(&page);
    shared.send_again(&mut page).await;
    let mut again = None;
    loop {
        let due = again.unwrap_or_else(Instant::now);
        tokio::select! {
            frame = page.next() => match frame {
                Ok(frame) => {
                    let wait = shared.state().hears(&frame);
                    again = wait.map(|wait| Instant::now() + wait).or(again);
                }
                Err(_) => return,
            },
            () = shared.says.notified() => shared.send_new(&mut page).await,
            () = tokio::time::sleep_until(due), if again.is_some() => {
                again = None;
                shared.send_again(&mut page).await;
            }
        }
    }
}
