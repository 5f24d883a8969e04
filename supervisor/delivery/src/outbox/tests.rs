//! The outbox over a store that stops at any of its commits: each part is brought once where the far
//! end or a look can say so, and never twice where nothing can.

use super::*;
use crate::testing::House;

/// A place that remembers what was brought to it.
#[derive(Debug)]
struct Place {
    means: Means,
    /// How often each key came, in the order in which they came first.
    brought: Mutex<Vec<(String, usize)>>,
    answers: Mutex<Vec<Fate>>,
}

impl Place {
    fn new(means: Means, answers: Vec<Fate>) -> Arc<Self> {
        Arc::new(Self { means, brought: Mutex::default(), answers: Mutex::new(answers) })
    }

    fn sinks(self: &Arc<Self>) -> Sinks {
        let sink: Arc<dyn Sink> = Arc::<Self>::clone(self);
        Sinks::from([("test".into(), sink)])
    }

    fn keys(&self) -> Vec<(String, usize)> {
        self.brought.lock().unwrap().clone()
    }
}

#[async_trait]
impl Sink for Place {
    fn means(&self) -> Means {
        self.means
    }

    async fn send(&self, part: Part<'_>) -> Fate {
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.is_empty() { Fate::Sent(None) } else { answers.remove(0) };
        drop(answers);
        if matches!(answer, Fate::Sent(_) | Fate::Unknown(_)) {
            let mut brought = self.brought.lock().unwrap();
            let key = format!("{}:{}", part.key, String::from_utf8_lossy(part.content));
            match brought.iter_mut().find(|(known, _)| *known == key) {
                Some((_, times)) => *times += 1,
                None => brought.push((key, 1)),
            }
        }
        answer
    }

    async fn look(&self, part: Part<'_>) -> Option<Seen> {
        let is_there = self.keys().iter().any(|(key, _)| key.starts_with(part.key));
        Some(if is_there { Seen::There(None) } else { Seen::Absent })
    }
}

fn intent(id: &str) -> Intent {
    let parts = ["one", "two", "three"].map(Bytes::from).to_vec();
    let (id, place) = (id.to_owned(), "there".to_owned());
    Intent { id, sink: "test".into(), place, lane: String::new(), parts, over: None }
}

pub(super) async fn start(house: &House) -> Outbox {
    let outbox = Outbox::new(house.tenant.clone(), house.shared());
    for (_, row) in house.records.shelf_rows::<OutboxRow>(SHELF).await.unwrap() {
        outbox.restore(row);
    }
    outbox
}

/// Brings whatever has its turn, until nothing waits or the store stops.
pub(super) async fn drive(outbox: &Outbox, sinks: &Sinks) -> Result<(), Error> {
    while outbox.has_work() {
        for seq in outbox.begin().await? {
            outbox.bring(seq, sinks, &|| true).await?;
        }
        tokio::time::advance(std::time::Duration::from_secs(400)).await;
    }
    Ok(())
}

async fn crash_at(commits: usize, last_counts: bool, means: Means) -> bool {
    let house = House::new(last_counts).await;
    house.stop_after(commits);
    let place = Place::new(means, Vec::new());
    let outbox = start(&house).await;
    let taken = outbox.submit(&intent("a")).await.is_ok();
    let whole = taken && drive(&outbox, &place.sinks()).await.is_ok() && !house.store.is_over();
    drop(outbox);
    house.stop_after(usize::MAX);
    let outbox = start(&house).await;
    // A worker submits until it is told that the intent is kept.
    outbox.submit(&intent("a")).await.unwrap();
    drive(&outbox, &place.sinks()).await.unwrap();
    let (brought, left) = (place.keys(), outbox.list().await.unwrap());
    let texts: Vec<_> = brought.iter().filter_map(|(key, _)| key.split(':').nth(1)).collect();
    let once = brought.iter().all(|(_, times)| *times == 1);
    match means {
        Means::DurableKey => assert_eq!(texts, ["one", "two", "three"], "at {commits}"),
        Means::ReadBack => {
            assert_eq!(texts, ["one", "two", "three"], "at {commits}");
            assert!(once, "at {commits}: {brought:?}");
        }
        Means::None => {
            assert!(once, "at {commits}: {brought:?}");
            let unknown = left.iter().filter(|it| it.state == "unknown").count();
            assert!(texts.len() == 3 || unknown == 1, "at {commits}: {brought:?} {left:?}");
        }
    }
    whole
}

/// Crashes at each commit until all is done without: at more than `least`.
pub(super) async fn at_each_commit(
    least: usize,
    crash_at: impl AsyncFn(usize, bool, Means) -> bool,
) {
    for means in [Means::DurableKey, Means::ReadBack, Means::None] {
        for last_counts in [false, true] {
            let mut commits = 1;
            while !crash_at(commits, last_counts, means).await {
                commits += 1;
                assert!(commits < 100);
            }
            assert!(commits > least, "only {commits} commits");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_repeats_nothing_blindly() {
    at_each_commit(5, crash_at).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_stops_those_after_it() {
    let check = async |means, answers: &[Fate], texts: &[&str], end: Option<&str>| {
        let house = House::new(false).await;
        let (outbox, place) = (start(&house).await, Place::new(means, answers.to_vec()));
        outbox.submit(&intent("a")).await.unwrap();
        drive(&outbox, &place.sinks()).await.unwrap();
        let brought = place.keys();
        let said: Vec<_> = brought.iter().filter_map(|(key, _)| key.split(':').nth(1)).collect();
        assert_eq!(said, texts, "{answers:?}");
        let left = outbox.list().await.unwrap();
        assert_eq!(left.first().map(|it| it.state), end, "{answers:?}");
        // The same again changes nothing.
        outbox.submit(&intent("a")).await.unwrap();
        drive(&outbox, &place.sinks()).await.unwrap();
        assert_eq!(place.keys(), brought);
    };
    let (retry, unknown) = (Fate::Retry("busy".to_owned()), Fate::Unknown("?".to_owned()));
    let failed = Fate::Failed("no".to_owned());
    let all = ["one", "two", "three"];
    check(Means::None, &[], &all, None).await;
    check(Means::None, &[retry.clone(), Fate::Sent(None), retry.clone()], &all, None).await;
    check(Means::None, &[Fate::Sent(None), failed.clone()], &["one"], Some("failed")).await;
    check(Means::None, &[Fate::Sent(None), unknown.clone()], &["one", "two"], Some("unknown"))
        .await;
    check(Means::ReadBack, &[Fate::Sent(None), unknown.clone()], &all, None).await;
    check(Means::DurableKey, std::slice::from_ref(&unknown), &all, None).await;
    let never = vec![retry.clone(); usize::try_from(MAX_ATTEMPTS).unwrap()];
    check(Means::DurableKey, &never, &[], Some("failed")).await;
    // One attempt may have arrived: that nothing came of the others says nothing of it.
    let always = vec![unknown.clone(); usize::try_from(MAX_ATTEMPTS).unwrap()];
    check(Means::DurableKey, &always, &["one"], Some("unknown")).await;
    let first = [[unknown.clone()].as_slice(), &never[1..]].concat();
    check(Means::DurableKey, &first, &["one"], Some("unknown")).await;
    check(Means::DurableKey, &[unknown.clone(), failed.clone()], &["one"], Some("unknown")).await;
    // What is known of one part says nothing of the next.
    let parts = [unknown, Fate::Sent(None), failed];
    check(Means::DurableKey, &parts, &["one"], Some("failed")).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_wait_has_not_failed_unless_that_goes_on_for_ever() {
    for (age, end) in [(0, None), (MAX_WAITING_MS, Some("failed"))] {
        let house = House::new(false).await;
        let waits = vec![Fate::Wait(60_000, "busy".to_owned()); 20];
        let (outbox, place) = (start(&house).await, Place::new(Means::None, waits));
        outbox.submit(&intent("a")).await.unwrap();
        house.clock.advance(age);
        drive(&outbox, &place.sinks()).await.unwrap();
        let left = outbox.list().await.unwrap();
        assert_eq!(left.first().map(|it| it.state), end);
        assert_eq!(place.keys().len(), if end.is_none() { 3 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn that_an_attempt_may_have_arrived_outlives_the_gateway() {
    let house = House::new(false).await;
    let answers = vec![Fate::Unknown("?".to_owned()), Fate::Retry("busy".to_owned())];
    let place = Place::new(Means::DurableKey, answers);
    let sinks = place.sinks();
    let mut outbox = start(&house).await;
    outbox.submit(&intent("a")).await.unwrap();
    for _ in 0..2 {
        for seq in outbox.begin().await.unwrap() {
            outbox.bring(seq, &sinks, &|| true).await.unwrap();
        }
        tokio::time::advance(std::time::Duration::from_secs(400)).await;
        outbox = start(&house).await;
    }
    place.answers.lock().unwrap().push(Fate::Failed("no".to_owned()));
    drive(&outbox, &sinks).await.unwrap();
    assert_eq!(outbox.list().await.unwrap()[0].state, "unknown");
}

/// A place where nothing can be looked for.
#[derive(Debug)]
struct Dark;

#[async_trait]
impl Sink for Dark {
    fn means(&self) -> Means {
        Means::ReadBack
    }

    async fn send(&self, _: Part<'_>) -> Fate {
        Fate::Unknown("?".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_looked_for_ends() {
    let house = House::new(false).await;
    let outbox = start(&house).await;
    outbox.submit(&intent("a")).await.unwrap();
    let dark: Arc<dyn Sink> = Arc::new(Dark);
    let sinks = Sinks::from([("test".into(), dark)]);
    let driving = tokio::time::timeout(std::time::Duration::from_hours(24), drive(&outbox, &sinks));
    driving.await.unwrap().unwrap();
    assert_eq!(outbox.list().await.unwrap()[0].state, "unknown");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_any_more_ends() {
    let check = async |content: &[u8], is_sealed: bool| {
        let house = House::new(false).await;
        let (outbox, place) = (start(&house).await, Place::new(Means::DurableKey, Vec::new()));
        outbox.submit(&intent("a")).await.unwrap();
        let (_, row) = house.records.shelf_rows::<OutboxRow>(SHELF).await.unwrap().remove(0);
        let (marks, sealer) = (
            house.records.shelf_marks(SHELF, &house.tenant).await.unwrap(),
            house.settings.sealer(&house.tenant).await.unwrap(),
        );
        let content = if is_sealed {
            sealer.seal(CONTENT, &row.key, content).unwrap()
        } else {
            content.to_vec()
        };
        let of = (&house.tenant, marks.owner);
        house.records.shelf_remove(SHELF, of, (row.seq, &row.key)).await.unwrap();
        let at = (row.seq, row.key.as_str(), row.received_at);
        house.records.shelf_insert(SHELF, of, at, &row, &content.into()).await.unwrap();
        drive(&outbox, &place.sinks()).await.unwrap();
        let left = outbox.list().await.unwrap();
        assert_eq!((left.len(), left[0].state), (1, "failed"), "{left:?}");
        assert!(place.keys().is_empty());
    };
    check(b"no JSON", true).await;
    check(b"[[1]]", true).await;
    check(b"not sealed", false).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_shown_for_a_month_and_no_clock_that_jumps_shortens_it() {
    let house = House::new(false).await;
    let failed = || vec![Fate::Failed("no".to_owned())];
    let (outbox, place) = (start(&house).await, Place::new(Means::DurableKey, failed()));
    outbox.submit(&intent("a")).await.unwrap();
    drive(&outbox, &place.sinks()).await.unwrap();
    let pass = async |millis: u64| {
        house.clock.advance(millis);
        tokio::time::advance(std::time::Duration::from_millis(millis)).await;
    };
    pass(KEEP_ENDED_MS / 2).await;
    place.answers.lock().unwrap().extend(failed());
    outbox.submit(&intent("b")).await.unwrap();
    drive(&outbox, &place.sinks()).await.unwrap();
    assert!(!outbox.is_untidy());
    house.clock.advance(KEEP_ENDED_MS * 9);
    assert!(!outbox.is_untidy(), "the clock alone has jumped");
    house.clock.set(crate::testing::NOW + KEEP_ENDED_MS / 2);
    pass(KEEP_ENDED_MS * 3 / 4).await;
    assert!(outbox.is_untidy());
    outbox.tidy().await.unwrap();
    let left = outbox.list().await.unwrap();
    assert_eq!(left.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(!outbox.is_untidy());
    // The gateway starts anew: what waits nowhere is found all the same, and nothing is sent again.
    let outbox = start(&house).await;
    assert!(outbox.is_untidy());
    outbox.tidy().await.unwrap();
    assert_eq!(outbox.list().await.unwrap().len(), 1);
    outbox.submit(&intent("a")).await.unwrap();
    assert_eq!(outbox.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_does_not_answer_keeps_back_its_own() {
    let house = House::new(false).await;
    let (outbox, place) = (start(&house).await, Place::new(Means::DurableKey, Vec::new()));
    for n in 0..10 {
        outbox.submit(&intent(&format!("dead{n}"))).await.unwrap();
    }
    let dead = outbox.begin().await.unwrap();
    assert_eq!(dead.len(), MAX_BRINGING_TO_ONE);
    for n in 0..MAX_BRINGING {
        let place = format!("there{n}");
        outbox.submit(&Intent { place, ..intent(&format!("alive{n}")) }).await.unwrap();
    }
    let alive = outbox.begin().await.unwrap();
    assert_eq!(alive.len(), MAX_BRINGING - MAX_BRINGING_TO_ONE);
    assert!(outbox.begin().await.unwrap().is_empty());
    // Who is suspended meanwhile sends no part more, and goes on later where it was.
    let (sinks, parts) = (place.sinks(), std::sync::atomic::AtomicUsize::new(0));
    let may_go = || parts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
    assert_eq!(outbox.bring(alive[0], &sinks, &may_go).await.unwrap(), None);
    assert_eq!(place.keys().len(), 1);
    outbox.bring(dead[0], &sinks, &|| false).await.unwrap();
    assert_eq!(place.keys().len(), 1);
    for seq in [&dead[1..], &alive[1..]].concat() {
        outbox.bring(seq, &sinks, &|| true).await.unwrap();
    }
    drive(&outbox, &sinks).await.unwrap();
    assert_eq!(place.keys().len(), 3 * (10 + MAX_BRINGING));
    assert!(place.keys().iter().all(|(_, times)| *times == 1));
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_refused() {
    let house = House::new(false).await;
    let outbox = start(&house).await;
    let refused = async |intent: Intent| {
        let refused = outbox.submit(&intent).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    };
    refused(intent("")).await;
    refused(intent(&"x".repeat(MAX_ID + 1))).await;
    refused(Intent { parts: Vec::new(), ..intent("a") }).await;
    refused(Intent { parts: vec![Bytes::new(); MAX_PARTS + 1], ..intent("a") }).await;
    refused(Intent { parts: vec![vec![0; MAX_CONTENT + 1].into()], ..intent("a") }).await;
    refused(Intent { place: "x".repeat(MAX_PLACE + 1), ..intent("a") }).await;
    for n in 0..MAX_WAITING {
        outbox.submit(&intent(&n.to_string())).await.unwrap();
    }
    let full = outbox.submit(&intent("more")).await;
    assert!(matches!(full, Err(Error::Full { max: MAX_WAITING, .. })), "{full:?}");
}

#[tokio::test(start_paused = true)]
async fn of_one_lane_none_overtakes_another() {
    let house = House::new(false).await;
    let outbox = start(&house).await;
    let of = |id: &str, lane: &str| {
        let (place, lane) = (id.to_owned(), lane.to_owned());
        Intent { place, lane, ..intent(id) }
    };
    for (id, lane) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", ""), ("e", "")] {
        outbox.submit(&of(id, lane)).await.unwrap();
    }
    // The first is to come again much later: what is behind it waits, what is not does not.
    let place = Place::new(Means::DurableKey, vec![Fate::Wait(1_000_000, "slowly".to_owned())]);
    assert_eq!(outbox.begin().await.unwrap(), [1, 3, 4, 5]);
    assert_eq!(outbox.begin().await.unwrap(), [0; 0]);
    outbox.bring(1, &place.sinks(), &|| true).await.unwrap();
    tokio::time::advance(std::time::Duration::from_millis(999_999)).await;
    assert_eq!(outbox.begin().await.unwrap(), [0; 0], "not before it was asked for");
    let outbox = start(&house).await;
    assert_eq!(
        outbox.begin().await.unwrap(),
        [1, 3, 4, 5],
        "a start of the gateway keeps the order"
    );
    for seq in [1, 3] {
        outbox.bring(seq, &place.sinks(), &|| true).await.unwrap();
    }
    assert_eq!(outbox.begin().await.unwrap(), [2]);
}
