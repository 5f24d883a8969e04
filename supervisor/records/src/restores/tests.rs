//! Restores in the records: switched at once, back to the byte, and finished without a trace.

use types::Limits;

use super::*;
use crate::Overlay;
use crate::portable::Text;

fn overlay(raw: &str) -> Overlay {
    Overlay { raw: raw.to_owned(), hash: raw.len().to_string(), updated_at: 7 }
}

fn secret(name: &str, byte: u8) -> SealedRow {
    SealedRow { name: name.to_owned(), sealed: vec![byte; 3] }
}

async fn with_tenants() -> (Records, TenantId) {
    let records = Records::in_memory();
    for id in ["a", "a-b"] {
        let id: TenantId = id.parse().unwrap();
        records.insert_tenant(&id, 1, Limits::default()).await.unwrap();
        records.set_timer(&id, Some(5)).await.unwrap();
        records.replace_overlay(&id, None, &overlay("{before:1}")).await.unwrap();
        records.seal(&id, &[secret(sealed::DATA_KEY, 1), secret("x", 2)], &[]).await.unwrap();
    }
    (records, "a".parse().unwrap())
}

fn step_of(tenant: &TenantId) -> RestoreRow {
    let backup = "a.20261129T073000Z.0123456789abcdef".to_owned();
    RestoreRow { tenant: tenant.clone(), backup, made: false, phase: Phase::Begun, started_at: 3 }
}

async fn all_of(records: &Records) -> Vec<crate::store::Item> {
    let all = records.items("", |_| false).await.unwrap();
    let plain = |item: crate::store::Item| crate::store::Item { created: 0, modified: 0, ..item };
    all.into_iter().map(plain).collect()
}

fn replacement() -> Replacement {
    let text = Text { raw: "{after:2}".to_owned(), hash: "9".to_owned(), updated_at: 8 };
    Replacement {
        rows: vec![Portable::Overlay(text.clone()), Portable::Approvals(text)],
        sealed: vec![secret("y", 3)],
    }
}

#[tokio::test]
async fn a_restore_switches_at_once_and_back_to_the_byte() {
    let (records, a) = with_tenants().await;
    let before = all_of(&records).await;
    records.begin_restore(&step_of(&a)).await.unwrap();
    assert!(matches!(records.begin_restore(&step_of(&a)).await, Err(Error::Exists)));
    records.switch_restore(&a, replacement()).await.unwrap();
    let [row] = &records.restores().await.unwrap()[..] else { panic!("one") };
    assert_eq!(row.phase, Phase::Switched);
    assert_eq!(records.overlay(&a).await.unwrap().unwrap().raw, "{after:2}");
    // What gives authority stays as it is, and so does the tenant's key.
    assert_eq!(records.approvals(&a).await.unwrap(), None);
    let expected = [secret(sealed::DATA_KEY, 1), secret("y", 3)];
    assert_eq!(records.all_sealed(&a).await.unwrap(), expected);
    assert_eq!(records.timer(&a).await.unwrap(), None);
    let other: TenantId = "a-b".parse().unwrap();
    assert!(records.timer(&other).await.unwrap().is_some());
    records.undo_restore(&a).await.unwrap();
    assert_eq!(all_of(&records).await, before);
    records.undo_restore(&a).await.unwrap();
    assert_eq!(all_of(&records).await, before);
}

#[tokio::test]
async fn a_finished_restore_leaves_nothing_of_itself() {
    let (records, a) = with_tenants().await;
    records.begin_restore(&step_of(&a)).await.unwrap();
    records.switch_restore(&a, replacement()).await.unwrap();
    records.finish_restore(&a).await.unwrap();
    assert_eq!(records.restores().await.unwrap(), []);
    assert!(records.items(PREFIX, |_| false).await.unwrap().is_empty());
    assert_eq!(records.overlay(&a).await.unwrap().unwrap().raw, "{after:2}");
}

#[tokio::test]
async fn a_decided_restore_is_not_undone_and_does_not_stop_the_next() {
    let (records, a) = with_tenants().await;
    records.decide_restore(&a).await.unwrap();
    assert!(!records.is_restore_decided(&a).await.unwrap());
    records.begin_restore(&step_of(&a)).await.unwrap();
    records.switch_restore(&a, replacement()).await.unwrap();
    assert!(!records.is_restore_decided(&a).await.unwrap());
    records.decide_restore(&a).await.unwrap();
    assert!(records.is_restore_decided(&a).await.unwrap());
    assert_eq!(records.items(PREFIX, |_| false).await.unwrap().len(), 1, "nothing old is kept");
    records.begin_restore(&step_of(&a)).await.unwrap();
    assert_eq!(records.restores().await.unwrap(), [step_of(&a)]);
    records.decide_restore(&a).await.unwrap();
    records.undo_restore(&a).await.unwrap();
    assert_eq!(records.restores().await.unwrap(), []);
    assert_eq!(records.overlay(&a).await.unwrap().unwrap().raw, "{after:2}");
}

#[tokio::test]
async fn a_restore_that_was_not_begun_or_cannot_be_stored_changes_nothing() {
    let (records, a) = with_tenants().await;
    let before = all_of(&records).await;
    assert!(matches!(records.switch_restore(&a, replacement()).await, Err(Error::NotFound)));
    let gone: TenantId = "gone".parse().unwrap();
    assert!(matches!(records.begin_restore(&step_of(&gone)).await, Err(Error::NotFound)));
    assert_eq!(all_of(&records).await, before);
    records.begin_restore(&step_of(&a)).await.unwrap();
    let long = Text { raw: "x".repeat(300 << 10), hash: String::new(), updated_at: 0 };
    let with = Replacement { rows: vec![Portable::Overlay(long)], ..Replacement::default() };
    records.switch_restore(&a, with).await.unwrap_err();
    records.undo_restore(&a).await.unwrap();
    assert_eq!(all_of(&records).await, before);
}
