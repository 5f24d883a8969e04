//! Who reaches whom: every policy, own accounts and shared ones.

use records::Proven;

use super::*;
use crate::facts::Place;
use networks::What;

const CODE: &str = "ABCDEFGHJK";

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn account(owner: Option<&str>) -> AccountRow {
    AccountRow {
        id: "cha_1".to_owned(),
        owner: owner.map(id),
        channel: "telegram".to_owned(),
        name: "bot".to_owned(),
        vendor: Some("900".to_owned()),
        us: ("700".to_owned(), None),
        fingerprint: [1; 32],
        path: None,
        way: "poll".to_owned(),
        server: None,
        policy: crate::testing::policy(),
        running: true,
        shut: None,
        created_at: 1,
    }
}

fn done(kind: Kind, text: &str) -> Done {
    let room = if kind == Kind::Direct { "42" } else { "g1" };
    Done {
        what: What::Said,
        room: Room { kind, id: room.to_owned(), thread: None, space: Some("s1".to_owned()) },
        sender: "42".to_owned(),
        is_bot: false,
        is_addressed: true,
        opening: text.to_owned(),
        place: Place::default(),
    }
}

fn facts(done: Done) -> Facts {
    Facts { account: None, event: "e1".to_owned(), done: Some(done) }
}

fn peer(tenant: &str, kind: PeerKind) -> (TenantId, PeerRow) {
    let row = PeerRow {
        account: "cha_1".to_owned(),
        kind,
        id: String::new(),
        called: None,
        agent: None,
        proven: Proven::Code,
        by: String::new(),
        at: 1,
    };
    (id(tenant), row)
}

fn tenant_of(decision: Decision) -> Result<String, Decision> {
    match decision {
        Decision::Turn(turn) => Ok(turn.tenant.to_string()),
        decision @ (Decision::Drop(_) | Decision::Ask(_) | Decision::Code(_)) => Err(decision),
    }
}

#[test]
fn an_own_account_asks_lists_opens_or_is_shut() {
    let bound = peer("a", PeerKind::User);
    let other = peer("b", PeerKind::User);
    let ask = || Err(Decision::Ask(Ask::Approval(id("a"))));
    let drop = |why| Err(Decision::Drop(why));
    let a = || Ok("a".to_owned());
    for (policy, stranger, listed, let_in) in [
        ("pairing", ask(), a(), a()),
        ("allowlist", drop(Why::NotListed), a(), a()),
        ("open", a(), a(), a()),
        ("disabled", drop(Why::Disabled), drop(Why::Disabled), drop(Why::Disabled)),
        ("", drop(Why::Disabled), drop(Why::Disabled), drop(Why::Disabled)),
    ] {
        let mut account = account(Some("a"));
        account.policy.direct = policy.to_owned();
        let said = facts(done(Kind::Direct, "hi"));
        let check = |account: &AccountRow, user, want: &Result<String, Decision>| {
            let bound = Bound { user, ..Bound::default() };
            assert_eq!(tenant_of(decide(account, &said, bound)), *want, "{policy}");
        };
        check(&account, None, &stranger);
        check(&account, Some(&bound), &let_in);
        check(&account, Some(&other), &stranger);
        account.policy.senders = vec!["42".to_owned()];
        check(&account, None, &listed);
        account.policy.senders = vec!["Ann".to_owned(), "@annbee".to_owned(), "4".to_owned()];
        check(&account, None, &stranger);
    }
    // What may be a code must be one of the account's own tenant.
    let decision = decide(&account(Some("a")), &facts(done(Kind::Direct, CODE)), Bound::default());
    let Decision::Code(code) = decision else { panic!("{decision:?}") };
    assert_eq!(code.within, Some(id("a")));
}

#[test]
fn a_group_is_let_in_by_itself_and_spoken_to_by_name() {
    let let_in = peer("a", PeerKind::User);
    let room = peer("a", PeerKind::Room);
    let check = |change: &dyn Fn(&mut AccountRow, &mut Done), bound, want: Result<&str, Why>| {
        let (mut account, mut done) = (account(Some("a")), done(Kind::Group, "hi"));
        change(&mut account, &mut done);
        let found = tenant_of(decide(&account, &facts(done), bound));
        assert_eq!(found, want.map(str::to_owned).map_err(Decision::Drop));
    };
    let none = Bound::default();
    check(&|_, _| {}, none, Err(Why::NotListed));
    // Who was let in by a code was let in to a conversation of two.
    check(&|_, _| {}, Bound { user: Some(&let_in), ..none }, Err(Why::NotListed));
    check(&|_, _| {}, Bound { room: Some(&room), ..none }, Ok("a"));
    check(&|it, _| it.policy.rooms = vec!["g1".to_owned()], none, Ok("a"));
    let open = |it: &mut AccountRow| it.policy.groups = "open".to_owned();
    check(&|it, _| open(it), none, Ok("a"));
    check(&|it, done| (open(it), done.is_addressed = false).0, none, Err(Why::NotAddressed));
    let quiet = |it: &mut AccountRow, done: &mut Done| {
        open(it);
        it.policy.mention = false;
        done.is_addressed = false;
    };
    check(&quiet, none, Ok("a"));
    let senders = |it: &mut AccountRow, _: &mut Done| {
        open(it);
        it.policy.senders = vec!["43".to_owned()];
    };
    check(&senders, none, Err(Why::NotListed));
    check(&|it, _| it.policy.groups = "disabled".to_owned(), none, Err(Why::Disabled));
    check(&|it, _| it.policy.groups = "Open".to_owned(), none, Err(Why::Disabled));
}

#[test]
fn a_shared_account_is_whose_code_was_sent() {
    let account = account(None);
    let (of_a, of_b) = (peer("a", PeerKind::User), peer("b", PeerKind::User));
    let none = Bound::default();
    let said = |text: &str| facts(done(Kind::Direct, text));
    assert_eq!(decide(&account, &said("hi"), none), Decision::Ask(Ask::Code));
    let Decision::Code(code) = decide(&account, &said(&format!("/start {CODE}")), none) else {
        panic!("no code");
    };
    assert_eq!((code.kind, code.id.as_str(), code.within), (PeerKind::User, "42", None));
    assert_eq!(Some(code.digest), pairing::typed(CODE));
    for (user, want) in [(&of_a, "a"), (&of_b, "b")] {
        let bound = Bound { user: Some(user), ..none };
        assert_eq!(tenant_of(decide(&account, &said("hi"), bound)), Ok(want.to_owned()));
        // Another tenant's code in the mouth of one who is bound is a message like any other.
        assert_eq!(tenant_of(decide(&account, &said(CODE), bound)), Ok(want.to_owned()));
    }
    let bound = Bound { user: Some(&of_a), ..none };
    let Decision::Turn(turn) = decide(&account, &said("hi"), bound) else { panic!("no turn") };
    assert_eq!(turn.session, "agent:main:telegram:shared.bot:direct:42", "no own account's");
    // Nearer is first: the conversation, the person, the workspace.
    let (room, space) = (peer("c", PeerKind::Room), peer("d", PeerKind::Space));
    let all = Bound { room: Some(&room), user: Some(&of_a), space: Some(&space) };
    assert_eq!(tenant_of(decide(&account, &said("hi"), all)), Ok("c".to_owned()));
    let two = Bound { room: None, ..all };
    assert_eq!(tenant_of(decide(&account, &said("hi"), two)), Ok("a".to_owned()));
    let one = Bound { user: None, ..two };
    assert_eq!(tenant_of(decide(&account, &said("hi"), one)), Ok("d".to_owned()));
}

#[test]
fn a_shared_group_is_bound_once_by_one_of_its_tenants() {
    let account = account(None);
    let (of_a, of_b) = (peer("a", PeerKind::User), peer("b", PeerKind::User));
    let room = peer("a", PeerKind::Room);
    let none = Bound::default();
    let said = |text: &str, addressed: bool| {
        let mut done = done(Kind::Group, text);
        done.is_addressed = addressed;
        facts(done)
    };
    let unbound = Decision::Drop(Why::Unbound);
    assert_eq!(decide(&account, &said("for tenant a: hi", true), none), unbound);
    // A stranger's code binds no group, and a member's binds only to the member's own tenant.
    assert_eq!(decide(&account, &said(CODE, true), none), unbound);
    let of_user = Bound { user: Some(&of_b), ..none };
    assert_eq!(decide(&account, &said("hi", true), of_user), unbound);
    assert_eq!(decide(&account, &said(CODE, false), of_user), unbound);
    let Decision::Code(code) = decide(&account, &said(CODE, true), of_user) else {
        panic!("no code");
    };
    assert_eq!((code.kind, code.id.as_str()), (PeerKind::Room, "g1"));
    assert_eq!(code.within, Some(id("b")));
    for user in [&of_a, &of_b] {
        let bound = Bound { room: Some(&room), user: Some(user), space: None };
        let decided = decide(&account, &said(CODE, true), bound);
        assert_eq!(tenant_of(decided), Ok("a".to_owned()), "whoever writes");
        let decided = decide(&account, &said("hi", false), bound);
        assert_eq!(decided, Decision::Drop(Why::NotAddressed));
    }
}

#[test]
fn nobody_speaks_for_another_account_for_a_program_or_to_a_stopped_one() {
    let (running, said) = (account(Some("a")), done(Kind::Direct, "hi"));
    let check = |account: &AccountRow, facts: &Facts, why| {
        let user = peer("a", PeerKind::User);
        let bound = Bound { user: Some(&user), ..Bound::default() };
        assert_eq!(decide(account, facts, bound), Decision::Drop(why));
    };
    let other = Facts { account: Some("901".to_owned()), ..facts(said.clone()) };
    check(&running, &other, Why::OtherAccount);
    // An account of which nobody knows what it is called is none that could be named.
    let unknown = AccountRow { vendor: None, ..account(Some("a")) };
    let ours = Facts { account: Some("900".to_owned()), ..facts(said.clone()) };
    check(&unknown, &ours, Why::OtherAccount);
    check(&running, &Facts::nothing("e".to_owned()), Why::Nothing);
    let stopped = AccountRow { running: false, ..account(Some("a")) };
    check(&stopped, &facts(said.clone()), Why::Stopped);
    check(&running, &facts(Done { is_bot: true, ..said.clone() }), Why::Program);
    check(&running, &facts(Done { sender: "700".to_owned(), ..said }), Why::Program);
}

#[test]
fn no_two_people_share_a_session_unless_they_share_a_conversation() {
    let mut account = account(Some("a"));
    account.policy.direct = "open".to_owned();
    account.policy.groups = "open".to_owned();
    let session = |account: &AccountRow, change: &dyn Fn(&mut Done), kind| {
        let mut done = done(kind, "hi");
        change(&mut done);
        let Decision::Turn(turn) = decide(account, &facts(done), Bound::default()) else {
            panic!("no turn");
        };
        (turn.session, turn.lane)
    };
    let (key, lane) = session(&account, &|_| {}, Kind::Direct);
    assert_eq!((key.as_str(), lane.as_str()), ("agent:main:telegram:bot:direct:42", "42"));
    let (key, _) = session(&account, &|it| it.sender = "43".to_owned(), Kind::Direct);
    assert_eq!(key, "agent:main:telegram:bot:direct:43");
    let (key, lane) = session(&account, &|_| {}, Kind::Group);
    assert_eq!((key.as_str(), lane.as_str()), ("agent:main:telegram:group:g1", "g1"));
    let thread = |it: &mut Done| it.room.thread = Some("7".to_owned());
    let (key, lane) = session(&account, &thread, Kind::Group);
    assert_eq!((key.as_str(), lane.as_str()), ("agent:main:telegram:group:g1:topic:7", "g1/7"));
    // The worker takes capitals for small letters, and a name may look like a thread of another.
    let ids = ["Bob", "bob", "BOB", "g1", "g1:topic:7", "b~b", &"x".repeat(500), &"x".repeat(501)];
    let keys: std::collections::BTreeSet<_> = ids
        .iter()
        .flat_map(|id| [Kind::Direct, Kind::Group].map(|kind| (id, kind)))
        .map(|(id, kind)| {
            let (key, _) = session(
                &account,
                &|it| {
                    it.sender = (*id).to_owned();
                    it.room.id = (*id).to_owned();
                },
                kind,
            );
            assert!(key.len() <= 400, "{key}");
            key.to_lowercase()
        })
        .collect();
    assert_eq!(keys.len(), 2 * ids.len());
    account.channel = "slack".to_owned();
    let (key, _) = session(&account, &|it| it.room.id = "C0AB".to_owned(), Kind::Channel);
    assert_eq!(key, "agent:main:slack:channel:c0ab");
    account.policy.agent = Some("ops".to_owned());
    let (key, _) = session(&account, &thread, Kind::Channel);
    assert_eq!(key, "agent:ops:slack:channel:g1:thread:7");
}
