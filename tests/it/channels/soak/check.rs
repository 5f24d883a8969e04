//! What has become of everything that was said.

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Tenant;

use super::super::ground::Ground;
use super::talker::Talker;
use crate::delivery::seen::{Seen, rpc};

/// How long what is over may take to be seen as over, also of a tenant that is parked as long as that.
const PATIENCE: Duration = Duration::from_mins(6);

/// How many answers became what.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    lost: usize,
    doubled: usize,
    disordered: usize,
    /// Of which nobody knows, and that is said.
    unknown: usize,
}

impl Tally {
    pub(super) const fn is_whole(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.disordered == 0
    }

    /// What became of texts that are each to be there once, in that order.
    fn of(wanted: &[String], there: &[String]) -> Self {
        let places: HashMap<_, _> = wanted.iter().zip(0..).collect();
        let mut times = vec![0; wanted.len()];
        let (mut tally, mut last) = (Self::default(), 0);
        for text in there {
            // Whatever else is there, such as that something went wrong, is there in the place of one.
            let Some(at) = places.get(text).copied() else { continue };
            tally.disordered += usize::from(at < last);
            times[at] += 1;
            last = at;
        }
        tally.lost = times.iter().filter(|it| **it == 0).count();
        tally.doubled = times.iter().filter(|it| **it > 1).count();
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.unknown += other.unknown;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, disordered, unknown } = self;
        write!(f, "lost {lost}, doubled {doubled}, out of order {disordered}")?;
        if *unknown > 0 {
            write!(f, ", unknown {unknown}")?;
        }
        Ok(())
    }
}

/// Waits until nothing is under way for a tenant any more.
pub(super) async fn settled(ground: &Ground, tenant: &Tenant) {
    let began = Instant::now();
    loop {
        let inbox = rpc(&ground.gateway, tenant, "inbox.list", json!({})).await;
        let outbox = rpc(&ground.gateway, tenant, "outbox.list", json!({})).await;
        let intents = outbox["intents"].as_array().unwrap();
        let is_over = |it: &Value| it["state"] == "unknown" || it["state"] == "failed";
        if inbox["events"] == json!([])
            && intents.iter().all(is_over)
            && is_served(ground, tenant).await
        {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{}: {inbox:#} {outbox:#}", tenant.id);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether its worker answers: where starts have failed it is parked for a while.
async fn is_served(ground: &Ground, tenant: &Tenant) -> bool {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "sessions.list", "params": {}});
    ground.gateway.client(tenant).post("/rpc", &body).await.json()["error"].is_null()
}

impl Talker {
    /// What became of what was said: at the network, and in the transcript.
    pub(super) async fn check(&mut self, ground: &Ground) -> Tally {
        let asked: Vec<_> = (1..=self.said).map(|n| self.message(n)).collect();
        let answers: Vec<_> = (1..=self.said).map(|n| self.answer(n)).collect();
        let shown = self.talk.said().await;
        let mut tally = Tally::of(&answers, &shown);
        tally.unknown = self.left(ground).await;
        // Of those that are unknown the network may have some.
        tally.lost = tally.lost.saturating_sub(tally.unknown);
        let seen = Seen::whole(&ground.gateway, &self.tenant, &self.session()).await;
        let turns = asked.iter().zip(&answers).flat_map(|(asked, answer)| {
            [("user".to_owned(), asked.clone()), ("assistant".to_owned(), answer.clone())]
        });
        // Where it was compacted, that is shown as well.
        let told = seen.messages.iter().filter(|(by, _)| by != "system");
        let is_told = told.cloned().eq(turns);
        let is_all = shown.len() + tally.unknown >= self.said && shown.len() <= self.said;
        if !tally.is_whole() || !is_all || !is_told {
            println!("{tally}: {}", self.standing(ground).await);
        }
        assert!(is_told || !tally.is_whole(), "{} has another transcript", self.tenant.id);
        assert!(is_all || !tally.is_whole(), "{} shows something else", self.tenant.id);
        tally
    }
}
