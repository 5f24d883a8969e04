//! What is shown, to whom, and for how long.

use std::net::IpAddr;

use records::{AccountPolicy, AccountPut, PagePolicy};
use settings::{Platform, SealKey};
use types::{Limits, ManualClock};

use super::*;

const NOW: UnixMillis = 1_760_000_000_000;

struct House {
    pages: Pages,
    clock: Arc<ManualClock>,
    account: AccountRow,
}

impl House {
    async fn new() -> Self {
        let records = Records::in_memory();
        let tenant: TenantId = "a".parse().unwrap();
        records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
        let policy = AccountPolicy {
            direct: "open".to_owned(),
            groups: "disabled".to_owned(),
            senders: Vec::new(),
            rooms: Vec::new(),
            mention: true,
            agent: None,
            per_minute: None,
            page: PagePolicy::default(),
        };
        let account = AccountRow {
            id: "cha_0000000000000001".to_owned(),
            owner: Some(tenant),
            channel: WEBCHAT.to_owned(),
            name: "site".to_owned(),
            vendor: None,
            us: (String::new(), None),
            fingerprint: [1; 32],
            path: None,
            way: "page".to_owned(),
            server: None,
            policy,
            running: true,
            shut: None,
            created_at: 1,
        };
        assert_eq!(records.put_account(&account, None).await.unwrap(), AccountPut::Done);
        let settings =
            Settings::new(records.clone(), Platform::default(), SealKey::random().unwrap());
        let clock = Arc::new(ManualClock::at(NOW));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let pages = Pages::new(records, settings, shared);
        Self { pages, clock, account }
    }

    async fn show(&self, room: &str, key: &str, over: Option<&str>, text: &str) {
        let over = over.map(|it| format!(r#","over":"{it}""#)).unwrap_or_default();
        let frame = format!(r#"{{"type":"message","key":"{key}"{over},"text":"{text}","at":7}}"#);
        let called = self.pages.show(&self.account, room, frame.into_bytes()).await;
        assert!(matches!(called, Called::Answered { status: 200, .. }), "{called:?}");
    }

    async fn since(&self, room: &str, after: u64) -> (u64, bool, Vec<String>) {
        let since = self.pages.since(&self.account, room, after).await.unwrap();
        let items = since.items.iter().map(ToString::to_string).collect();
        (since.rev, since.anew, items)
    }
}

#[tokio::test]
async fn an_answer_is_told_and_is_there_when_the_page_comes_back() {
    let house = House::new().await;
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    let (_seat, mut told) = house.pages.live.enter(&house.account.id, "v1", home).unwrap();
    house.show("v1", "k-0", None, "one").await;
    house.show("v1", "k-0", None, "one").await;
    let first = told.try_recv().unwrap().frame;
    assert!(
        first.starts_with(r#"{"type":"item","seq":1,"rev":1,"it":{"type":"message""#),
        "{first}"
    );
    told.try_recv().unwrap_err();
    house.show("v1", "k-1", Some("k-0"), "one, and more").await;
    let edit = told.try_recv().unwrap().frame;
    assert!(edit.starts_with(r#"{"type":"item","seq":1,"rev":2,"it":"#), "in its place: {edit}");
    house.show("v1", "k-2", None, "two").await;
    let (rev, anew, items) = house.since("v1", 0).await;
    assert_eq!((rev, anew, items.len()), (3, false, 2));
    assert_eq!(items[0], edit.as_str());
    assert_eq!(house.since("v1", 2).await.2, items[1..]);
    assert_eq!(house.since("v1", 3).await, (3, false, Vec::new()));
    // A page that has seen more than there is has seen another conversation.
    assert_eq!(house.since("v1", 4).await, (3, true, items));
    assert_eq!(house.since("v2", 0).await, (0, false, Vec::new()));
}

#[tokio::test]
async fn what_is_kept_of_a_conversation_is_sealed_and_opens_in_it_alone() {
    let house = House::new().await;
    house.show("v1", "k-0", None, "secret words").await;
    let Pages { records, .. } = &house.pages;
    let tenant = house.account.owner.as_ref().unwrap();
    let of = records::Pages { tenant, account: &house.account.id, room: "v1" };
    let (_, rows) = records.page_since(of, 0).await.unwrap();
    let sealed = &rows[0].1;
    assert!(!sealed.windows(6).any(|it| it == b"secret"));
    let showing = records::Showing { key: "k", over: None, at: 7 };
    let other = records::Pages { room: "v2", ..of };
    records.show_page(other, showing, &Bytes::from(sealed.clone())).await.unwrap();
    let err = house.pages.since(&house.account, "v2", 0).await.unwrap_err();
    assert!(matches!(err, Error::Sealed(_)), "{err}");
}

#[tokio::test]
async fn what_nobody_has_looked_at_for_a_month_is_forgotten() {
    let house = House::new().await;
    house.show("v1", "k-0", None, "old").await;
    house.clock.advance(KEEP_MS - 1);
    house.show("v2", "k-0", None, "new").await;
    assert_eq!(house.since("v1", 0).await.2.len(), 1);
    house.clock.advance(2);
    house.show("v2", "k-1", None, "newer").await;
    assert_eq!(house.since("v1", 0).await.2.len(), 0);
    assert_eq!(house.since("v2", 0).await.2.len(), 2);
    house.pages.end(&house.account.id);
    house.clock.advance(KEEP_MS + 1);
    house.show("v3", "k-0", None, "after a start").await;
    assert_eq!(house.since("v2", 0).await.2.len(), 0);
}

#[test]
fn the_quietest_conversations_go_first_and_the_present_one_never() {
    let head = |name: &str, at, bytes| PageHead {
        name: name.to_owned(),
        at,
        bytes,
        ..PageHead::default()
    };
    let mut index = Index::default();
    for (name, at) in [("c", 3), ("a", 1), ("b", 2)] {
        index.put(&head(name, at, MAX_BYTES / 3));
    }
    assert_eq!(index.surplus("c", 5), [""; 0]);
    index.put(&head("c", 5, MAX_BYTES / 2));
    assert_eq!(index.surplus("c", 5), ["a"]);
    index.put(&head("c", 6, MAX_BYTES * 2));
    assert_eq!(index.surplus("c", 6), ["b"]);
    assert_eq!(index.surplus("c", 6 + KEEP_MS * 2), [""; 0]);
    assert_eq!((index.all.len(), index.bytes), (1, MAX_BYTES * 2));
    for n in 0..MAX_CONVERSATIONS {
        index.put(&head(&format!("d{n}"), 7, 0));
    }
    index.put(&head("c", 8, 0));
    assert_eq!(index.surplus("c", 9).len(), 1);
}

#[tokio::test]
async fn the_largest_file_of_the_longest_name_is_kept_and_shown() {
    let house = House::new().await;
    let adapter = channels::adapter(WEBCHAT).unwrap();
    let size = adapter.network().is.media.outward;
    let bytes = vec![7; usize::try_from(size).unwrap()];
    let (name, media_type) = ("\"😀".repeat(64), "x".repeat(80));
    let file = networks::File { id: String::new(), name, media_type, size };
    let part = networks::Part { file: Some(file.clone()), ..networks::Part::default() };
    let place = channels::Place { room: "v1".to_owned(), thread: None, reply: None };
    let letter = channels::Letter {
        place: &place,
        us: "",
        part: &part,
        key: "k-0",
        over: None,
        is_first: true,
        now: 7,
        since: 7,
    };
    let enclosed = channels::Enclosed { is: &file, bytes: &bytes };
    let channels::Step::Page(frame) = adapter.upload(letter, enclosed, &[]) else { panic!() };
    house.show("v1", "k", None, "before it").await;
    let called = house.pages.show(&house.account, "v1", frame.clone()).await;
    assert!(matches!(called, Called::Answered { status: 200, .. }), "{called:?}");
    let (_, _, items) = house.since("v1", 0).await;
    assert_eq!(items.len(), 2, "what was said before it stays");
    assert!(items[1].contains(std::str::from_utf8(&frame).unwrap()));
}

#[tokio::test]
async fn what_is_no_answer_is_shown_to_nobody() {
    let house = House::new().await;
    for frame in ["", "{}", r#"{"key":7}"#] {
        let called = house.pages.show(&house.account, "v1", frame.as_bytes().to_vec()).await;
        assert!(matches!(called, Called::Unsent(_)), "{called:?}");
    }
    let mut shared = house.account.clone();
    shared.owner = None;
    let frame = br#"{"key":"k","text":"x"}"#.to_vec();
    assert!(matches!(house.pages.show(&shared, "v1", frame).await, Called::Unsent(_)));
}
