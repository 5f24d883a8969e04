//! The supervisor is killed between what somebody says at a network and the answer there: one turn, and
//! one answer that people see. Over every network that there is, by one row each.
//!
//! Where a network doubles what comes twice, an answer may be unknown instead, which is said.

pub(super) mod rows;
mod sent;
mod steps;

use std::time::{Duration, Instant};

use serde_json::json;
use tests::Tenant;
use tests::networks::{Between, Fate};
use tests::provider::{Line, bill};

use super::ground::Ground;
use super::house::{held, until};
use crate::delivery::seen::{Seen, announce_kills, rpc, settled};
use rows::Net;

/// How long something may take: what comes back from a kill waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Tenants with accounts at a network, and who talks there.
pub(super) struct Scene<N> {
    pub(super) net: N,
    between: Between,
    pub(super) ground: Ground,
    pub(super) tenants: Vec<Tenant>,
    /// What was said in each conversation.
    said: Vec<Vec<String>>,
}

impl<N: Net> Scene<N> {
    pub(super) async fn set() -> Self {
        let mut net = N::start().await;
        let (between, ground) = net.ground().await;
        announce_kills(&ground.gateway);
        let tenants: Vec<_> = N::TENANTS.iter().map(|it| ground.gateway.tenant(it)).collect();
        net.join(&ground, &tenants, &between.url()).await;
        for (talk, whose) in N::TALKS.iter().enumerate() {
            let model = json!({"key": net.session(talk), "model": "test/bill"});
            rpc(&ground.gateway, &tenants[*whose], "sessions.patch", model).await;
        }
        Self { net, between, ground, tenants, said: vec![Vec::new(); N::TALKS.len()] }
    }

    fn kill(&mut self) {
        tokio::task::block_in_place(|| self.ground.gateway.kill_supervisor_and_restart());
    }

    /// Says something in every conversation: a text for which these words are answered, and in each
    /// others.
    pub(super) async fn say(&mut self, text: impl Fn(&str) -> String, words: &str) {
        for talk in 0..N::TALKS.len() {
            let text = text(&in_talk(words, talk));
            self.net.say(talk, &text).await;
            self.said[talk].push(text);
        }
    }

    /// Waits until in every conversation people see these answers of the bot, and no others.
    async fn shows(&mut self, answers: &[&str]) {
        for talk in 0..N::TALKS.len() {
            let answers: Vec<_> = answers.iter().map(|it| in_talk(it, talk)).collect();
            self.shows_in(talk, &answers).await;
        }
    }

    pub(super) async fn shows_in(&mut self, talk: usize, answers: &[String]) {
        let began = Instant::now();
        loop {
            let said = self.net.said(talk).await;
            if said == answers {
                return;
            }
            assert!(said.len() <= answers.len(), "{said:?}, not {answers:?}");
            assert!(began.elapsed() < PATIENCE, "{said:?}, not {answers:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until every model that was asked waits, each of that many times.
    async fn asks(&self, times: usize) {
        let count = times * N::TALKS.len();
        until("the model is asked", || self.ground.provider.waiting() == count).await;
    }

    /// Lets them go on.
    fn go_on(&self, times: usize) {
        self.ground.provider.go_on(times * N::TALKS.len());
    }

    /// Waits until that became of what each tenant has to send, in each of its conversations: an answer, and
    /// where time was for it, what was shown of it before.
    async fn outbox_has(&self, state: &str) {
        for (whose, tenant) in self.tenants.iter().enumerate() {
            let count = N::TALKS.iter().filter(|it| **it == whose).count();
            let began = Instant::now();
            loop {
                let left = self.ground.outbox(tenant).await;
                if left.len() >= count && left.iter().all(|it| it == state) {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "{left:?}");
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Waits until every turn has its answer, wherever that has to go.
    async fn has_answered(&self) {
        for (talk, whose) in N::TALKS.iter().enumerate() {
            let (session, count) = (self.net.session(talk), 2 * self.said[talk].len());
            Seen::until(&self.ground.gateway, &self.tenants[*whose], &session, count).await;
        }
        self.is_over(false).await;
    }

    /// Waits until nobody has anything more to do, and nothing is left but what is unknown.
    pub(super) async fn is_over(&self, is_unknown: bool) {
        for tenant in &self.tenants {
            settled(&self.ground.gateway, tenant).await;
        }
        if is_unknown {
            self.outbox_has("unknown").await;
        } else {
            for tenant in &self.tenants {
                self.ground.is_sent(tenant).await;
            }
        }
    }

    /// After it was all over: these answers and one more, each after one turn.
    async fn goes_on(&mut self, answers: &[&str], is_unknown: bool) {
        self.is_over(is_unknown).await;
        self.net.is_there().await;
        self.say(saying, "on").await;
        let answers = [answers, &["on"]].concat();
        self.shows(&answers).await;
        self.is_over(is_unknown).await;
        self.has_heard().await;
        self.shows(&answers).await;
    }

    /// What was said had one turn in the session of its conversation, and none in another tenant's.
    async fn has_heard(&self) {
        for (talk, texts) in self.said.iter().enumerate() {
            let session = self.net.session(talk);
            for (at, tenant) in self.tenants.iter().enumerate() {
                let seen = Seen::of(&self.ground.gateway, tenant, &session).await;
                let is_whose = at == N::TALKS[talk];
                for text in texts {
                    let count = seen.count("user", text);
                    assert_eq!(count, usize::from(is_whose), "{text}, {}: {seen:?}", tenant.id);
                }
                // In a room there may be another's bot, which has a session of the same name.
                assert!(!is_whose || seen.messages.len() == 2 * texts.len(), "{seen:?}");
            }
        }
    }
}

/// The words in a conversation: nobody has the same in two.
pub(super) fn in_talk(words: &str, talk: usize) -> String {
    format!("{words} {talk}")
}

pub(super) fn saying(words: &str) -> String {
    bill(&[Line::say(words), Line::Stop, Line::used(1, 1), Line::Done])
}

/// An answer that waits before its first word.
fn waiting(words: &str) -> String {
    bill(&[Line::Wait, Line::say(words), Line::Stop, Line::used(1, 1), Line::Done])
}

async fn a_turn_that_is_under_way<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.say(held, "done").await;
    scene.asks(1).await;
    scene.kill();
    scene.asks(2).await;
    scene.go_on(2);
    scene.shows(&["so: done"]).await;
    scene.goes_on(&["so: done"], false).await;
}

async fn an_answer_that_cannot_go_yet<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.say(waiting, "later").await;
    scene.asks(1).await;
    scene.between.turn(Fate::PutOff).await;
    // And those that are asked once more.
    scene.go_on(2);
    scene.between.has_met(1).await;
    // That it is to wait is written down: before that nobody would know what became of it.
    if N::WAITS {
        scene.outbox_has("ready").await;
    } else {
        scene.has_answered().await;
    }
    scene.shows(&[]).await;
    scene.between.turn(Fate::Passed).await;
    scene.kill();
    scene.shows(&["later"]).await;
    scene.goes_on(&["later"], false).await;
}

async fn an_answer_on_its_way_that_does_not_arrive<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.say(waiting, "perhaps").await;
    scene.asks(1).await;
    scene.between.turn(Fate::Held).await;
    scene.go_on(2);
    scene.between.has_met(N::TALKS.len()).await;
    scene.shows(&[]).await;
    scene.between.turn(Fate::Passed).await;
    scene.kill();
    let shown: &[&str] = if N::DOUBLES { &[] } else { &["perhaps"] };
    scene.shows(shown).await;
    scene.goes_on(shown, N::DOUBLES).await;
}

async fn an_answer_that_has_arrived_and_nobody_heard_of_it<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.say(waiting, "there").await;
    scene.asks(1).await;
    scene.between.turn(Fate::Unanswered).await;
    scene.go_on(2);
    scene.shows(&["there"]).await;
    scene.between.turn(Fate::Passed).await;
    scene.kill();
    scene.goes_on(&["there"], N::DOUBLES).await;
}

/// What is said to nobody waits at the network; where it keeps nothing it is lost, and nothing comes of it
/// later.
async fn what_is_said_while_nobody_is_there<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.say(saying, "before").await;
    scene.shows(&["before"]).await;
    scene.is_over(false).await;
    tokio::task::block_in_place(|| scene.ground.gateway.stop());
    scene.say(saying, "meanwhile").await;
    tokio::task::block_in_place(|| scene.ground.gateway.restart());
    if N::LOSES {
        for said in &mut scene.said {
            said.pop();
        }
        scene.goes_on(&["before"], false).await;
        return;
    }
    scene.shows(&["before", "meanwhile"]).await;
    scene.goes_on(&["before", "meanwhile"], false).await;
}

/// The tests of each network.
macro_rules! over {
    ($($name:ident)*) => {$(
        mod $name {
            type Row = super::rows::$name::Row;

            #[tokio::test(flavor = "multi_thread")]
            async fn a_turn_under_way_is_taken_up() {
                super::a_turn_that_is_under_way::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_answer_that_cannot_go_yet_goes_later() {
                super::an_answer_that_cannot_go_yet::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_answer_that_does_not_arrive_is_brought_once_more_or_said_to_be_unknown() {
                super::an_answer_on_its_way_that_does_not_arrive::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_answer_of_which_nobody_heard_is_there_once() {
                super::an_answer_that_has_arrived_and_nobody_heard_of_it::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn what_is_said_while_nobody_is_there_is_answered_where_it_is_kept() {
                super::what_is_said_while_nobody_is_there::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn at_whatever_step_it_is_one_turn_and_one_answer() {
                super::steps::at_each::<Row>().await;
            }
        }
    )*};
}

over!(discord irc matrix matrix_town slack_events slack_socket telegram webchat webhook);
