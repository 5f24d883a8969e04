//! Somebody who talks to one account of one tenant: one numbered message after the other, without waiting for
//! each answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Tenant;
use tests::provider::brief;
use tokio_util::sync::CancellationToken;

use super::super::ground::Ground;
use super::super::kills::rows::Talk;
use crate::delivery::seen::{Seen, rpc};

/// Messages that wait for their answers at most; more are said when half of them are answered.
const AHEAD: usize = 6;

/// Messages at which one looks: those that wait for their answers, these, and what is between.
const NEWEST: usize = 3 * AHEAD;

/// How long nothing may come: what comes back from a kill waits for its turn, tenants wait for each other, and
/// where the machine has so much to do that starts fail, a tenant is parked for up to ten minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// Between two looks, twice as long each time that there is nothing new and half as long where there is:
/// hundreds look at once, a homeserver among what they look at, and the gateway is to have the machine.
/// And between two at what is left to be sent.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_AT_MOST: Duration = Duration::from_secs(8);
const LOOK_LEFT: Duration = Duration::from_secs(5);

pub(super) struct Talker {
    pub(super) tenant: Tenant,
    pub(super) network: &'static str,
    /// Whether the network doubles what comes twice: then what became of an answer may be unknown.
    pub(super) doubles: bool,
    pub(super) talk: Box<dyn Talk>,
    /// How many messages are said.
    pub(super) said: usize,
    /// The last answer that is there.
    heard: usize,
    /// How long is waited for the next before one looks.
    pause: Duration,
}

impl Talker {
    pub(super) fn new(
        tenant: Tenant,
        (network, doubles): (&'static str, bool),
        talk: Box<dyn Talk>,
    ) -> Self {
        Self { tenant, network, doubles, talk, said: 0, heard: 0, pause: LOOK }
    }

    pub(super) fn session(&self) -> String {
        self.talk.session()
    }

    /// Says so many messages, or fewer where it is to stop, and waits until they are answered.
    pub(super) async fn talk(
        mut self,
        ground: Arc<Ground>,
        messages: usize,
        stop: CancellationToken,
    ) -> Self {
        self.talk.is_there().await;
        while self.said < messages && !stop.is_cancelled() {
            if self.said >= self.heard + AHEAD {
                self.hears(&ground, self.said - AHEAD / 2).await;
            }
            let text = self.message(self.said + 1);
            self.talk.say(&text).await;
            self.said += 1;
        }
        self.hears(&ground, self.said).await;
        self
    }

    /// Waits until that answer is there, or one after it.
    async fn hears(&mut self, ground: &Ground, number: usize) {
        let (mut since, mut looked) = (Instant::now(), Instant::now());
        while self.heard < number {
            let shown = self.talk.newest(NEWEST).await;
            let mut asked = (self.heard + 1..=self.said).rev();
            if let Some(last) = asked.find(|n| shown.contains(&self.answer(*n))) {
                (self.heard, since) = (last, Instant::now());
                self.pause = LOOK.max(self.pause / 2);
                continue;
            }
            if self.doubles && looked.elapsed() > LOOK_LEFT {
                looked = Instant::now();
                if self.heard + self.left(ground).await >= number {
                    return;
                }
            }
            assert!(
                since.elapsed() < PATIENCE,
                "answer {number} does not come: {}",
                self.standing(ground).await
            );
            tokio::time::sleep(self.pause).await;
            self.pause = LOOK_AT_MOST.min(self.pause * 2);
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
        let pause = match number % 8 {
            3 => 1500,
            it if it % 2 == 0 => 300,
            _ => 0,
        };
        brief(pause, &self.answer(number))
    }
}
