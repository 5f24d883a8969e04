//! What has become of everything that was sent to one tenant.

use std::collections::{BTreeSet, HashMap};
use std::iter::Sum;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Gateway, Tenant};

use super::super::seen::{Seen, rpc};
use super::receiver::Receiver;
use super::sender::{Sender, Sent, TICK, Way};

/// How long what was cut off again and again may wait for its next attempt.
const PATIENCE: Duration = Duration::from_mins(3);

/// What the end of a run says that was cut off too often.
const CUT_OFF: &str = "ended again and again";

/// How many of what.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::delivery) struct Tally {
    pub(in crate::delivery) chats: u64,
    pub(in crate::delivery) hooks: u64,
    pub(in crate::delivery) jobs: u64,
    /// Runs of jobs that run again and again.
    pub(in crate::delivery) ticks: u64,
    /// Of all of these, those that are said to have been given up.
    pub(in crate::delivery) given_up: u64,
    /// Turns for which the model was asked again.
    pub(in crate::delivery) asked_again: usize,
    /// Results that were posted again under the same id.
    pub(in crate::delivery) posted_again: usize,
}

impl Tally {
    pub(in crate::delivery) const fn events(&self) -> u64 {
        self.chats + self.hooks + self.jobs
    }

    /// Each takes one turn.
    pub(in crate::delivery) fn turns(&self) -> usize {
        usize::try_from(self.events() + self.ticks).unwrap()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.chats += other.chats;
        self.hooks += other.hooks;
        self.jobs += other.jobs;
        self.ticks += other.ticks;
        self.given_up += other.given_up;
        self.asked_again += other.asked_again;
        self.posted_again += other.posted_again;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum += one);
        sum
    }
}

/// Waits until nothing is to be done any more, and looks at all of it. Where files have refused what was
/// written, the run of a job may say that it has failed for that.
pub(in crate::delivery) async fn tenant(
    gateway: &Gateway,
    sender: &Sender,
    (receiver, has_refused): (&Receiver, bool),
    sent: &[Vec<Sent>],
) -> Tally {
    let tenant = &sender.tenant;
    if let Some(ticks) = &sender.ticks {
        let off = json!({"id": ticks, "patch": {"enabled": false}});
        rpc(gateway, tenant, "cron.update", off).await;
    }
    let dead = settled(sender).await;
    let main = Seen::of(gateway, tenant, "main").await;
    let runs = runs(gateway, tenant).await;
    let look = Look { gateway, tenant, receiver, has_refused, main, dead, runs };
    let mut tally = Tally::default();
    let mut sessions = HashMap::<&str, Vec<&Sent>>::new();
    for one in sent.iter().flatten() {
        match &one.way {
            Way::Job { id, is_posted } => {
                tally.jobs += 1;
                tally.given_up += look.job(id, one, *is_posted).await;
            }
            Way::Chat | Way::Hook => sessions.entry(&one.session).or_default().push(one),
        }
    }
    for (session, all) in sessions {
        let seen = Seen::of(gateway, tenant, session).await;
        for sent in sent {
            in_order(&seen, session, sent);
        }
        if !has_refused {
            look.answers(&seen, &all);
        }
        for one in all {
            tally.chats += u64::from(one.way == Way::Chat);
            tally.hooks += u64::from(one.way == Way::Hook);
            tally.given_up += look.message(&seen, one);
        }
    }
    if let Some(ticks) = &sender.ticks {
        let given_up = look.ticks(ticks).await;
        tally.ticks = u64::try_from(look.of_job(ticks).len()).unwrap();
        tally.given_up += given_up;
    }
    tally
}

/// The reply to a message that was cut off and behind which others were taken meanwhile: the model, which
/// says again what it is told last, is told that.
fn is_late(said: &str) -> bool {
    said.to_lowercase().starts_with("[an earlier message of this conversation")
}

/// What one sender has sent, each after the one before was acknowledged, is in that order.
fn in_order(seen: &Seen, session: &str, sent: &[Sent]) {
    let place =
        |one: &Sent| seen.messages.iter().position(|(by, said)| by == "user" && *said == one.text);
    let of_session = sent.iter().filter(|one| one.session == session);
    let places: Vec<_> = of_session.filter_map(place).collect();
    assert!(places.is_sorted(), "{session}: {places:?} {seen:#?}");
}

/// Waits until no event, intent or run is under way. Gives the names of the events that were given up.
async fn settled(sender: &Sender) -> BTreeSet<String> {
    let began = Instant::now();
    loop {
        let jobs = json!({"enabled": "all", "limit": 200});
        // That the worker was killed may not be noticed yet.
        let Some(jobs) = sender.call("cron.list", jobs).await else {
            assert!(began.elapsed() < PATIENCE, "no worker comes");
            continue;
        };
        let awaited = |job: &&Value| {
            let state = &job["state"];
            !state["runningAtMs"].is_null() || !state["nextRunAtMs"].is_null()
        };
        let jobs: Vec<_> = jobs["jobs"].as_array().unwrap().iter().filter(awaited).collect();
        let intents = sender.call("outbox.list", json!({})).await.unwrap();
        let events = sender.call("inbox.list", json!({})).await.unwrap();
        let events = events["events"].as_array().unwrap();
        let (dead, waiting): (Vec<_>, Vec<_>) = events.iter().partition(|it| it["state"] == "dead");
        if jobs.is_empty() && waiting.is_empty() && intents["intents"] == json!([]) {
            let name = |event: &&Value| event["event"].as_str().unwrap().to_owned();
            return dead.iter().map(name).collect();
        }
        assert!(began.elapsed() < PATIENCE, "{jobs:#?} {intents} {waiting:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every line of the run log.
async fn runs(gateway: &Gateway, tenant: &Tenant) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let page = json!({"scope": "all", "limit": 200, "offset": all.len()});
        let page = rpc(gateway, tenant, "cron.runs", page).await;
        all.extend(page["entries"].as_array().unwrap().iter().cloned());
        if page["hasMore"] == false {
            return all;
        }
    }
}

struct Look<'a> {
    gateway: &'a Gateway,
    tenant: &'a Tenant,
    receiver: &'a Receiver,
    has_refused: bool,
    main: Seen,
    dead: BTreeSet<String>,
    runs: Vec<Value>,
}

impl Look<'_> {
    fn of_job(&self, id: &str) -> Vec<&Value> {
        self.runs.iter().filter(|run| run["jobId"] == id).collect()
    }

    fn is_dead(&self, one: &Sent) -> bool {
        let number = one.text.trim_start_matches("event ");
        let names = [format!("key-{number}"), format!("hook-{number}")];
        names.iter().any(|name| self.dead.contains(name))
    }

    /// A message or hook; 1 where it was given up.
    fn message(&self, seen: &Seen, one: &Sent) -> u64 {
        let (asked, said) = (seen.count("user", &one.text), seen.count("assistant", &one.answer));
        assert!(asked <= 1 && said <= 1, "{one:?} in {seen:#?}");
        if self.is_dead(one) {
            return 1;
        }
        assert_eq!(asked, 1, "{one:?} in {seen:#?}");
        if one.way == Way::Hook {
            let told = self.main.count("assistant", &format!("[Hook]\n\n{}", one.answer));
            assert_eq!(told, said, "{one:?} in {seen:#?}");
            assert!(said == 1 || self.has_refused, "{one:?} in {seen:#?}");
        }
        u64::from(said == 0 && self.has_refused)
    }

    /// Each message has its answer, a late one where others came in between.
    fn answers(&self, seen: &Seen, all: &[&Sent]) {
        let missing = all.iter().filter(|one| seen.count("assistant", &one.answer) == 0).count();
        let dead = all.iter().filter(|one| self.is_dead(one)).count();
        let late = seen.messages.iter().filter(|(by, said)| by == "assistant" && is_late(said));
        assert_eq!(late.count(), missing - dead.min(missing), "{seen:#?}");
    }

    /// The run of a job that runs once; 1 where it was given up. One that has failed because files have
    /// refused it says so, and may have been tried again.
    async fn job(&self, id: &str, one: &Sent, is_posted: bool) -> u64 {
        let runs = self.of_job(id);
        let named = self.runs.iter().filter(|run| run["jobName"] == one.text);
        assert_eq!(named.count(), runs.len(), "{one:?}: {runs:#?}");
        let has_failed =
            |run: &&Value| run["status"] == "error" || run["deliveryStatus"] == "not-delivered";
        let (failed, ended): (Vec<_>, Vec<_>) =
            runs.iter().copied().partition(|run| self.has_refused && has_failed(run));
        match *ended {
            [run] => self.run(run, one, is_posted).await,
            [] if !failed.is_empty() => 1,
            _ => panic!("{one:?}: {runs:#?}"),
        }
    }

    /// The one run of a job; 1 where it was given up.
    async fn run(&self, run: &Value, one: &Sent, is_posted: bool) -> u64 {
        let id = run["runId"].as_str().unwrap();
        let told = self.main.count("assistant", &format!("[{}]\n\n{}", one.text, one.answer));
        let posted = self.receiver.of(id).unwrap_or_default();
        assert!(posted.ids.len() <= 1 && posted.bodies.len() <= 1, "{run:#} {posted:?}");
        if run["status"] == "error" {
            let is_told = run["error"].as_str().unwrap().contains(CUT_OFF);
            assert!(is_told && run["deliveryStatus"] == "unknown" && told <= 1, "{run:#}");
            return 1;
        }
        let session = run["sessionKey"].as_str().unwrap();
        let seen = Seen::of(self.gateway, self.tenant, session).await;
        let counts = (seen.count("user", &one.text), seen.count("assistant", &one.answer));
        assert_eq!(counts, (1, 1), "{run:#} {seen:#?}");
        assert_eq!(seen.messages.len(), 2, "{run:#} {seen:#?}");
        let expected = if is_posted { (0, 1) } else { (1, 0) };
        assert_eq!((told, posted.ids.len()), expected, "{run:#} {posted:?}");
        0
    }

    /// The runs of the job that runs again and again: each at a time of its own. Gives how many were
    /// given up.
    async fn ticks(&self, id: &str) -> u64 {
        let runs = self.of_job(id);
        let times: BTreeSet<_> = runs.iter().map(|run| run["runAtMs"].as_u64().unwrap()).collect();
        assert_eq!(times.len(), runs.len(), "{runs:#?}");
        let tick = Sent {
            way: Way::Job { id: id.to_owned(), is_posted: true },
            text: TICK.to_owned(),
            session: String::new(),
            answer: TICK.to_owned(),
        };
        let mut given_up = 0;
        for run in &runs {
            given_up += self.run(run, &tick, true).await;
        }
        given_up
    }
}
