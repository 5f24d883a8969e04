//! Asks a network for what is new over one account, and keeps what comes before the cursor moves past it.

use std::time::Duration;

use futures_util::future::join_all;
use networks::Us;
use records::{AccountRow, CursorRow, Records};
use runtime::Tasks;
use tokio::time::Instant;

use crate::adapter::{Adapter, Answer, Call, Outcome};
use crate::inbound::Inbound;
use crate::lines::{Called, shut};
use crate::source::{Came, Counts, Poll, back_off};

/// Conversations whose size is remembered: of those that are forgotten it is asked again.
const MAX_COUNTS: usize = 4096;

/// Rooms that are gone to at once.
const MAX_ASKED: usize = 32;

/// Answers in a row that could not be had, after which one asks for little at once.
const LITTLE_AFTER: u32 = 2;

/// Answers with what was left out of one room: some thousand messages, after which the rest of them is lost.
const MAX_PAGES: usize = 250;

/// How long it may take to go to a room: whoever has it on a server that does not answer holds up nobody.
const GOING: Duration = Duration::from_secs(10);

/// How often one tries to go to a room before it is given up.
const MAX_TRIES: u64 = 5;

/// How many there are in a conversation of which nobody says it: too many for two.
const MANY: u64 = u64::MAX;

/// One account that is asked.
#[derive(Debug)]
pub struct Poller {
    adapter: &'static dyn Adapter,
    account: AccountRow,
    inbound: Inbound,
    records: Records,
    cursor: Option<CursorRow>,
    is_loaded: bool,
    counts: Counts,
    /// How often it was tried in vain to go to which room.
    tried: Counts,
    failures: u32,
    chance: u16,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next question, after so many milliseconds.
    After(u64),
    /// None, until somebody has looked.
    Never,
}

impl Poller {
    /// Of an account that is to be connected. `chance` is a number that nobody knows beforehand, so that
    /// not all ask again at once.
    pub fn new(
        adapter: &'static dyn Adapter,
        account: AccountRow,
        inbound: Inbound,
        records: Records,
        chance: u16,
    ) -> Self {
        Self {
            adapter,
            account,
            inbound,
            records,
            cursor: None,
            is_loaded: false,
            counts: Counts::new(),
            tried: Counts::new(),
            failures: 0,
            chance,
        }
    }

    /// Asks until `tasks` stops, or the network does not know the account any more.
    pub async fn run(mut self, tasks: Tasks) {
        while !tasks.is_stopping() {
            // A question that is answered is worked through: half of it would come again.
            let Step::After(wait) = self.step(&tasks).await else { return };
            let until = Instant::now() + Duration::from_millis(wait);
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// One question.
    pub(crate) async fn step(&mut self, tasks: &Tasks) -> Step {
        let Some(poll) = self.adapter.poll() else { return Step::Never };
        if let Err(err) = self.load(poll).await {
            return self.away(&types::Chain(&err).to_string());
        }
        let cursor = self.cursor.as_ref().map(|it| it.cursor.as_str());
        let asked = poll.ask(cursor, self.failures >= LITTLE_AFTER);
        let called = tokio::select! {
            () = tasks.stopping() => return Step::After(0),
            called = self.inbound.lines().call(&self.account, asked) => called,
        };
        let (status, retry_after, body) = match called {
            Called::Answered { status, retry_after, body } => (status, retry_after, body),
            Called::Unsent(why) | Called::Unknown(why) => return self.away(&why),
        };
        let answer = Answer { status, retry_after: retry_after.as_deref(), body: &body };
        if !(200..300).contains(&status) {
            return self.refused(answer).await;
        }
        match self.work(poll, answer).await {
            Ok(()) => {
                self.failures = 0;
                Step::After(0)
            }
            Err(why) => self.away(&why),
        }
    }

    async fn load(&mut self, poll: &dyn Poll) -> Result<(), records::Error> {
        let now = self.inbound.clock().now();
        if !self.is_loaded {
            let owner = self.account.owner.as_ref();
            self.cursor = self.records.cursor(owner, &self.account.id).await?;
            self.is_loaded = true;
        }
        let age = poll.cursor_age();
        let is_old = |it: &CursorRow| age > 0 && now.saturating_sub(it.at) > age;
        self.cursor = self.cursor.take_if(|it| !is_old(it));
        Ok(())
    }

    async fn work(&mut self, poll: &dyn Poll, answer: Answer<'_>) -> Result<(), String> {
        let unreadable = |err| types::Chain(&err).to_string();
        let (id, name) = self.account.us.clone();
        let us = Us { id: &id, name: name.as_deref() };
        let mut came = poll.came(answer, us, &self.counts).map_err(unreadable)?;
        if self.count(poll, &came).await? {
            came = poll.came(answer, us, &self.counts).map_err(unreadable)?;
        }
        for (room, before) in &came.gaps {
            if !self.catch_up(poll, room, before).await? {
                let why = format!("{room} went on while we were away");
                self.inbound.watcher().lost(&self.account, &why);
            }
        }
        for event in came.events {
            self.inbound.take(self.adapter, &self.account, event).await?;
        }
        let to = came.invitations.iter().filter_map(|room| Some((room, poll.join(room)?)));
        let away = came.refused.iter().filter_map(|room| Some((room, poll.refuse(room)?)));
        self.go(to.chain(away).collect()).await?;
        let Some(cursor) = came.cursor else { return Ok(()) };
        let row = CursorRow { cursor, at: self.inbound.clock().now() };
        let owner = self.account.owner.as_ref();
        let written = self.records.put_cursor(owner, &self.account.id, Some(&row)).await;
        written.map_err(|err| types::Chain(&err).to_string())?;
        self.cursor = Some(row);
        Ok(())
    }

    /// Keeps what was left out of a room before what came of it; gives whether that is all of it.
    async fn catch_up(&self, poll: &dyn Poll, room: &str, before: &str) -> Result<bool, String> {
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let (mut from, members) = (cursor.cursor.clone(), self.counts.get(room).copied());
        for _ in 0..MAX_PAGES {
            let Some(call) = poll.ask_missed(room, &from, before) else { return Ok(false) };
            let body = match self.inbound.lines().call(&self.account, call).await {
                Called::Answered { status: 200, body, .. } => body,
                // It is not ours any more.
                Called::Answered { status: 403 | 404, .. } => return Ok(false),
                Called::Answered { .. } | Called::Unsent(_) | Called::Unknown(_) => {
                    return Err(format!("nobody says what was left out of {room}"));
                }
            };
            let answer = Answer { status: 200, retry_after: None, body: &body };
            let missed = poll.missed(answer, room, members);
            let missed = missed.map_err(|err| types::Chain(&err).to_string())?;
            for event in missed.events {
                self.inbound.take(self.adapter, &self.account, event).await?;
            }
            match missed.rest {
                Some(rest) if rest != from => from = rest,
                Some(_) | None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Goes to rooms or turns them down. Of an invitation one hears once: what cannot be done now is done
    /// before the cursor moves on.
    async fn go(&mut self, mut calls: Vec<(&String, Call)>) -> Result<(), String> {
        while !calls.is_empty() {
            let some = calls.split_off(calls.len().saturating_sub(MAX_ASKED));
            let going = some.into_iter().map(async |(room, call)| {
                let called = self.inbound.lines().call(&self.account, call);
                let called = tokio::time::timeout(GOING, called).await;
                tracing::debug!(?called, "a room was gone to");
                let is_done = matches!(called, Ok(Called::Answered { status, .. }) if status < 500 && status != 429);
                (room, is_done)
            });
            for (room, is_done) in join_all(going).await {
                let tried = self.tried.remove(room).unwrap_or(0).saturating_add(1);
                if !is_done && tried < MAX_TRIES && self.tried.len() < MAX_COUNTS {
                    self.tried.insert(room.clone(), tried);
                    return Err("a room cannot be gone to now".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Learns how many are in which conversation. Whether anything was to be asked.
    async fn count(&mut self, poll: &dyn Poll, came: &Came) -> Result<bool, String> {
        if self.counts.len() >= MAX_COUNTS {
            self.counts.clear();
        }
        self.counts.extend(came.counts.iter().cloned());
        for room in &came.uncounted {
            let Some(call) = poll.count(room) else { continue };
            let called = self.inbound.lines().call(&self.account, call).await;
            let count = match &called {
                Called::Answered { status: 200, body, .. } => {
                    poll.counted(Answer { status: 200, retry_after: None, body })
                }
                // It is not ours any more.
                Called::Answered { status: 403 | 404, .. } => None,
                Called::Answered { .. } | Called::Unsent(_) | Called::Unknown(_) => {
                    return Err(format!("nobody says how many are in {room}"));
                }
            };
            self.counts.insert(room.clone(), count.unwrap_or(MANY));
        }
        Ok(!came.uncounted.is_empty())
    }

    async fn refused(&mut self, answer: Answer<'_>) -> Step {
        match self.adapter.outcome(answer) {
            Outcome::Wait(wait) => Step::After(wait),
            Outcome::Shut(why) => {
                let (watcher, now) = (self.inbound.watcher(), self.inbound.clock().now());
                shut(&self.records, watcher, now, &self.account, &why).await;
                Step::Never
            }
            Outcome::Refused(why) | Outcome::Unknown(why) | Outcome::Moved(why) => self.away(&why),
            Outcome::Sent(_) => self.away("the answer says nothing"),
        }
    }

    fn away(&mut self, why: &str) -> Step {
        self.inbound.watcher().away(&self.account, why);
        let wait = back_off(self.failures, self.chance);
        self.failures = self.failures.saturating_add(1);
        Step::After(wait)
    }
}

#[cfg(test)]
mod tests;
