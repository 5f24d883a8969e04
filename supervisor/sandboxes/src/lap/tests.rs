//! Time that is set aside, goes on, runs out and is paid for.

use ledger::Kind;
use serde_json::json;
use types::{Limits, LimitsPatch, Window};

use super::*;
use crate::bounds::Bounds;
use crate::testing::{Stage, World, world};

const fn quiet(_: &mut Stage) {}

async fn with(quota: Option<&str>) -> World {
    let world = world(quiet, json!({}), Bounds::default()).await;
    let quotas = Some(quota.into_iter().map(ToOwned::to_owned).collect());
    let patch = LimitsPatch { quotas, ..LimitsPatch::default() };
    world.programs.owner.account.set_limits(&Limits::default().with(&patch).unwrap());
    world
}

fn used(world: &World) -> (u64, u64) {
    let owner = &world.programs.owner;
    let used = owner.account.used(Window::Day, owner.clock.now());
    let lines = world.books.entries();
    let open = lines.iter().filter(|it| it.kind == Kind::Hold).count()
        - lines.iter().filter(|it| matches!(it.kind, Kind::Settle | Kind::Release)).count();
    (used.sandbox_ms, u64::try_from(open).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_program_pays_for_its_time_piece_by_piece() {
    let world = with(None).await;
    let mut lap = Lap::begin(&world.programs.owner, &AgentId::main()).await.unwrap();
    assert_eq!(used(&world), (0, 1));
    lap.start();
    let run = tokio::time::timeout(Duration::from_secs(150), lap.run_out()).await;
    run.unwrap_err();
    assert_eq!(used(&world), (120_000, 1));
    drop(lap);
    assert_eq!(used(&world), (150_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_it_when_the_last_second_is_used() {
    let world = with(Some("sandboxSeconds/day=90")).await;
    let mut lap = Lap::begin(&world.programs.owner, &AgentId::main()).await.unwrap();
    lap.start();
    let began = Instant::now();
    let ended = lap.run_out().await;
    assert_eq!(began.elapsed().as_secs(), 90);
    assert!(ended.to_string().contains("sandboxSeconds/day of 90"), "{ended}");
    drop(lap);
    assert_eq!(used(&world), (90_000, 0));
    Lap::begin(&world.programs.owner, &AgentId::main()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_never_began_is_free() {
    let world = with(None).await;
    let lap = Lap::begin(&world.programs.owner, &AgentId::main()).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    drop(lap);
    assert_eq!(used(&world), (0, 0));
}
