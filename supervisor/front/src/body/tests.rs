//! Bodies that are too large, too slow or too many, against the clock and the budget.

use super::*;

const BOUNDS: Bounds = Bounds { bytes: 10, time: Duration::from_secs(5) };

fn body(pieces: &[&'static str]) -> Body {
    let pieces: Vec<_> = pieces.iter().map(|it| Ok::<_, std::io::Error>(*it)).collect();
    Body::from_stream(tokio_stream::iter(pieces))
}

/// A piece of so many bytes, and then nothing more and no end.
fn stalled(bytes: usize) -> Body {
    let first = tokio_stream::once(Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes])));
    Body::from_stream(tokio_stream::StreamExt::chain(first, tokio_stream::pending()))
}

async fn admitted(body: &mut Body, bounds: Bounds, share: &mut Share) -> Result<Bytes, Refusal> {
    read(body, bounds, share, &mut || Ok(())).await
}

#[tokio::test]
async fn what_is_read() {
    let (budget, load) = (Budget::new(100, 50), Arc::<Load>::default());
    let check = async |pieces: &[&'static str], want: Result<&str, u16>| {
        let mut share = budget.share(Arc::clone(&load));
        let read = admitted(&mut body(pieces), BOUNDS, &mut share).await;
        let found = read.map(|bytes| {
            assert_eq!(share.bytes, bytes.len());
            String::from_utf8(bytes.to_vec()).unwrap()
        });
        assert_eq!(found.map_err(|it| it.status.as_u16()), want.map(ToOwned::to_owned));
    };
    check(&[], Ok("")).await;
    check(&["0123456789"], Ok("0123456789")).await;
    check(&["01", "", "234", "56789"], Ok("0123456789")).await;
    check(&["0123456789", "0"], Err(413)).await;
    check(&["01234567890"], Err(413)).await;
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    assert_eq!(load.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn no_tenant_takes_what_the_others_need() {
    let budget = Budget::new(100, 40);
    let tenants: [Arc<Load>; 4] = Default::default();
    let take = |tenant: usize, bytes: usize| {
        let mut share = budget.share(Arc::clone(&tenants[tenant]));
        share.grow(bytes).map(|()| share).map_err(|it| it.status.as_u16())
    };
    let held = take(0, 40).unwrap();
    assert_eq!(take(0, 1).unwrap_err(), 503, "one tenant's part is used up");
    let next = take(1, 30).unwrap();
    assert_eq!(take(2, 16).unwrap_err(), 503, "no more than is left for the others");
    let last = take(2, 15).unwrap();
    take(3, 7).unwrap();
    drop(held);
    take(1, 5).unwrap();
    drop((next, last));
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_reply_counts_until_it_has_left() {
    let (budget, load) = (Budget::new(100, 50), Arc::<Load>::default());
    let used = || (budget.used.load(Ordering::Relaxed), load.bytes.load(Ordering::Relaxed));
    let mut share = budget.share(Arc::clone(&load));
    share.grow(30).unwrap();
    let reply = share.reply(vec![b' '; 40]).unwrap();
    assert_eq!((used(), reply.size_hint().exact()), ((40, 40), Some(40)));
    assert_eq!(reply.collect().await.unwrap().to_bytes().len(), 40);
    assert_eq!(used(), (0, 0));
    let large = budget.share(Arc::clone(&load)).reply(vec![b' '; 51]);
    assert_eq!(large.unwrap_err().status.as_u16(), 503);
    assert_eq!(used(), (0, 0));
}

#[tokio::test]
async fn a_long_body_is_admitted_before_it_is_kept() {
    let budget = Budget::new(4 << 20, 2 << 20);
    let bounds = Bounds { bytes: 1 << 20, ..BOUNDS };
    let check = async |bytes: usize, ok: bool| {
        let text = vec![b' '; bytes];
        let mut share = budget.share(Arc::default());
        let refuse = &mut || Err(Refusal::no_answer());
        let read = read(&mut Body::from(text), bounds, &mut share, refuse).await;
        assert_eq!(read.is_ok(), ok, "{bytes}");
    };
    check(UNADMITTED, true).await;
    check(UNADMITTED + 1, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let budget = Budget::new(4 << 20, 2 << 20);
    let check = async |bytes: usize, want: u64| {
        let bounds = Bounds { bytes: 1 << 20, time: Duration::from_mins(1) };
        let (started, mut share) = (Instant::now(), budget.share(Arc::default()));
        let slow = admitted(&mut stalled(bytes), bounds, &mut share).await.unwrap_err();
        assert_eq!((slow.status.as_u16(), started.elapsed().as_secs()), (408, want), "{bytes}");
    };
    check(0, 60).await;
    check(UNADMITTED, 60).await;
    check(UNADMITTED + 1, PACE.as_secs()).await;
    check(1 << 20, PACE.as_secs()).await;
}

#[test]
fn an_announced_body_is_judged_before_it_is_read() {
    let check = |length: &'static str, want: Option<bool>| {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, length.parse().unwrap())]);
        assert_eq!(announced(&headers, 1 << 20).ok(), want, "{length}");
    };
    check("10", Some(false));
    check("16384", Some(false));
    check("16385", Some(true));
    check("1048576", Some(true));
    check("1048577", None);
    check("18446744073709551615", None);
    assert!(!announced(&HeaderMap::new(), 10).unwrap());
}
