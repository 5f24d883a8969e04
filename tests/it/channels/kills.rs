//! The supervisor is killed between what somebody says at a network and the answer there: one turn, and
//! one answer that people see. Over every network that there is, by one row each.
//!
//! Where a network doubles what comes twice, an answer may be unknown instead, which is said.

mod rows;
mod steps;

use serde_json::json;
use tests::Tenant;
use tests::networks::{Between, Fate};
use tests::provider::{Line, bill};

use super::ground::Ground;
use super::house::{held, until};
use crate::delivery::seen::{Seen, announce_kills, rpc, settled};
use rows::Net;

/// A tenant with an account at a network, and who talks there.
struct Scene<N> {
    net: N,
    between: Between,
    ground: Ground,
    tenant: Tenant,
}

impl<N: Net> Scene<N> {
    async fn set() -> Self {
        let mut net = N::start().await;
        let between = Between::start(net.address(), N::SENDS).await;
        let root = between.url();
        let ground = Ground::build(&[(N::NAME, &root)]).await;
        announce_kills(&ground.gateway);
        let tenant = ground.gateway.tenant("acme");
        net.join(&ground, &root).await;
        Self { net, between, ground, tenant }
    }

    fn kill(&mut self) {
        tokio::task::block_in_place(|| self.ground.gateway.kill_supervisor_and_restart());
    }

    /// Waits until people see these answers of the bot, and no others.
    async fn shows(&mut self, answers: &[&str]) {
        for _ in 0..2400 {
            let said = self.net.said().await;
            if said == answers {
                return;
            }
            assert!(said.len() <= answers.len(), "{said:?}, not {answers:?}");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{:?}, not {answers:?}", self.net.said().await);
    }

    /// After it was all over: these answers and one more, each after one turn.
    async fn goes_on(&mut self, texts: &[&str], answers: &[&str], is_unknown: bool) {
        settled(&self.ground.gateway, &self.tenant).await;
        let ended: &[&str] = if is_unknown { &["unknown"] } else { &[] };
        self.ground.is_sent_but(&self.tenant, ended).await;
        let more = bill(&[Line::say("on"), Line::Stop, Line::used(1, 1), Line::Done]);
        self.net.say(&more).await;
        self.shows(&[answers, &["on"]].concat()).await;
        settled(&self.ground.gateway, &self.tenant).await;
        let seen = Seen::of(&self.ground.gateway, &self.tenant, &self.net.session()).await;
        for text in texts.iter().chain([&more.as_str()]) {
            assert_eq!(seen.count("user", text), 1, "{text}: {seen:?}");
        }
        assert_eq!(seen.messages.len(), 2 * (texts.len() + 1), "{seen:?}");
        self.shows(&[answers, &["on"]].concat()).await;
    }

    async fn has_model(&self) {
        let model = json!({"key": self.net.session(), "model": "test/bill"});
        rpc(&self.ground.gateway, &self.tenant, "sessions.patch", model).await;
    }
}

fn saying(words: &str) -> String {
    bill(&[Line::say(words), Line::Stop, Line::used(1, 1), Line::Done])
}

async fn a_turn_that_is_under_way<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.has_model().await;
    let text = held("done");
    scene.net.say(&text).await;
    until("the model has begun", || scene.ground.provider.waiting() == 1).await;
    scene.kill();
    until("it is asked again", || scene.ground.provider.waiting() == 2).await;
    scene.ground.provider.go_on(2);
    scene.shows(&["so: done"]).await;
    scene.goes_on(&[&text], &["so: done"], false).await;
}

async fn an_answer_that_cannot_go_yet<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.has_model().await;
    scene.between.turn(Fate::PutOff);
    let text = saying("later");
    scene.net.say(&text).await;
    scene.between.has_met(1).await;
    // That it is to wait is written down: before that nobody would know what became of it.
    while scene.ground.outbox(&scene.tenant).await != ["ready"] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    scene.shows(&[]).await;
    scene.between.turn(Fate::Passed);
    scene.kill();
    scene.shows(&["later"]).await;
    scene.goes_on(&[&text], &["later"], false).await;
}

async fn an_answer_on_its_way_that_does_not_arrive<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.has_model().await;
    scene.between.turn(Fate::Held);
    let text = saying("perhaps");
    scene.net.say(&text).await;
    scene.between.has_met(1).await;
    scene.shows(&[]).await;
    scene.between.turn(Fate::Passed);
    scene.kill();
    let shown: &[&str] = if N::DOUBLES { &[] } else { &["perhaps"] };
    scene.shows(shown).await;
    scene.goes_on(&[&text], shown, N::DOUBLES).await;
}

async fn an_answer_that_has_arrived_and_nobody_heard_of_it<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.has_model().await;
    scene.between.turn(Fate::Unanswered);
    let text = saying("there");
    scene.net.say(&text).await;
    scene.shows(&["there"]).await;
    scene.between.turn(Fate::Passed);
    scene.kill();
    scene.goes_on(&[&text], &["there"], N::DOUBLES).await;
}

async fn what_is_said_while_nobody_is_there<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    scene.has_model().await;
    let texts = [saying("before"), saying("meanwhile")];
    scene.net.say(&texts[0]).await;
    scene.shows(&["before"]).await;
    settled(&scene.ground.gateway, &scene.tenant).await;
    tokio::task::block_in_place(|| scene.ground.gateway.stop());
    scene.net.say(&texts[1]).await;
    tokio::task::block_in_place(|| scene.ground.gateway.restart());
    scene.shows(&["before", "meanwhile"]).await;
    scene.goes_on(&[&texts[0], &texts[1]], &["before", "meanwhile"], false).await;
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
            async fn what_is_said_while_nobody_is_there_is_answered() {
                super::what_is_said_while_nobody_is_there::<Row>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn at_whatever_step_it_is_one_turn_and_one_answer() {
                super::steps::at_each::<Row>().await;
            }
        }
    )*};
}

over!(discord matrix slack_events slack_socket telegram webhook);
