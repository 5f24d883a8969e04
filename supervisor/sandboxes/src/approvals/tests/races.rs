//! A decision against the end of the time, against a withdrawal, and against a disk that fails.

use super::*;

#[tokio::test(start_paused = true)]
async fn time_runs_out_once() {
    let world = world().await;
    let mut watcher = world.watcher(Scope::Approvals);
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    world.clock.advance(120_000);
    // The clock says so before anybody looks: nothing can be decided any more.
    let late = world.approvals.resolve(&id, Decision::AllowOnce, by("x")).await;
    assert!(matches!(late, Err(ResolveError::Refused(Refused::Unknown))));
    assert!(world.approvals.waiting().is_empty());
    assert!(matches!(asked.answer().await, Err(Denied::Expired)));
    let late = world.approvals.resolve(&id, Decision::AllowOnce, by("x")).await;
    assert!(matches!(late, Err(ResolveError::Refused(Refused::Unknown))));
    assert_eq!(world.approvals.snapshot(&id).unwrap().status, "expired");
    let seen = events(&mut watcher);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].1["decision"], "deny");
    assert!(seen[1].1.get("resolvedBy").is_none());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_learns_of_it() {
    let world = world().await;
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    let early = world.approvals.wait_for(&id, Some(Duration::from_millis(5))).await.unwrap();
    assert_eq!(early.end, None);
    let (ended, made) = tokio::join!(
        world.approvals.wait_for(&id, None),
        world.approvals.resolve(&id, Decision::Deny, by("x"))
    );
    made.unwrap();
    assert_eq!(ended.unwrap().end, Some(End::Decided(Decision::Deny)));
    let later = world.approvals.wait_for(&id, None).await.unwrap();
    assert_eq!(later.end, Some(End::Decided(Decision::Deny)));
    assert_eq!(world.approvals.wait_for("forged", None).await, None);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_cannot_be_decided() {
    let world = world().await;
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    // A call that is dropped while it waits.
    assert!(asked.answer().now_or_never().is_none());
    let late = world.approvals.resolve(&id, Decision::AllowAlways, by("x")).await;
    assert!(matches!(late, Err(ResolveError::Refused(Refused::Unknown))));
    assert_eq!(world.approvals.snapshot(&id).unwrap().status, "cancelled");
    assert!(!world.approvals.book().await.unwrap().exists);
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let world = world().await;
    for _ in 0..32 {
        let asked = world.asked(&["git"]).await;
        let id = asked.id();
        let (one, other) = tokio::join!(
            world.approvals.resolve(id, Decision::AllowOnce, by("x")),
            world.approvals.resolve(id, Decision::Deny, by("y"))
        );
        assert!(one.unwrap());
        assert!(matches!(other, Err(ResolveError::Refused(Refused::Decided))));
        asked.answer().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_is_being_written_down_is_waited_for() {
    let world = world().await;
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    let claim = world.approvals.room().claim(&id, Decision::AllowOnce, START).unwrap();
    assert!(matches!(claim, Claim::Make(None)));
    let again = world.approvals.room().claim(&id, Decision::AllowOnce, START).unwrap_err();
    assert_eq!(again, Refused::Decided);
    let decide = async {
        // Paused time moves when nobody has anything to do: past the end of the request's.
        tokio::time::advance(Duration::from_mins(10)).await;
        tokio::task::yield_now().await;
        assert!(world.approvals.over(&id, End::Decided(Decision::AllowOnce), Some(by("x"))));
    };
    let (answer, ()) = tokio::join!(asked.answer(), decide);
    answer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_was_not_kept_lets_the_request_wait_on_until_its_time() {
    let world = world().await;
    let asked = world.asked(&["git"]).await;
    let id = asked.id().to_owned();
    // Without its tenant's row nothing can be written.
    world.records.delete_tenant(&world.tenant).await.unwrap();
    let err = world.approvals.resolve(&id, Decision::AllowAlways, by("x")).await.unwrap_err();
    assert!(matches!(err, ResolveError::Book(_)), "{err:?}");
    assert_eq!(world.approvals.waiting().len(), 1);
    assert!(world.approvals.resolve(&id, Decision::Deny, by("x")).await.unwrap());
    assert!(matches!(asked.answer().await, Err(Denied::Decided)));
}
