//! The queue over tenants that the test plays: who is let in, in which order, and who is refused.

use super::*;

fn starts(at_once: usize, awake: usize) -> Starts {
    Starts::new(Bounds { at_once, awake, patience: Duration::from_mins(1) })
}

/// A tenant that waits, for a person or for a timer.
struct Tenant {
    wanted: Arc<Wanted>,
    _person: Option<Person>,
}

impl Tenant {
    fn new(by_person: bool) -> Self {
        let wanted = Arc::<Wanted>::default();
        let person = by_person.then(|| wanted.by_person());
        Self { wanted, _person: person }
    }
}

type Waiting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(Place, Seat), Error>> + 'a>>;

/// Enters, and says whether it was let in at once.
async fn enter<'a>(starts: &'a Starts, tenant: &'a Tenant) -> (Waiting<'a>, Option<(Place, Seat)>) {
    let mut waiting: Waiting<'a> = Box::pin(starts.enter(&tenant.wanted));
    let now = futures_util::poll!(&mut waiting);
    let given = match now {
        std::task::Poll::Ready(given) => Some(given.unwrap()),
        std::task::Poll::Pending => None,
    };
    (waiting, given)
}

#[tokio::test]
async fn few_start_at_once_and_the_others_come_in_their_order() {
    let starts = starts(1, 100);
    let tenants: Vec<_> = (0..4).map(|_| Tenant::new(true)).collect();
    let (_, first) = enter(&starts, &tenants[0]).await;
    let mut given = first.unwrap();
    let mut waiting = Vec::new();
    for tenant in &tenants[1..] {
        let (wait, now) = enter(&starts, tenant).await;
        assert!(now.is_none());
        waiting.push(wait);
    }
    // The first one crashes again and again: each time it comes after those that wait.
    let (mut again, now) = enter(&starts, &tenants[0]).await;
    assert!(now.is_none());
    for wait in waiting {
        drop(given);
        assert!(futures_util::poll!(&mut again).is_pending());
        given = wait.await.unwrap();
    }
    drop(given);
    again.await.unwrap();
    assert_eq!(starts.counts(), (0, 0));
}

#[tokio::test]
async fn people_come_before_timers_but_not_always() {
    let starts = starts(1, 100);
    let busy = Tenant::new(true);
    let mut given = enter(&starts, &busy).await.1.unwrap();
    let timers: Vec<_> = (0..3).map(|_| Tenant::new(false)).collect();
    let people: Vec<_> = (0..6).map(|_| Tenant::new(true)).collect();
    let mut waiting = Vec::new();
    for (name, tenant) in timers.iter().map(|it| ('t', it)).chain(people.iter().map(|it| ('p', it)))
    {
        waiting.push((name, Some(enter(&starts, tenant).await.0)));
    }
    let mut order = String::new();
    for _ in 0..waiting.len() {
        drop(given);
        let mut let_in = None;
        for (name, wait) in waiting.iter_mut().filter(|(_, wait)| wait.is_some()) {
            if let std::task::Poll::Ready(given) = futures_util::poll!(wait.as_mut().unwrap()) {
                (order, *wait) = (format!("{order}{name}"), None);
                let_in = Some(given.unwrap());
            }
        }
        given = let_in.unwrap();
    }
    assert_eq!(order, "pptppptpt");
}

#[tokio::test]
async fn where_there_is_no_room_one_waits_until_somebody_gives_way() {
    let starts = starts(4, 1);
    let (one, two) = (Tenant::new(true), Tenant::new(true));
    let (place, seat) = enter(&starts, &one).await.1.unwrap();
    drop(place);
    let (wait, now) = enter(&starts, &two).await;
    assert!(now.is_none());
    starts.short().await;
    assert_eq!((starts.held_up(), starts.has_room()), (1, false));
    drop(seat);
    drop(wait.await.unwrap());
    starts.set_room(Some(1));
    let (_, held) = enter(&starts, &one).await;
    assert!(held.is_some() && !starts.has_room());
    assert!(enter(&starts, &two).await.1.is_none());
    starts.set_room(None);
    drop(held);
    assert!(starts.has_room());
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_refused_and_who_is_called_off_goes() {
    let starts = starts(1, 100);
    let (one, two) = (Tenant::new(true), Tenant::new(true));
    let (_, given) = enter(&starts, &one).await;
    assert!(matches!(starts.enter(&two.wanted).await, Err(Error::Full)));
    let (wait, _) = enter(&starts, &two).await;
    two.wanted.call_off();
    assert!(matches!(wait.await, Err(Error::Suspended)));
    drop(given);
    // Nobody who has given up keeps a place.
    assert!(enter(&starts, &one).await.1.is_some());
    assert_eq!(starts.counts(), (0, 0));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let starts = starts(1, 100);
    let one = Tenant::new(true);
    let _given = enter(&starts, &one).await;
    let mut waiting = Vec::new();
    for _ in 0..MAX_WAITING {
        waiting.push(enter(&starts, &one).await.0);
    }
    assert!(matches!(starts.enter(&one.wanted).await, Err(Error::Full)));
}
