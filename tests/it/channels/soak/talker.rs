//! Somebody who talks to one account of one tenant: one numbered message after the other, without waiting for
//! each answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Tenant;
use tests::provider::{Line, bill};

use super::super::ground::Ground;
use super::super::kills::rows::Talk;
use crate::delivery::seen::{Seen, rpc};

/// Messages that wait for their answers at most.
const AHEAD: usize = 3;

/// Messages at which one looks: those that wait for their answers, and these.
const NEWEST: usize = 4 * AHEAD;

/// How long nothing may come: what comes back from a kill waits for its turn, tenants wait for each other, and
/// where the machine has so much to do that starts fail, a tenant is parked for minutes.
const PATIENCE: Duration = Duration::from_mins(6);

/// Between two looks, longer each time that there is nothing new: hundreds look at once, a homeserver among
/// what they look at, and the gateway is to have the machine. And between two at what is left to be sent.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_AT_MOST: Duration = Duration::from_secs(4);
const LOOK_LEFT: Duration = Duration::from_secs(5);

pub(super) struct Talker {
    pub(super) tenant: Tenant,
    pub(super) network: &'static str,
    /// Whether the network doubles what comes twice: then what became of an answer may be unknown.
    pub(super) doubles: bool,
    pub(super) talk: Box<dyn Talk>,
}

impl Talker {
    pub(super) fn new(
        tenant: Tenant,
        (network, doubles): (&'static str, bool),
        talk: Box<dyn Talk>,
    ) -> Self {
        Self { tenant, network, doubles, talk }
    }

    pub(super) fn session(&self) -> String {
        self.talk.session()
    }

    /// Says so many messages, and waits until they are answered.
    pub(super) async fn talk(mut self, ground: Arc<Ground>, messages: usize) -> Self {
        self.talk.is_there().await;
        for n in 1..=messages {
            self.hears(&ground, n.saturating_sub(AHEAD)).await;
            let text = self.message(n);
            self.talk.say(&text).await;
        }
        self.hears(&ground, messages).await;
        self
    }

    /// Waits until that answer is there, or one after it.
    async fn hears(&mut self, ground: &Ground, number: usize) {
        let (mut heard, mut since) = (0, Instant::now());
        let (mut looked, mut pause) = (Instant::now(), LOOK);
        loop {
            let said = self.talk.newest(NEWEST).await;
            let first = number.saturating_sub(NEWEST).max(1);
            let last =
                (first..=number).rev().find(|n| said.contains(&self.answer(*n))).unwrap_or(0);
            if last == number {
                return;
            }
            if last > heard {
                (heard, since, pause) = (last, Instant::now(), LOOK);
            }
            if self.doubles && looked.elapsed() > LOOK_LEFT {
                looked = Instant::now();
                let unknown = self.left(ground).await;
                if last + unknown >= number {
                    return;
                }
            }
            assert!(
                since.elapsed() < PATIENCE,
                "answer {number} does not come: {}",
                self.standing(ground).await
            );
            tokio::time::sleep(pause).await;
            pause = LOOK_AT_MOST.min(pause * 2);
        }
    }

    /// How many answers there are of which nobody knows whether they are there.
    pub(super) async fn left(&self, ground: &Ground) -> usize {
        let left = rpc(&ground.gateway, &self.tenant, "outbox.list", json!({})).await;
        let is_unknown = |it: &&Value| it["state"] == "unknown" && it["sink"] == self.network;
        left["intents"].as_array().unwrap().iter().filter(is_unknown).count()
    }

    /// What is there of the conversation, and what is on its way.
    pub(super) async fn standing(&mut self, ground: &Ground) -> String {
        let (gateway, tenant) = (&ground.gateway, &self.tenant);
        let said = self.talk.said().await;
        let inbox = rpc(gateway, tenant, "inbox.list", json!({})).await;
        let outbox = rpc(gateway, tenant, "outbox.list", json!({})).await;
        let seen = Seen::whole(gateway, tenant, &self.talk.session()).await;
        let (id, network) = (&tenant.id, self.network);
        format!(
            "{id} over {network}\nshown: {said:#?}\ninbox: {inbox:#}\noutbox: {outbox:#}\n{seen:#?}"
        )
    }

    /// What is answered to a message.
    pub(super) fn answer(&self, number: usize) -> String {
        format!("answer {number} to {} over {}", self.tenant.id, self.network)
    }

    /// A message: its answer comes at once, or takes its time, or so long that it is shown before it is
    /// whole.
    pub(super) fn message(&self, number: usize) -> String {
        let answer = self.answer(number);
        let (first, rest) = answer.split_at(answer.len() / 2);
        let pause = match number % 8 {
            3 => 1500,
            it if it % 2 == 0 => 300,
            _ => 0,
        };
        let said = [Line::say(first), Line::Pause(pause), Line::say(rest)];
        bill(&[&said[..], &[Line::Stop, Line::used(1, 1), Line::Done]].concat())
    }
}
