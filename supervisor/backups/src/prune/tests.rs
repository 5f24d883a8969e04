//! What goes and what stays: a tenant's requests take nothing of its operator's, a clock that was ahead
//! dooms nothing, and what others have put into the store stops nothing.

use super::*;
use crate::testing::{House, NOW, good, tells};

const ALL: Keep = Keep { newest: 0, days: 0, weeks: 0, months: 0 };

#[tokio::test]
async fn what_a_tenant_asks_for_removes_its_own_and_nothing_else() {
    let house = House::new(Keep { newest: 2, ..ALL });
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    let by = [AskedBy::Schedule, AskedBy::Operator];
    let mut operators = Vec::new();
    for by in by {
        operators.push(house.backup(&backups, &acme, by).await.backup);
    }
    let mut own = Vec::new();
    for _ in 0..KEPT_OF_TENANT + 3 {
        own.push(house.backup(&backups, &acme, AskedBy::Tenant).await.backup);
    }
    let left = good(&backups, &acme).await;
    assert!(operators.iter().all(|it| left.contains(it)), "{left:?}");
    assert_eq!(left.len(), 2 + usize::try_from(KEPT_OF_TENANT).unwrap());
    assert!(own[3..].iter().all(|it| left.contains(it)), "{left:?}");
    // The other way round: the operator's rule leaves the tenant's own, which it does not count.
    let newest = house.backup(&backups, &acme, AskedBy::Schedule).await;
    assert_eq!(newest.asked_by, AskedBy::Schedule);
    let left = good(&backups, &acme).await;
    assert!(left.contains(&newest.backup) && left.contains(&operators[1]));
    assert!(!left.contains(&operators[0]));
    assert!(own[3..].iter().all(|it| left.contains(it)), "{left:?}");
    let trail = house.trail().await;
    let name = operators[0].to_string();
    for phase in ["intent", "outcome"] {
        assert!(tells(&trail, &["backup.retire", "\"retention\"", &name, phase]), "{trail:#?}");
    }
    for phase in ["intent", "outcome"] {
        let name = newest.backup.to_string();
        let words = ["backup.create", "\"schedule\"", "acme", phase];
        assert!(tells(&trail, &words), "{trail:#?}");
        assert!(phase == "intent" || tells(&trail, &[&name, words[0]]), "{trail:#?}");
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_dooms_nothing_that_is_made_now() {
    let house = House::new(Keep { newest: 1, ..ALL });
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    let year = 365 * 24 * 60 * 60 * 1000;
    house.clock.set(NOW + year);
    let ahead = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    house.clock.set(NOW);
    for by in [AskedBy::Operator, AskedBy::Schedule, AskedBy::Operator] {
        let made = house.backup(&backups, &acme, by).await.backup;
        assert_eq!(good(&backups, &acme).await, [made, ahead.clone()]);
    }
    house.clock.set(NOW + 2 * year);
    let made = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    assert_eq!(good(&backups, &acme).await, [made]);
}

#[tokio::test]
async fn what_is_cut_or_foreign_is_no_good_backup_and_stops_none() {
    let house = House::new(Keep { newest: 1, ..ALL });
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    let good_one = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    let cut = BackupId::new(&acme, NOW).unwrap();
    let copy = |from: &BackupId, to: &BackupId| {
        std::fs::create_dir(house.folder(to)).unwrap();
        for name in ["data", "manifest"] {
            std::fs::copy(house.folder(from).join(name), house.folder(to).join(name)).unwrap();
        }
    };
    copy(&good_one, &cut);
    let data = std::fs::OpenOptions::new().write(true).open(house.folder(&good_one).join("data"));
    data.unwrap().set_len(100).unwrap();
    assert_eq!(good(&backups, &acme).await, []);
    let listed = backups.list(&acme).await.unwrap();
    assert!(listed.iter().all(|it| it.manifest.is_none()) && listed.len() == 2);
    // As many as a tenant may have, of which this tenant's key has signed none, and its own.
    let max = 4;
    for n in 0..max {
        let foreign: BackupId = format!("acme.20250101T000000Z.{n:016x}").parse().unwrap();
        std::fs::create_dir(house.folder(&foreign)).unwrap();
        std::fs::write(house.folder(&foreign).join("manifest"), "somebody else's").unwrap();
        house.backup(&backups, &acme, AskedBy::Tenant).await;
    }
    let room = async |by| room(&backups.0, (&acme, by), max).await;
    room(AskedBy::Operator).await.unwrap();
    // What is not to be kept goes before it is counted; the rule says one.
    let made = house.backup(&backups, &acme, AskedBy::Operator).await.backup;
    room(AskedBy::Schedule).await.unwrap();
    assert!(good(&backups, &acme).await.contains(&made));
    let listed = backups.list(&acme).await.unwrap();
    assert_eq!(listed.len(), 2 + 2 * max + 1, "what nobody vouches for is left alone");
    house.records.update_plan(&acme, |row| row.keep = Some([0; 4])).await.unwrap();
    for _ in 1..max {
        room(AskedBy::Operator).await.unwrap();
        house.backup(&backups, &acme, AskedBy::Operator).await;
    }
    let full = room(AskedBy::Operator).await;
    assert!(matches!(full, Err(Error::TooMany { max: 4 })), "{full:?}");
    room(AskedBy::Tenant).await.unwrap();
    house.records.update_plan(&acme, |row| row.keep = Some([2, 0, 0, 0])).await.unwrap();
    room(AskedBy::Operator).await.unwrap();
}

#[tokio::test]
async fn the_most_overdue_is_backed_up_first() {
    let mut house = House::new(ALL);
    house.plan.every_ms = Some(60 * 60 * 1000);
    let names = ["a", "b", "c", "d"];
    for (name, begun) in names.into_iter().zip([2, 3, 1, 4_u64]) {
        let tenant = house.tenant(name).await;
        let begun = NOW - begun * 24 * 60 * 60 * 1000;
        house.records.update_plan(&tenant, |row| row.last_begun = begun).await.unwrap();
    }
    // One of which the clock was ahead, and one that is not due.
    let (ahead, fresh) = (house.tenant("e").await, house.tenant("0").await);
    house.records.update_plan(&ahead, |row| row.last_begun = u64::MAX).await.unwrap();
    house.records.update_plan(&fresh, |row| row.last_begun = NOW).await.unwrap();
    let backups = house.start().await;
    let due = crate::schedule::overdue(&backups.0, NOW).await;
    let order: Vec<_> = due.iter().map(|(_, tenant)| tenant.as_str()).collect();
    assert_eq!(order, ["d", "b", "a", "c", "e"]);
}

#[tokio::test]
async fn a_sweep_removes_what_is_known_to_be_old_and_ours() {
    let house = House::new(ALL);
    let (backups, acme) = (house.start().await, house.tenant("acme").await);
    house.backup(&backups, &acme, AskedBy::Operator).await;
    let path = |name: &str| house.dir.path().join("store/acme").join(name);
    let set = |name: &str, at: u64| {
        let file = std::fs::File::create(path(name)).unwrap();
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at);
        file.set_modified(at).unwrap();
    };
    let left = "20260101T000000Z.0123456789abcdef";
    let unknown = "20260102T000000Z.0123456789abcdef";
    for folder in [left, unknown, "notes"] {
        std::fs::create_dir(path(folder)).unwrap();
    }
    let old = NOW - 3 * LEFT_OVER;
    set(&format!("{left}/data"), old);
    set(&format!("{left}/manifest.part"), old);
    set(&format!("{unknown}/data"), 0);
    set(&format!("{unknown}/data.part"), 0);
    set("notes/of-somebody.part", old);
    house.clock.set(NOW + 2 * LEFT_OVER);
    sweep(&backups.0, &acme).await.unwrap();
    assert!(!path(left).exists());
    assert!(path(unknown).join("data").exists() && path(unknown).join("data.part").exists());
    assert!(path("notes/of-somebody.part").exists());
    let trail = house.trail().await;
    assert!(tells(&trail, &["backup.sweep", "outcome", left]), "{trail:#?}");
}
