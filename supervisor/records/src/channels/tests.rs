//! What is there once in the whole gateway, and what goes with whom.

use types::Limits;

use super::*;
use crate::store::MAX_RANGE;
use crate::{MAX_CODES, MAX_REQUESTS, Sent};

pub(super) fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

pub(super) async fn house() -> Records {
    let records = Records::in_memory();
    for tenant in ["a", "b"] {
        records.insert_tenant(&id(tenant), 1, Limits::default()).await.unwrap();
    }
    records
}

fn policy() -> AccountPolicy {
    AccountPolicy {
        direct: "pairing".to_owned(),
        groups: "allowlist".to_owned(),
        senders: Vec::new(),
        rooms: Vec::new(),
        mention: true,
        agent: None,
        per_minute: None,
        page: PagePolicy::default(),
    }
}

/// An account in which everything is made of `n`.
pub(super) fn account(owner: Option<&str>, n: u8) -> AccountRow {
    AccountRow {
        id: format!("cha_{n:016x}"),
        owner: owner.map(id),
        channel: "telegram".to_owned(),
        name: format!("bot {n}"),
        vendor: Some(format!("{n}")),
        us: (format!("{n}"), None),
        fingerprint: [n; 32],
        path: Some(PathDigest([n; 32])),
        way: "poll".to_owned(),
        server: None,
        policy: policy(),
        running: true,
        shut: None,
        created_at: 1,
    }
}

fn peer(account: &AccountRow, user: &str) -> PeerRow {
    PeerRow {
        account: account.id.clone(),
        kind: PeerKind::User,
        id: user.to_owned(),
        called: None,
        agent: None,
        proven: Proven::Named,
        by: "tok_1".to_owned(),
        at: 1,
    }
}

fn code(account: &AccountRow, n: u8) -> CodeRow {
    CodeRow {
        account: account.id.clone(),
        digest: [n; 32],
        kind: PeerKind::User,
        agent: None,
        by: "tok_1".to_owned(),
        expires_at: 100,
    }
}

fn sent(user: &str, now: UnixMillis) -> Sent<'_> {
    Sent { kind: PeerKind::User, id: user, within: None, now }
}

#[tokio::test]
async fn an_account_is_one_tenants_in_everything() {
    let records = house().await;
    let ours = account(Some("a"), 1);
    assert_eq!(records.put_account(&ours, None).await.unwrap(), AccountPut::Done);
    assert_eq!(records.account_at(&[1; 32]).await.unwrap(), Some(ours.clone()));
    let theirs = account(Some("b"), 2);
    let check = async |row: AccountRow, want: AccountPut| {
        assert_eq!(records.put_account(&row, None).await.unwrap(), want, "{row:?}");
        let written = records.account(row.owner.as_ref(), &row.id).await.unwrap();
        assert_eq!(written.is_some(), want == AccountPut::Done);
    };
    let vendor = AccountRow { vendor: ours.vendor.clone(), ..theirs.clone() };
    check(vendor.clone(), AccountPut::Claimed(Claimed::Vendor)).await;
    let secret = AccountRow { fingerprint: ours.fingerprint, ..theirs.clone() };
    check(secret, AccountPut::Claimed(Claimed::Secret)).await;
    let path = AccountRow { path: ours.path, ..theirs.clone() };
    check(path, AccountPut::Claimed(Claimed::Path)).await;
    // The same in another network is another account, and a name is good for one owner.
    let elsewhere = AccountRow { channel: "slack".to_owned(), path: None, ..vendor };
    check(AccountRow { fingerprint: [1; 32], ..elsewhere }, AccountPut::Done).await;
    let mut third = account(Some("b"), 3);
    third.name.clone_from(&ours.name);
    check(third.clone(), AccountPut::Done).await;
    let fourth = AccountRow { name: third.name.clone(), ..account(Some("b"), 4) };
    check(fourth, AccountPut::Claimed(Claimed::Name)).await;
    // A shared account is no exception.
    let shared = AccountRow { fingerprint: [1; 32], ..account(None, 5) };
    check(shared, AccountPut::Claimed(Claimed::Secret)).await;
}

#[tokio::test]
async fn what_an_account_gives_up_another_may_have() {
    let records = house().await;
    let ours = account(Some("a"), 1);
    records.put_account(&ours, None).await.unwrap();
    let other = AccountRow { fingerprint: [9; 32], ..account(Some("b"), 2) };
    // Rotated: a new secret and a new address; the old ones are free at once.
    let rotated =
        AccountRow { fingerprint: [7; 32], path: Some(PathDigest([7; 32])), ..ours.clone() };
    assert_eq!(records.put_account(&rotated, None).await.unwrap(), AccountPut::Changed);
    assert_eq!(records.put_account(&rotated, Some(&ours)).await.unwrap(), AccountPut::Done);
    assert_eq!(records.account_at(&[1; 32]).await.unwrap(), None);
    assert_eq!(records.account_at(&[7; 32]).await.unwrap(), Some(rotated.clone()));
    let other = AccountRow { fingerprint: [1; 32], path: ours.path, ..other };
    assert_eq!(records.put_account(&other, None).await.unwrap(), AccountPut::Done);
    records.remove_account(&rotated).await.unwrap();
    assert!(matches!(records.remove_account(&rotated).await, Err(Error::NotFound)));
    let again = AccountRow { fingerprint: [7; 32], path: rotated.path, ..account(Some("b"), 8) };
    assert_eq!(records.put_account(&again, None).await.unwrap(), AccountPut::Done);
}

#[tokio::test]
async fn of_many_who_claim_the_same_one_has_it() {
    let records = house().await;
    let rows: Vec<_> = (0..8)
        .map(|n| {
            let owner = if n % 2 == 0 { "a" } else { "b" };
            AccountRow { fingerprint: [9; 32], ..account(Some(owner), n) }
        })
        .collect();
    let puts = rows.iter().map(|row| records.put_account(row, None));
    let puts = futures_util::future::join_all(puts).await;
    let done = puts.iter().filter(|it| matches!(it, Ok(AccountPut::Done))).count();
    assert_eq!(done, 1, "{puts:?}");
    assert_eq!(records.all_accounts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_of_one_tenant_never_binds_to_another() {
    let records = house().await;
    let bot = account(None, 1);
    records.put_account(&bot, None).await.unwrap();
    let (a, b) = (id("a"), id("b"));
    assert!(records.put_code(&a, &code(&bot, 1), 1).await.unwrap());
    assert!(records.put_code(&b, &code(&bot, 2), 1).await.unwrap());
    assert!(!records.put_code(&b, &code(&bot, 1), 1).await.unwrap(), "a digest of another's");
    let redeem = async |n: u8, user: &str, now| {
        records.redeem(&bot.id, &[n; 32], &sent(user, now)).await.unwrap()
    };
    assert_eq!(redeem(3, "u1", 5).await, Redeemed::Wrong);
    assert_eq!(redeem(1, "u1", 100).await, Redeemed::Wrong, "too old");
    assert_eq!(records.redeem("cha_x", &[1; 32], &sent("u1", 5)).await.unwrap(), Redeemed::Wrong);
    let Redeemed::Bound(tenant, row) = redeem(1, "u1", 5).await else { panic!("not bound") };
    assert_eq!((tenant, row.proven), (a.clone(), Proven::Code));
    assert_eq!(redeem(1, "u2", 5).await, Redeemed::Wrong, "used up");
    // Who is one tenant's is not taken by another's code, which stays good.
    assert_eq!(redeem(2, "u1", 5).await, Redeemed::Elsewhere);
    let bound = records.peer(&bot.id, PeerKind::User, "u1").await.unwrap().unwrap();
    assert_eq!(bound.0, a);
    assert!(matches!(redeem(2, "u2", 5).await, Redeemed::Bound(tenant, _) if tenant == b));
    // Once let go of, one may go elsewhere.
    records.unbind(&a, &bound.1).await.unwrap();
    assert_eq!(records.peer(&bot.id, PeerKind::User, "u1").await.unwrap(), None);
    assert!(records.put_code(&b, &code(&bot, 4), 1).await.unwrap());
    assert!(matches!(redeem(4, "u1", 5).await, Redeemed::Bound(tenant, _) if tenant == b));
}

#[tokio::test]
async fn a_code_is_used_once_however_many_send_it() {
    let records = house().await;
    let bot = account(None, 1);
    records.put_account(&bot, None).await.unwrap();
    records.put_code(&id("a"), &code(&bot, 1), 1).await.unwrap();
    let users: Vec<_> = (0..8).map(|n| format!("u{n}")).collect();
    let (records, account) = (&records, &bot.id);
    let sent = users.iter().map(|user| async move {
        records.redeem(account, &[1; 32], &sent(user, 5)).await.unwrap()
    });
    let redeemed = futures_util::future::join_all(sent).await;
    let bound = redeemed.iter().filter(|it| matches!(it, Redeemed::Bound(..))).count();
    assert_eq!(bound, 1, "{redeemed:?}");
}

#[tokio::test]
async fn a_conversation_is_bound_only_by_somebody_of_that_tenant() {
    let records = house().await;
    let bot = account(None, 1);
    records.put_account(&bot, None).await.unwrap();
    let (a, b) = (id("a"), id("b"));
    let row = CodeRow { kind: PeerKind::Room, ..code(&bot, 1) };
    records.put_code(&a, &row, 1).await.unwrap();
    let redeem = async |kind, within| {
        let sent = Sent { kind, id: "room", within, now: 5 };
        records.redeem(&bot.id, &[1; 32], &sent).await.unwrap()
    };
    assert_eq!(redeem(PeerKind::Room, Some(&b)).await, Redeemed::Wrong);
    assert_eq!(redeem(PeerKind::User, None).await, Redeemed::Wrong, "of another kind");
    assert!(
        matches!(redeem(PeerKind::Room, Some(&a)).await, Redeemed::Bound(tenant, _) if tenant == a)
    );
}

#[tokio::test]
async fn three_strangers_keep_no_fourth_out_nor_do_many() {
    let records = house().await;
    let (a, bot) = (id("a"), account(Some("a"), 1));
    records.put_account(&bot, None).await.unwrap();
    let request = |n: u64| RequestRow {
        account: bot.id.clone(),
        id: format!("u{n}"),
        digest: [u8::try_from(n).unwrap(); 32],
        at: n,
        expires_at: n + 1000,
    };
    let most = u64::try_from(MAX_REQUESTS).unwrap();
    for n in 1..=most + 3 {
        records.put_request(&a, &request(n)).await.unwrap();
    }
    let waiting = records.requests(&a, most + 3).await.unwrap();
    assert_eq!(waiting.len(), MAX_REQUESTS);
    assert_eq!(waiting.first().unwrap().id, "u4", "the oldest went");
    // Whoever writes again has one request, with a new code.
    let again = RequestRow { digest: [200; 32], at: most + 4, ..request(10) };
    records.put_request(&a, &again).await.unwrap();
    assert_eq!(records.requests(&a, most + 4).await.unwrap().len(), MAX_REQUESTS);
    let by = ("tok_1", most + 4);
    assert_eq!(records.approve_request(&a, &[10; 32], by).await.unwrap(), None, "the old code");
    let row = records.approve_request(&a, &[200; 32], by).await.unwrap().unwrap();
    assert_eq!((row.id.as_str(), row.proven), ("u10", Proven::Approved));
    assert_eq!(records.approve_request(&a, &[200; 32], by).await.unwrap(), None, "used up");
    // The codes of one tenant's strangers are nothing to another.
    assert_eq!(records.approve_request(&id("b"), &[11; 32], by).await.unwrap(), None);
    records.dismiss_request(&a, &[11; 32]).await.unwrap();
    assert_eq!(records.approve_request(&a, &[11; 32], by).await.unwrap(), None);
    let late = ("tok_1", 5000);
    assert_eq!(records.approve_request(&a, &[12; 32], late).await.unwrap(), None, "too old");
    // Those that are too old make room without being counted.
    let late = RequestRow { at: 5000, expires_at: 6000, ..request(1) };
    records.put_request(&a, &late).await.unwrap();
    assert_eq!(records.requests(&a, 0).await.unwrap(), [late]);
}

#[tokio::test]
async fn codes_have_a_bound_and_old_ones_make_room() {
    let records = house().await;
    let (a, bot) = (id("a"), account(None, 1));
    records.put_account(&bot, None).await.unwrap();
    for n in 0..MAX_CODES {
        let row = code(&bot, u8::try_from(n).unwrap());
        assert!(records.put_code(&a, &row, 1).await.unwrap());
    }
    let more = code(&bot, 200);
    let full = records.put_code(&a, &more, 1).await.unwrap_err();
    assert!(matches!(full, Error::TooLarge { max: MAX_CODES, .. }), "{full}");
    let later = CodeRow { expires_at: 300, ..more };
    assert!(records.put_code(&a, &later, 100).await.unwrap());
    let left: Vec<CodeRow> = records.every(&codes::prefix(&a)).await.unwrap();
    assert_eq!(left, [later]);
}

#[tokio::test]
async fn nobody_takes_a_place_at_anothers_account() {
    let records = house().await;
    let ours = account(Some("a"), 1);
    records.put_account(&ours, None).await.unwrap();
    let b = id("b");
    let bound = records.bind(&b, &peer(&ours, "u1")).await;
    assert!(matches!(bound, Err(Error::NotFound)), "{bound:?}");
    let given = records.put_code(&b, &code(&ours, 1), 1).await;
    assert!(matches!(given, Err(Error::NotFound)), "{given:?}");
    assert!(records.bind(&id("a"), &peer(&ours, "u1")).await.unwrap());
}

async fn keys(records: &Records) -> Vec<String> {
    let (items, _) = records.store.range(b"channel/", None, MAX_RANGE).await.unwrap();
    items.iter().map(|it| String::from_utf8_lossy(&it.key).into_owned()).collect()
}

/// One row of everything for `a`, at an account of its own and at one that is shared.
async fn filled() -> (Records, AccountRow, AccountRow) {
    let records = house().await;
    let (a, own, bot) = (id("a"), account(Some("a"), 1), account(None, 2));
    for row in [&own, &bot] {
        records.put_account(row, None).await.unwrap();
        assert!(records.bind(&a, &peer(row, "u1")).await.unwrap());
        records.put_code(&a, &code(row, row.fingerprint[0]), 1).await.unwrap();
    }
    let request = RequestRow {
        account: own.id.clone(),
        id: "u2".to_owned(),
        digest: [9; 32],
        at: 1,
        expires_at: 100,
    };
    records.put_request(&a, &request).await.unwrap();
    let cursor = CursorRow { cursor: "7".to_owned(), at: 3 };
    records.put_cursor(Some(&a), &own.id, Some(&cursor)).await.unwrap();
    assert_eq!(records.cursor(Some(&a), &own.id).await.unwrap(), Some(cursor));
    (records, own, bot)
}

#[tokio::test]
async fn a_tenant_leaves_nothing_behind_at_any_account() {
    let (records, _, bot) = filled().await;
    records.begin_erasure(&id("a"), "key_1", 5).await.unwrap();
    let removed = records.erase(&id("a")).await.unwrap();
    for (kind, count) in [
        ("channelAccounts", 1),
        ("channelPeers", 2),
        ("channelCodes", 2),
        ("channelRequests", 1),
        ("channelCursors", 1),
    ] {
        assert_eq!(removed.rows.get(kind), Some(&count), "{kind}");
    }
    records.delete_tenant(&id("a")).await.unwrap();
    // What is left is the shared account with what it claims: itself, its secret, address and name.
    let left = keys(&records).await;
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(records.bind(&id("b"), &peer(&bot, "u1")).await.unwrap(), "the place is free");
    let again = account(Some("b"), 1);
    assert_eq!(records.put_account(&again, None).await.unwrap(), AccountPut::Done);
}

#[tokio::test]
async fn an_account_leaves_nothing_behind() {
    let (records, own, bot) = filled().await;
    records.remove_account(&own).await.unwrap();
    let a = id("a");
    assert_eq!(records.peers(&a, None).await.unwrap(), [peer(&bot, "u1")]);
    assert_eq!(records.requests(&a, 1).await.unwrap(), []);
    assert_eq!(records.cursor(Some(&a), &own.id).await.unwrap(), None);
    let cursor = CursorRow { cursor: "7".to_owned(), at: 3 };
    let late = records.put_cursor(Some(&a), &own.id, Some(&cursor)).await;
    assert!(matches!(late, Err(Error::NotFound)), "{late:?}");
    // Five of the shared account, two of the peer there, two of the code there.
    assert_eq!(keys(&records).await.len(), 9);
}

#[tokio::test]
async fn rows_of_a_backup_claim_what_is_still_free() {
    let (records, own, bot) = filled().await;
    let a = id("a");
    let rows = records.portable(&a).await.unwrap();
    records.delete_tenant(&a).await.unwrap();
    records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
    let mut ops = Vec::new();
    for row in rows {
        for (key, value) in row.stored(&a).unwrap() {
            ops.push(Op::put(key, value));
        }
    }
    records.store.commit(Vec::new(), ops).await.unwrap();
    // Meanwhile another tenant has the credential, and the person at the shared account.
    let theirs = AccountRow { fingerprint: [1; 32], ..account(Some("b"), 3) };
    records.put_account(&theirs, None).await.unwrap();
    assert!(records.bind(&id("b"), &peer(&bot, "u1")).await.unwrap());
    records.claim_again(&a, 50).await.unwrap();
    let found = records.account(Some(&a), &own.id).await.unwrap().unwrap();
    assert!(!found.running);
    assert_eq!(found.shut.unwrap().why, "the credential is another account's by now");
    assert_eq!(records.peers(&a, None).await.unwrap(), [peer(&own, "u1")]);
    let bound = records.peer(&bot.id, PeerKind::User, "u1").await.unwrap().unwrap();
    assert_eq!(bound.0, id("b"));
}

#[tokio::test]
async fn there_is_a_bound_on_accounts_and_lists() {
    let records = house().await;
    for n in 0..MAX_ACCOUNTS {
        let row = account(Some("a"), u8::try_from(n).unwrap());
        records.put_account(&row, None).await.unwrap();
    }
    let more = records.put_account(&account(Some("a"), 200), None).await.unwrap_err();
    assert!(matches!(more, Error::TooLarge { max: MAX_ACCOUNTS, .. }), "{more}");
    let mut long = account(Some("b"), 201);
    long.policy.senders = vec!["u".to_owned(); MAX_LISTED + 1];
    records.put_account(&long, None).await.unwrap_err();
    let gone = AccountRow { owner: Some(id("c")), ..account(None, 202) };
    assert!(matches!(records.put_account(&gone, None).await, Err(Error::NotFound)));
}
