//! Kills at each system call of the supervisor's that writes, makes durable or sends between what is said
//! and its answer, by a tracer. The short form takes some of the steps, `POINTS=all` takes all.

use std::time::{Duration, Instant};

use tests::is_alive;

use super::rows::Net;
use super::{PATIENCE, Scene, in_talk, saying};
use crate::delivery::points::steps;
use crate::delivery::points::tracer::{Fault, Step, Tracer};
use crate::delivery::seen::{Seen, settled};
use crate::delivery::storm::random;

/// Steps at which the short form kills.
const SOME: usize = 2;

/// How long after its answer a message has nothing more to be done.
const QUIET: Duration = Duration::from_millis(500);

struct Talk<N> {
    scene: Scene<N>,
    said: usize,
    /// What was lost at a network that keeps nothing, as the bot was killed before it had written it down.
    lost: Vec<usize>,
}

impl<N: Net> Talk<N> {
    /// Has one message answered in each conversation while the supervisor is traced. True where that step
    /// was reached; with what it did.
    async fn one(&mut self, step: Option<&Step>) -> (bool, Vec<String>) {
        for tenant in &self.scene.tenants {
            settled(&self.scene.ground.gateway, tenant).await;
        }
        self.scene.net.is_there().await;
        let unknown = self.outbox().await.1;
        let pid = self.scene.ground.gateway.supervisor_pid();
        let tracer = tokio::task::block_in_place(|| Tracer::attach(pid, step));
        self.said += 1;
        let words = words(self.said);
        self.scene.say(saying, &words).await;
        self.watch(pid, &words).await;
        let lines = tokio::task::block_in_place(|| tracer.end());
        let is_killed = !is_alive(pid);
        if is_killed {
            tokio::task::block_in_place(|| self.scene.ground.gateway.gone_and_restart());
        }
        self.is_answered(&words, unknown, is_killed).await;
        (is_killed, lines)
    }

    /// Waits until the process is killed, or the answers are there and nothing more happens.
    async fn watch(&mut self, pid: i32, words: &str) {
        let (began, mut answered) = (Instant::now(), None);
        while is_alive(pid) {
            if self.is_said(words).await {
                let since = answered.get_or_insert_with(Instant::now);
                if since.elapsed() > QUIET {
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "nothing comes of what nobody cuts off");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether every conversation shows its answer.
    async fn is_said(&mut self, words: &str) -> bool {
        for talk in 0..N::TALKS.len() {
            let words = in_talk(words, talk);
            if !self.scene.net.said(talk).await.contains(&words) {
                return false;
            }
        }
        true
    }

    /// How many answers are left, and of how many nobody knows whether they are there.
    async fn outbox(&self) -> (usize, usize) {
        let mut left = Vec::new();
        for tenant in &self.scene.tenants {
            left.extend(self.scene.ground.outbox(tenant).await);
        }
        (left.len(), left.iter().filter(|it| *it == "unknown").count())
    }

    /// Waits until the answers are there, or one more than `before` is said to be unknown where the network
    /// doubles, or the message itself is lost where that keeps nothing; that nothing is left to be sent is
    /// not enough, as the message may still be at the network.
    async fn is_answered(&mut self, words: &str, before: usize, is_killed: bool) {
        let began = Instant::now();
        loop {
            for tenant in &self.scene.tenants {
                settled(&self.scene.ground.gateway, tenant).await;
            }
            let (left, unknown) = self.outbox().await;
            let is_there = self.is_said(words).await;
            if left == unknown && (is_there || N::DOUBLES && unknown > before) {
                return;
            }
            if N::LOSES && is_killed && left == unknown && self.is_lost().await {
                self.lost.push(self.said);
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{words} is not there: {left} are left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether what was said last was heard nowhere. Then it is as if it had not been said.
    async fn is_lost(&mut self) -> bool {
        let Scene { net, ground, tenants, said, .. } = &mut self.scene;
        for (talk, texts) in said.iter().enumerate() {
            let tenant = &tenants[N::TALKS[talk]];
            let seen = Seen::of(&ground.gateway, tenant, &net.session(talk)).await;
            if seen.count("user", texts.last().unwrap()) > 0 {
                return false;
            }
        }
        for texts in said {
            texts.pop();
        }
        true
    }
}

fn words(n: usize) -> String {
    format!("answer {n}")
}

pub(super) async fn at_each<N: Net>() {
    let is_all = std::env::var("POINTS").is_ok_and(|points| points == "all");
    let scene = Scene::<N>::set().await;
    let mut talk = Talk { scene, said: 0, lost: Vec::new() };
    talk.one(None).await;
    let (_, lines) = talk.one(None).await;
    let mut steps = steps(&lines, Fault::Killed);
    assert!(steps.len() >= SOME, "{lines:#?}");
    let (mut left, mut tried) = (if is_all { usize::MAX } else { SOME }, 0);
    let mut reached = 0;
    while left > 0 && !steps.is_empty() {
        let drawn = random(u64::try_from(steps.len()).unwrap());
        let step = steps.swap_remove(usize::try_from(drawn).unwrap());
        let (is_reached, lines) = talk.one(Some(&step)).await;
        let last = lines.iter().rev().find(|line| line.contains(step.call));
        let last = last.map_or("", |line| line);
        println!("{}, {} {}: {is_reached} {last}", N::NAME, step.call, step.nth);
        tried += 1;
        reached += usize::from(is_reached);
        left -= usize::from(is_reached);
    }
    println!("{}: killed at {reached} of {tried} steps", N::NAME);
    assert!(is_all || left == 0, "too few steps were reached");
    check(&mut talk).await;
}

/// Each was heard once, and its answer is there once, in order.
async fn check<N: Net>(talk: &mut Talk<N>) {
    if N::LOSES {
        println!("{}: {} of {} were lost", N::NAME, talk.lost.len(), talk.said);
    }
    let heard = (1..=talk.said).filter(|it| !talk.lost.contains(it));
    let all: Vec<_> = heard.map(words).collect();
    let scene = &mut talk.scene;
    scene.has_heard().await;
    for at in 0..N::TALKS.len() {
        let wanted: Vec<_> = all.iter().map(|it| in_talk(it, at)).collect();
        let said = scene.net.said(at).await;
        if !N::DOUBLES {
            assert_eq!(said, wanted);
            continue;
        }
        let unknown = scene.ground.outbox(&scene.tenants[N::TALKS[at]]).await;
        assert!(unknown.iter().all(|it| it == "unknown"), "{unknown:?}");
        // Of those the network may have some.
        assert!(said.len() + unknown.len() >= wanted.len(), "{said:?} {unknown:?}");
        let mut once = said.clone();
        once.dedup();
        assert_eq!(once, said, "none came twice");
        assert!(said.is_sorted_by_key(|it| wanted.iter().position(|word| word == it)), "{said:?}");
    }
    if !N::DOUBLES {
        scene.is_over(false).await;
    }
}
