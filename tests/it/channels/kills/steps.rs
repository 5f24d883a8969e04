//! Kills at each system call of the supervisor's that writes, makes durable or sends between what is said
//! and its answer, by a tracer. The short form takes some of the steps, `POINTS=all` takes all.

use std::time::{Duration, Instant};

use tests::is_alive;

use super::rows::Net;
use super::{Scene, saying};
use crate::delivery::points::steps;
use crate::delivery::points::tracer::{Fault, Step, Tracer};
use crate::delivery::seen::{Seen, settled};
use crate::delivery::storm::random;

/// Steps at which the short form kills.
const SOME: usize = 2;

/// How long after its answer a message has nothing more to be done.
const QUIET: Duration = Duration::from_millis(500);

/// How long a message may take that nobody cuts off.
const PATIENCE: Duration = Duration::from_secs(20);

struct Talk<N> {
    scene: Scene<N>,
    said: usize,
}

impl<N: Net> Talk<N> {
    fn words(n: usize) -> String {
        format!("answer {n}")
    }

    /// Has one message answered while the supervisor is traced. True where that step was reached; with
    /// what it did.
    async fn one(&mut self, step: Option<&Step>) -> (bool, Vec<String>) {
        settled(&self.scene.ground.gateway, &self.scene.tenant).await;
        let unknown = self.unknown().await;
        let pid = self.scene.ground.gateway.supervisor_pid();
        let tracer = tokio::task::block_in_place(|| Tracer::attach(pid, step));
        self.said += 1;
        let words = Self::words(self.said);
        self.scene.net.say(&saying(&words)).await;
        self.watch(pid, &words).await;
        let lines = tokio::task::block_in_place(|| tracer.end());
        let is_killed = !is_alive(pid);
        if is_killed {
            tokio::task::block_in_place(|| self.scene.ground.gateway.gone_and_restart());
        }
        self.is_answered(&words, unknown).await;
        (is_killed, lines)
    }

    /// Waits until the process is killed, or the answer is there and nothing more happens.
    async fn watch(&mut self, pid: i32, words: &str) {
        let (began, mut answered) = (Instant::now(), None);
        while is_alive(pid) {
            if self.scene.net.said().await.iter().any(|it| it == words) {
                let since = answered.get_or_insert_with(Instant::now);
                if since.elapsed() > QUIET {
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "nothing comes of what nobody cuts off");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Answers of which nobody knows whether they are there.
    async fn unknown(&self) -> usize {
        let left = self.scene.ground.outbox(&self.scene.tenant).await;
        left.iter().filter(|it| *it == "unknown").count()
    }

    /// Waits until the answer is there, or one more than `before` is said to be unknown where the network
    /// doubles; that nothing is left to be sent is not enough, as the message may still be at the network.
    async fn is_answered(&mut self, words: &str, before: usize) {
        let began = Instant::now();
        loop {
            settled(&self.scene.ground.gateway, &self.scene.tenant).await;
            let left = self.scene.ground.outbox(&self.scene.tenant).await;
            let unknown = left.iter().filter(|it| *it == "unknown").count();
            let is_there = self.scene.net.said().await.iter().any(|it| it == words);
            if left.len() == unknown && (is_there || N::DOUBLES && unknown > before) {
                return;
            }
            assert!(began.elapsed() < 3 * PATIENCE, "{words} is not there: {left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(super) async fn at_each<N: Net>() {
    let is_all = std::env::var("POINTS").is_ok_and(|points| points == "all");
    let scene = Scene::<N>::set().await;
    scene.has_model().await;
    let mut talk = Talk { scene, said: 0 };
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
    let scene = &mut talk.scene;
    let seen = Seen::of(&scene.ground.gateway, &scene.tenant, &scene.net.session()).await;
    let wanted: Vec<_> = (1..=talk.said).map(Talk::<N>::words).collect();
    for words in &wanted {
        assert_eq!(seen.count("user", &saying(words)), 1, "{words}: {seen:?}");
    }
    assert_eq!(seen.messages.len(), 2 * wanted.len(), "{seen:?}");
    let said = scene.net.said().await;
    if N::DOUBLES {
        let unknown = scene.ground.outbox(&scene.tenant).await;
        assert!(unknown.iter().all(|it| it == "unknown"), "{unknown:?}");
        // Of those the network may have some.
        assert!(said.len() + unknown.len() >= wanted.len(), "{said:?} {unknown:?}");
        let mut once = said.clone();
        once.dedup();
        assert_eq!(once, said, "none came twice");
        assert!(said.is_sorted_by_key(|it| wanted.iter().position(|word| word == it)), "{said:?}");
    } else {
        scene.ground.is_sent(&scene.tenant).await;
        assert_eq!(said, wanted);
    }
}
