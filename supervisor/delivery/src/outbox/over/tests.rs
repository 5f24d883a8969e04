//! Messages that grow, over a store that stops at any of its commits: one answer is there, whatever was lost.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::super::tests::{at_each_commit, drive, start};
use super::*;
use crate::outbox::{Intent, Means, Seen};
use crate::testing::House;

/// Messages that can be changed, as a network has them.
#[derive(Debug)]
struct Board {
    means: Means,
    /// By which key each was sent, and what it says.
    messages: Mutex<Vec<(String, String)>>,
    /// Attempts of which nobody hears, from the next on.
    silent: Mutex<usize>,
}

impl Board {
    fn new(means: Means) -> Arc<Self> {
        Arc::new(Self { means, messages: Mutex::default(), silent: Mutex::default() })
    }

    fn sinks(self: &Arc<Self>) -> Sinks {
        let sink: Arc<dyn Sink> = Arc::<Self>::clone(self);
        std::iter::once(("test".into(), sink)).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }

    fn answer(&self, at: usize) -> Fate {
        let mut silent = self.silent.lock().unwrap();
        if *silent == 0 {
            return Fate::Sent(Some(at.to_string()));
        }
        *silent -= 1;
        Fate::Unknown("no answer".to_owned())
    }
}

#[async_trait]
impl Sink for Board {
    fn means(&self) -> Means {
        self.means
    }

    async fn send(&self, part: Part<'_>) -> Fate {
        let text = String::from_utf8_lossy(part.content).into_owned();
        let mut messages = self.messages.lock().unwrap();
        if let Some(over) = part.over {
            let at = over.parse::<usize>().unwrap();
            let Some(message) = messages.get_mut(at).filter(|(_, text)| !text.is_empty()) else {
                return Fate::Failed("there is no such message".to_owned());
            };
            message.1 = text;
            return self.answer(at);
        }
        let known = messages.iter().position(|(key, _)| key == part.key);
        let at = known.filter(|_| self.means == Means::DurableKey).unwrap_or(messages.len());
        if at == messages.len() {
            messages.push((part.key.to_owned(), text));
        }
        self.answer(at)
    }

    async fn look(&self, part: Part<'_>) -> Option<Seen> {
        let messages = self.messages.lock().unwrap();
        let at = messages.iter().position(|(key, _)| key == part.key);
        Some(at.map_or(Seen::Absent, |at| Seen::There(Some(at.to_string()))))
    }
}

fn draft() -> Intent {
    let (id, place, lane) = ("run.draft".to_owned(), "there".to_owned(), "lane".to_owned());
    Intent { id, sink: "test".into(), place, lane, parts: vec!["be".into()], over: None }
}

fn whole() -> Intent {
    let parts = ["begun and ended", "and more"].map(Bytes::from).to_vec();
    Intent { id: "run.0".to_owned(), parts, over: Some("run.draft".to_owned()), ..draft() }
}

/// What a worker does, from the beginning or once more.
async fn answer(outbox: &Outbox, board: &Arc<Board>) -> Result<(), Error> {
    outbox.submit(&draft()).await?;
    drive(outbox, &board.sinks()).await?;
    outbox.revise("run.draft", ("test", "there"), b"begun", &board.sinks()).await?;
    outbox.submit(&whole()).await?;
    drive(outbox, &board.sinks()).await
}

async fn crash_at(commits: usize, last_counts: bool, means: Means) -> bool {
    let (house, board) = (House::new(last_counts).await, Board::new(means));
    house.stop_after(commits);
    let outbox = start(&house).await;
    let is_whole = answer(&outbox, &board).await.is_ok() && !house.store.is_over();
    drop(outbox);
    house.stop_after(usize::MAX);
    let outbox = start(&house).await;
    answer(&outbox, &board).await.unwrap();
    let (texts, left) = (board.texts(), outbox.list().await.unwrap());
    let unknown = left.iter().filter(|it| it.state == "unknown").count();
    if means != Means::None || unknown == 0 {
        assert_eq!(texts, ["begun and ended", "and more"], "{means:?} at {commits}: {left:?}");
    } else {
        assert!(unknown == 1 && texts.len() <= 3, "at {commits}: {texts:?}, {left:?}");
    }
    is_whole
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_leaves_one_answer() {
    at_each_commit(6, crash_at).await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_place_twice_is_there_once() {
    let (house, board) = (House::new(false).await, Board::new(Means::None));
    let outbox = start(&house).await;
    outbox.submit(&draft()).await.unwrap();
    drive(&outbox, &board.sinks()).await.unwrap();
    assert_eq!(board.texts(), ["be"]);
    *board.silent.lock().unwrap() = 2;
    outbox.submit(&whole()).await.unwrap();
    drive(&outbox, &board.sinks()).await.unwrap();
    assert_eq!(board.texts(), ["begun and ended", "and more"]);
    assert!(outbox.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_the_place_is_gone_it_is_a_message_of_its_own() {
    let (house, board) = (House::new(false).await, Board::new(Means::DurableKey));
    let outbox = start(&house).await;
    outbox.submit(&draft()).await.unwrap();
    drive(&outbox, &board.sinks()).await.unwrap();
    board.messages.lock().unwrap()[0].1.clear();
    let sinks = board.sinks();
    let is_there = outbox.revise("run.draft", ("test", "there"), b"begun", &sinks).await.unwrap();
    assert!(!is_there, "what was taken away is not revised");
    outbox.submit(&whole()).await.unwrap();
    drive(&outbox, &sinks).await.unwrap();
    assert_eq!(board.texts(), ["", "begun and ended", "and more"]);
    for id in ["nothing", "run.0"] {
        let is_there = outbox.revise(id, ("test", "there"), b"more", &sinks).await.unwrap();
        assert_eq!(is_there, id == "run.0", "{id}");
    }
    let long = vec![0; MAX_CONTENT + 1];
    outbox.revise("run.0", ("test", "there"), &long, &sinks).await.unwrap_err();
}
