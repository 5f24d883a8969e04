//! The tables, over the store in memory and over the durable one.

use types::{Limits, Role, Scope, TenantId};

use super::*;

async fn check(check: impl AsyncFn(&Records)) {
    check(&Records::in_memory()).await;
    let dir = tempfile::tempdir().unwrap();
    check(&Records::open(dir.path()).await.unwrap()).await;
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn token(tenant: &str, id: &str) -> TokenRow {
    TokenRow {
        id: id.to_owned(),
        tenant: tenant.parse().unwrap(),
        label: "ci".to_owned(),
        scopes: [Scope::Read, Scope::Hooks].into_iter().collect(),
        digest: [0xab; 32],
        created_at: 1,
        expires_at: Some(2),
        generation: 3,
        last_used_at: None,
        device: None,
    }
}

#[tokio::test]
async fn tenants_are_registered_once_and_their_indexes_never_come_again() {
    check(async |records| {
        let limits = Limits::default();
        let a = records.insert_tenant(&id("a"), 5, limits.clone()).await.unwrap();
        assert_eq!((a.index, a.created_at, a.suspended), (0, 5, false));
        assert_eq!(records.tenant(&id("a")).await.unwrap(), Some(a.clone()));
        let again = records.insert_tenant(&id("a"), 6, limits.clone()).await;
        assert!(matches!(again, Err(Error::Exists)));
        records.delete_tenant(&id("a")).await.unwrap();
        let again = records.delete_tenant(&id("a")).await;
        assert!(matches!(again, Err(Error::NotFound)));
        assert_eq!(records.tenant(&id("a")).await.unwrap(), None);
        let a = records.insert_tenant(&id("a"), 7, limits.clone()).await.unwrap();
        assert_eq!(a.index, 1);
        let many = (0..20).map(|n| {
            let (records, limits) = (records.clone(), limits.clone());
            async move {
                records.insert_tenant(&id(&format!("t{n:02}")), 8, limits).await.unwrap().index
            }
        });
        let mut indexes = futures_util::future::join_all(many).await;
        indexes.sort_unstable();
        assert_eq!(indexes, (2..22).collect::<Vec<_>>());
        let page = records.tenants(Some(&id("a")), 3).await.unwrap();
        let names: Vec<_> = page.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(names, ["t00", "t01", "t02"]);
    })
    .await;
}

#[tokio::test]
async fn a_tenant_changes_in_all_but_its_name_and_index() {
    check(async |records| {
        let made = records.insert_tenant(&id("a"), 5, Limits::default()).await.unwrap();
        let change = |row: &mut TenantRow| {
            row.suspended = true;
            row.limits.tokens_per_day = Some(9);
            row.limits.sleep = types::Sleep::Never;
            row.disk = Some("image".to_owned());
            row.index = 99;
            row.id = id("b");
        };
        let changed = records.update_tenant(&id("a"), change).await.unwrap();
        let mut expected = made;
        expected.suspended = true;
        expected.limits.tokens_per_day = Some(9);
        expected.limits.sleep = types::Sleep::Never;
        expected.disk = Some("image".to_owned());
        assert_eq!(changed, expected);
        assert_eq!(records.tenant(&id("a")).await.unwrap(), Some(expected));
        assert_eq!(records.tenant(&id("b")).await.unwrap(), None);
        let missing = records.update_tenant(&id("b"), |_| {}).await;
        assert!(matches!(missing, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_tenant_leaves_nothing_to_a_later_one_of_its_name() {
    check(async |records| {
        for tenant in ["a", "a-b"] {
            records.insert_tenant(&id(tenant), 5, Limits::default()).await.unwrap();
            records.put_token(&token(tenant, "tok_1")).await.unwrap();
        }
        records.delete_tenant(&id("a")).await.unwrap();
        let late = records.put_token(&token("a", "tok_2")).await;
        assert!(matches!(late, Err(Error::NotFound)));
        records.touch_tokens(&[(&id("a"), "tok_1", 9)]).await.unwrap();
        records.insert_tenant(&id("a"), 6, Limits::default()).await.unwrap();
        assert_eq!(records.tokens().await.unwrap(), [token("a-b", "tok_1")]);
    })
    .await;
}

#[tokio::test]
async fn what_is_written_while_its_tenant_is_deleted_goes_with_it() {
    check(async |records| {
        let (a, token) = (id("a"), token("a", "tok_1"));
        for _ in 0..20 {
            records.insert_tenant(&a, 5, Limits::default()).await.unwrap();
            let put = records.put_token(&token);
            let (put, deleted) = tokio::join!(put, records.delete_tenant(&a));
            assert!(matches!(put, Ok(()) | Err(Error::NotFound)), "{put:?}");
            deleted.unwrap();
            assert_eq!(records.tokens().await.unwrap(), []);
        }
    })
    .await;
}

#[tokio::test]
async fn tokens_and_keys_come_and_go() {
    check(async |records| {
        for tenant in ["a", "b"] {
            records.insert_tenant(&id(tenant), 5, Limits::default()).await.unwrap();
        }
        for (tenant, name) in [("a", "tok_1"), ("a", "tok_2"), ("b", "tok_1")] {
            records.put_token(&token(tenant, name)).await.unwrap();
        }
        records.touch_tokens(&[(&id("a"), "tok_1", 9), (&id("b"), "tok_9", 9)]).await.unwrap();
        records.touch_tokens(&[(&id("a"), "tok_1", 8)]).await.unwrap();
        let touched = TokenRow { last_used_at: Some(9), ..token("a", "tok_1") };
        let rows = [touched, token("a", "tok_2"), token("b", "tok_1")];
        assert_eq!(records.tokens().await.unwrap(), rows);
        records.delete_token(&id("a"), "tok_2").await.unwrap();
        let again = records.delete_token(&id("a"), "tok_2").await;
        assert!(matches!(again, Err(Error::NotFound)));
        records.delete_tokens_of(&id("a")).await.unwrap();
        assert_eq!(records.tokens().await.unwrap(), [token("b", "tok_1")]);
        let key = KeyRow {
            id: "key_1".to_owned(),
            label: "ops".to_owned(),
            role: Role::Auditor,
            digest: [1; 32],
            created_at: 1,
            expires_at: None,
        };
        records.put_key(&key).await.unwrap();
        assert_eq!(records.keys().await.unwrap(), [key]);
        records.delete_key("key_1").await.unwrap();
        assert_eq!(records.keys().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_read_and_kept() {
    let records = Records::in_memory();
    let row = records.insert_tenant(&id("a"), 5, Limits::default()).await.unwrap();
    records.put_token(&token("a", "tok_1")).await.unwrap();
    for key in ["tenant/a", "token/a/tok_1"] {
        let item = records.item(key).await.unwrap().unwrap();
        let text = String::from_utf8(item.value.into()).unwrap();
        let newer = text
            .replacen("\"concurrency\"", "\"burst\":5,\"concurrency\"", 1)
            .replacen("\"hooks\"", "\"hooks\",\"operator.future\"", 1)
            .replacen('{', "{\"future\":true,", 1);
        let ops = vec![Op::put(key, newer)];
        assert!(records.try_commit(Vec::new(), ops).await.unwrap());
    }
    assert_eq!(records.tenant(&id("a")).await.unwrap(), Some(row));
    assert_eq!(records.tokens().await.unwrap(), [token("a", "tok_1")]);
    records.update_tenant(&id("a"), |row| row.suspended = true).await.unwrap();
    let item = records.item("tenant/a").await.unwrap().unwrap();
    let text = String::from_utf8(item.value.into()).unwrap();
    assert!(text.contains("\"future\":true") && text.contains("\"burst\":5"), "{text}");
    assert!(text.contains("\"suspended\":true"), "{text}");
}

#[tokio::test]
async fn a_tenant_of_before_there_was_egress_may_reach_nothing_more() {
    check(async |records| {
        let row = records.insert_tenant(&id("a"), 5, Limits::default()).await.unwrap();
        let mut old = serde_json::to_value(&row).unwrap();
        assert!(old.as_object_mut().unwrap().remove("egress").is_some());
        assert_eq!(serde_json::from_value::<TenantRow>(old).unwrap(), row);
        let rules = vec!["https://a.example".to_owned()];
        records.update_tenant(&id("a"), |row| row.egress.clone_from(&rules)).await.unwrap();
        assert_eq!(records.tenant(&id("a")).await.unwrap().unwrap().egress, rules);
    })
    .await;
}
