//! Rows, keys and marks of a shelf, and what goes with a tenant.

use types::Limits;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
}

fn row(name: &str) -> Row {
    Row { name: name.to_owned() }
}

async fn records(tenants: &[&TenantId]) -> Records {
    let records = Records::in_memory();
    for tenant in tenants {
        records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
    }
    records
}

const ALL: Keep = Keep { since: 0, count: 0, most: 10 };

#[tokio::test]
async fn a_row_has_one_key_and_leaves_a_mark() {
    let a: TenantId = "a".parse().unwrap();
    let records = records(&[&a]).await;
    for shelf in [Shelf::Inbox, Shelf::Outbox] {
        let owner = records.shelf_marks(shelf, &a).await.unwrap().owner;
        let content = Bytes::from(vec![7; 3 * PART + 1]);
        let insert = async |seq, key: &str| {
            let (of, at) = ((&a, owner), (seq, key, 5));
            records.shelf_insert(shelf, of, at, &row(key), &content).await.unwrap()
        };
        assert_eq!(insert(1, "k").await, Inserted::New);
        let live = KeyMark { seq: 1, mark: Mark::Live, at: 5, there: None };
        assert_eq!(insert(2, "k").await, Inserted::Known(live));
        assert_eq!(insert(1, "l").await, Inserted::Taken);
        assert_eq!(records.shelf_rows::<Row>(shelf).await.unwrap(), [(a.clone(), row("k"))]);
        assert_eq!(records.shelf_content(shelf, &a, 1).await.unwrap(), content);
        records.shelf_update(shelf, (&a, owner), 1, &row("new")).await.unwrap();
        assert_eq!(records.shelf_row::<Row>(shelf, &a, 1).await.unwrap(), Some(row("new")));
        let done = KeyMark { seq: 1, mark: Mark::Done, at: 9, there: None };
        records.shelf_finish(shelf, (&a, owner), ("k", done.clone()), None, ALL).await.unwrap();
        assert_eq!(insert(3, "k").await, Inserted::Known(done));
        assert!(records.shelf_content(shelf, &a, 1).await.unwrap().is_empty());
        assert!(records.shelf_rows::<Row>(shelf).await.unwrap().is_empty());
        let marks = records.shelf_marks(shelf, &a).await.unwrap();
        assert_eq!((marks.count, marks.last, marks.newest), (1, 1, 9));
        assert_eq!(insert(4, "m").await, Inserted::New);
        records.shelf_remove(shelf, (&a, owner), (4, "m")).await.unwrap();
        assert_eq!(insert(4, "m").await, Inserted::New);
    }
}

#[tokio::test]
async fn marks_are_bounded_in_number_and_age() {
    let a: TenantId = "a".parse().unwrap();
    let records = records(&[&a]).await;
    let shelf = Shelf::Inbox;
    let owner = records.shelf_marks(shelf, &a).await.unwrap().owner;
    let mut count = 0;
    for seq in 1..=30 {
        let key = seq.to_string();
        let at = (seq, key.as_str(), seq);
        records.shelf_insert(shelf, (&a, owner), at, &row(""), &Bytes::new()).await.unwrap();
        let mark = KeyMark { seq, mark: Mark::Done, at: seq, there: None };
        let keep = Keep { since: 0, count, most: 10 };
        let removed =
            records.shelf_finish(shelf, (&a, owner), (&key, mark), None, keep).await.unwrap();
        count = count + 1 - removed;
    }
    assert_eq!(records.shelf_marks(shelf, &a).await.unwrap().count, 10);
    assert_eq!(records.shelf_key(shelf, &a, "20").await.unwrap(), None);
    assert!(records.shelf_key(shelf, &a, "21").await.unwrap().is_some());
    let mark = KeyMark { seq: 31, mark: Mark::Done, at: 31, there: None };
    let keep = Keep { since: 23, count, most: 20 };
    records.shelf_finish(shelf, (&a, owner), ("31", mark), None, keep).await.unwrap();
    assert_eq!(records.shelf_key(shelf, &a, "22").await.unwrap(), None);
    assert!(records.shelf_key(shelf, &a, "23").await.unwrap().is_some());
}

#[tokio::test]
async fn everything_goes_with_the_tenant_and_nothing_comes_after() {
    let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
    let records = records(&[&a, &b]).await;
    let shelf = Shelf::Inbox;
    for tenant in [&a, &b] {
        let owner = records.shelf_marks(shelf, tenant).await.unwrap().owner;
        let (of, at) = ((tenant, owner), (1, "k", 1));
        records.shelf_insert(shelf, of, at, &row("x"), &Bytes::from("y")).await.unwrap();
    }
    let owner = records.shelf_marks(shelf, &a).await.unwrap().owner;
    records.delete_tenant(&a).await.unwrap();
    assert_eq!(records.shelf_rows::<Row>(shelf).await.unwrap(), [(b, row("x"))]);
    records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
    assert_eq!(records.shelf_key(shelf, &a, "k").await.unwrap(), None);
    let (late, nothing) = (row("x"), Bytes::new());
    let late = records.shelf_insert(shelf, (&a, owner), (2, "l", 1), &late, &nothing).await;
    assert!(matches!(late, Err(Error::NotFound)), "the earlier tenant is gone");
}
