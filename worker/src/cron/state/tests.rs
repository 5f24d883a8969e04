//! The life of jobs under a clock that the test turns.

use api::cron::{Payload, WakeMode};

use super::*;

const T: UnixMillis = 1_795_348_800_000;

pub(crate) fn job(schedule: Schedule) -> Job {
    Job {
        id: "11111111-1111-4111-8111-111111111111".to_owned(),
        declaration_key: None,
        display_name: None,
        owner: None,
        agent_id: None,
        session_key: None,
        name: "n".to_owned(),
        description: None,
        enabled: true,
        delete_after_run: None,
        created_at_ms: T,
        updated_at_ms: T,
        config_revision: None,
        schedule,
        pacing: None,
        session_target: "isolated".to_owned(),
        wake_mode: WakeMode::Now,
        payload: Payload::SystemEvent {
            text: "t".to_owned(),
            tools_allow: None,
            tools_allow_is_default: None,
        },
        delivery: None,
        failure_alert: None,
        state: api::cron::JobState::default(),
    }
}

fn every(every_ms: u64) -> Job {
    let mut job = job(Schedule::Every { every_ms, anchor_ms: None });
    arm(&mut job, T);
    job
}

fn once() -> Job {
    let mut job = job(Schedule::At { at: "2026-11-22T12:00:10Z".to_owned() });
    arm(&mut job, T);
    job
}

fn ended(status: RunStatus) -> Ended {
    Ended::new(status, "r".to_owned(), None)
}

#[test]
fn an_overdue_job_runs_once_and_not_once_for_each_time() {
    let mut job = every(60_000);
    let late = T + 10 * 60_000 + 5;
    assert_eq!((due(&job, T + 59_999), due(&job, late)), (Due::Not, Due::Now));
    begin(&mut job, false, late);
    assert_eq!(job.state.next_run_at_ms, Some(T + 11 * 60_000));
    assert_eq!(due(&job, late), Due::Not);
    assert_eq!(due(&job, T + 11 * 60_000), Due::Overlapped);
    assert_eq!(end(&mut job, &ended(RunStatus::Ok), late + 7), After::Keep);
    assert_eq!(job.state.last_duration_ms, Some(7));
    assert_eq!(job.state.next_run_at_ms, Some(T + 11 * 60_000));
}

#[test]
fn what_runs_once_goes_when_it_succeeded_and_stays_when_it_failed() {
    for (status, delete, after) in [
        (RunStatus::Ok, None, After::Remove),
        (RunStatus::Ok, Some(false), After::Keep),
        (RunStatus::Error, None, After::Keep),
    ] {
        let mut job = once();
        job.delete_after_run = delete;
        assert_eq!(due(&job, T + 10_000), Due::Now);
        begin(&mut job, false, T + 10_000);
        assert_eq!(due(&job, u64::MAX), Due::Not);
        assert_eq!(end(&mut job, &ended(status), T + 11_000), after);
        assert!(!job.enabled);
        assert_eq!(due(&job, u64::MAX), Due::Not);
    }
}

#[test]
fn a_day_late_is_missed() {
    let job = once();
    assert_eq!(due(&job, T + 10_000 + AT_LATEST_MS), Due::Now);
    assert_eq!(due(&job, T + 10_001 + AT_LATEST_MS), Due::Missed);
    assert_eq!(missed(&job, T).status, RunStatus::Skipped);
}

#[test]
fn failures_back_off_and_switch_off() {
    let mut job = every(1_000);
    let mut now = T;
    for pause in BACK_OFF_MS.iter().chain([&3_600_000; 4]) {
        now = job.state.next_run_at_ms.unwrap();
        begin(&mut job, false, now);
        end(&mut job, &ended(RunStatus::Error), now);
        assert_eq!(job.state.next_run_at_ms, Some(now + pause));
    }
    now += 3_600_000;
    begin(&mut job, false, now);
    end(&mut job, &ended(RunStatus::Error), now);
    let off = job.state.auto_disabled.clone().unwrap();
    assert_eq!((job.enabled, off.reason), (false, DisabledReason::ConsecutiveFailures));
    let mut job = every(1_000);
    begin(&mut job, false, T + 1_000);
    end(&mut job, &ended(RunStatus::Error), T + 1_000);
    begin(&mut job, false, T + 31_000);
    end(&mut job, &ended(RunStatus::Ok), T + 31_000);
    assert_eq!(
        (job.state.consecutive_errors, job.state.next_run_at_ms),
        (Some(0), Some(T + 32_000))
    );
}

#[test]
fn what_was_running_is_not_begun_again() {
    let mut job = once();
    assert!(broken_off(&job, None).is_none());
    begin(&mut job, false, T + 10_000);
    // The process ends here: before the run log has a line of the run ...
    let mut before = job.clone();
    let (ended, logged) = broken_off(&before, None).unwrap();
    assert_eq!((ended.status, logged), (RunStatus::Error, false));
    end(&mut before, &ended, T + 20_000);
    assert_eq!(due(&before, u64::MAX), Due::Not);
    // ... or after it.
    let mut after = job.clone();
    after.state.last_run_at_ms = job.state.running_at_ms;
    let line = entry(&after, &Ended::new(RunStatus::Ok, "r".to_owned(), None), T);
    let (ended, logged) = broken_off(&job, Some(&line)).unwrap();
    assert_eq!((ended.status, logged), (RunStatus::Ok, true));
    assert_eq!(end(&mut job, &ended, T + 20_000), After::Remove);
}

#[test]
fn two_runs_never_have_the_same_time() {
    let mut job = every(1_000);
    for began in [T, T + 1, T + 2] {
        begin(&mut job, false, T);
        assert_eq!(job.state.running_at_ms, Some(began));
        end(&mut job, &ended(RunStatus::Ok), T);
    }
}

#[test]
fn a_run_that_was_asked_for_keeps_its_name_over_the_end_of_the_process() {
    let mut job = every(60_000);
    begin(&mut job, true, T);
    let stored = serde_json::to_string(&job).unwrap();
    let mut job: Job = serde_json::from_str(&stored).unwrap();
    let began = resume(&mut job, None).unwrap();
    assert_eq!(run_id(&job, began), format!("manual:{}:{T}:0", job.id));
    end(&mut job, &ended(RunStatus::Ok), T + 1);
    begin(&mut job, false, T + 2);
    assert_eq!(run_id(&job, T + 2), format!("cron:{}:{}:0", job.id, T + 2));
}

#[test]
fn what_was_due_before_a_restore_is_not_repeated() {
    let minute = 60_000;
    // Due between the backup and its restore.
    let mut job = once();
    let (ended, logged) = restored(&mut job, None, T + minute).unwrap();
    assert_eq!((ended.status, logged), (RunStatus::Skipped, false));
    assert_eq!(end(&mut job, &ended, T + minute), After::Keep);
    assert_eq!((job.enabled, due(&job, T + 10 * minute)), (false, Due::Not));
    assert!(restored(&mut job, None, T + minute).is_none(), "once");
    // Due later: at its time.
    let mut job = once();
    assert!(restored(&mut job, None, T + 5000).is_none());
    assert_eq!(due(&job, T + 10_000), Due::Now);
    // One that comes again goes on with its next time.
    let mut job = every(minute);
    assert!(restored(&mut job, None, T + 3 * minute + 1).is_none());
    assert_eq!(due(&job, T + 3 * minute + 1), Due::Not);
    assert_eq!(due(&job, T + 4 * minute), Due::Now);
    // One that had run before the backup has no time any more.
    let mut job = once();
    begin(&mut job, false, T + 10_000);
    job.delete_after_run = Some(false);
    end(&mut job, &ended_ok(), T + 10_500);
    assert!(restored(&mut job, None, T + minute).is_none());
    assert_eq!(due(&job, T + 2 * minute), Due::Not);
    // One that was under way does not go on, nor begin anew.
    let mut job = once();
    begin(&mut job, false, T + 10_000);
    let (ended, logged) = restored(&mut job, None, T + minute).unwrap();
    assert_eq!((ended.status, ended.delivery), (RunStatus::Skipped, DeliveryStatus::Unknown));
    assert!(!logged);
    end(&mut job, &ended, T + minute);
    assert_eq!((job.state.running_at_ms, due(&job, T + 2 * minute)), (None, Due::Not));
}

fn ended_ok() -> Ended {
    ended(RunStatus::Ok)
}
