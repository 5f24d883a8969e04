//! Restores: what of a kill in the midst of one is left, what is recorded of each, and which tokens are
//! good afterwards.

use records::TokenRow;
use types::Scopes;

use super::*;
use crate::Keep;
use crate::roots::Roots as _;
use crate::testing::{House, NOW, restore, tells};
use crate::{AskedBy, read_key};

fn token(tenant: &TenantId, id: &str, expires_at: Option<UnixMillis>) -> TokenRow {
    TokenRow {
        id: format!("tok_{id:0>16}"),
        tenant: tenant.clone(),
        label: "a".to_owned(),
        scopes: Scopes::all_of_tenant(),
        digest: [7; 32],
        created_at: NOW,
        expires_at,
        generation: 1,
        last_used_at: None,
        device: None,
    }
}

#[tokio::test]
async fn a_kill_between_tenant_and_restore_leaves_no_empty_tenant() {
    let house = House::new(Keep::default());
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    let backup = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    *house.roots.dies.lock().unwrap() = true;
    let restoring = backups.clone();
    let wish = restore(&backup, "fresh");
    house.tasks.spawn_until_stopped(async move { drop(restoring.restore(wish).await) });
    house.roots.made.notified().await;
    // The gateway is killed here: the next one finds what is in the records.
    *house.roots.dies.lock().unwrap() = false;
    house.roots.reload().await;
    let fresh: TenantId = "fresh".parse().unwrap();
    assert!(house.records.tenant(&fresh).await.unwrap().is_some());
    let backups = house.start().await;
    assert_eq!(house.records.tenant(&fresh).await.unwrap(), None);
    assert_eq!(house.records.restores().await.unwrap(), []);
    backups.restore(restore(&backup, "fresh")).await.unwrap();
    let trail = house.trail().await;
    let name = backup.to_string();
    let recovered = ["backup.recover", &name, "its tenant removed", "\"fresh\"", "outcome"];
    assert!(tells(&trail, &recovered), "{trail:#?}");
}

#[tokio::test]
async fn each_restore_is_recorded_with_where_to_and_how() {
    let house = House::new(Keep::default());
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    let backup = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    backups.restore(restore(&backup, "acme")).await.unwrap();
    backups.restore(restore(&backup, "other")).await.unwrap();
    let data = house.folder(&backup).join("data");
    std::fs::OpenOptions::new().write(true).open(data).unwrap().set_len(300).unwrap();
    backups.restore(restore(&backup, "third")).await.unwrap_err();
    let trail = house.trail().await;
    let name = backup.to_string();
    for (words, outcome) in [
        (["\"acme\"", "in place of the tenant"], "\"done\""),
        (["\"other\"", "as a new tenant"], "\"done\""),
        (["\"third\"", "as a new tenant"], "\"failed\""),
    ] {
        let all = [&["backup.restore", &name][..], &words].concat();
        assert!(tells(&trail, &[&all[..], &["intent"]].concat()), "{words:?} {trail:#?}");
        assert!(tells(&trail, &[&all[..], &["outcome", outcome]].concat()), "{words:?} {trail:#?}");
    }
}

#[tokio::test]
async fn tokens_come_along_counted_or_not_at_all_and_none_that_was_revoked_before() {
    let house = House::new(Keep::default());
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    for (id, ends) in [("a", None), ("b", Some(NOW + 1)), ("c", Some(u64::MAX)), ("d", None)] {
        house.records.put_token(&token(&acme, id, ends)).await.unwrap();
    }
    house.records.delete_token(&acme, &token(&acme, "d", None).id).await.unwrap();
    let backup = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    house.records.delete_token(&acme, &token(&acme, "a", None).id).await.unwrap();
    let file = backups.export_key(&acme).await.unwrap();
    let again = async |tokens| {
        house.roots.unmake(&acme).await.unwrap();
        let key = Some(read_key(&file, &acme).unwrap());
        let restored = backups.restore(Restore { key, tokens, ..restore(&backup, "acme") }).await;
        let found = house.records.tokens_of(&acme).await.unwrap();
        (restored.unwrap().tokens, found.into_iter().map(|it| it.id).collect::<Vec<_>>())
    };
    // One that was revoked after the backup is good again, and that is said; one that was revoked
    // before is not, and one that has ended does not count.
    let all = ["a", "b", "c"].map(|id| token(&acme, id, None).id).to_vec();
    assert_eq!(again(true).await, (Some(2), all));
    assert_eq!(again(false).await, (None, Vec::new()));
    let trail = house.trail().await;
    assert!(tells(&trail, &["as a new tenant, with an exported key, without tokens", "done"]));
}
