//! Names and their addresses, from a name server of the tests.

use runtime::Tasks;

use super::*;
use crate::testing::{Names, Zone};

async fn resolver(zone: impl Zone) -> (Resolver, Tasks) {
    let tasks = Tasks::default();
    let names = Names::serve(zone, &tasks).await;
    (Resolver::new(Some(names.address)), tasks)
}

fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|it| it.parse().unwrap()).collect()
}

#[tokio::test]
async fn both_families_are_asked_for() {
    let all = ["8.8.8.8", "9.9.9.9", "2606:4700::1"];
    let (resolver, _tasks) = resolver(move |_, _| addresses(&all)).await;
    assert_eq!(resolver.addresses("a.example", &places()).await.unwrap(), addresses(&all));
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error() {
    let (resolver, _tasks) = resolver(|_, _| Vec::new()).await;
    let err = resolver.addresses("a.example", &places()).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_again_as_a_whole() {
    let many = || (0..60).map(|it| IpAddr::from([8, 8, 8, it])).collect::<Vec<_>>();
    let (resolver, _tasks) = resolver(move |_, _| many()).await;
    assert_eq!(resolver.addresses("a.example", &places()).await.unwrap(), many());
}

#[tokio::test]
async fn nobody_there_is_an_error_and_not_forever() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(Some(socket.local_addr().unwrap()));
    drop(socket);
    resolver.addresses("a.example", &places()).await.unwrap_err();
}

#[tokio::test]
async fn the_systems_resolver_knows_this_machine() {
    let found = Resolver::new(None).addresses("localhost", &places()).await.unwrap();
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_has_its_places_until_it_ends() {
    let (all, own) = (Arc::new(Semaphore::new(1)), places());
    let held = [Arc::clone(&own), Arc::clone(&all)].map(|it| it.try_acquire_owned().unwrap());
    let other = places();
    let resolver = Resolver::System(Arc::clone(&all));
    // Somebody who gave up waiting has taken nothing.
    for own in [&own, &other] {
        let err = resolver.addresses("localhost", own).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::TimedOut);
    }
    assert_eq!(other.available_permits(), 1);
    // Whoever gives up a lookup that is under way leaves its places taken until it ends.
    drop(futures_util::poll!(Box::pin(system("localhost".to_owned(), held))));
    let _both = tokio::join!(own.acquire(), all.acquire());
}

#[test]
fn what_answers_another_question_is_no_answer() {
    let answer = |id: u16, name: &str, kind: TYPE| {
        let query = query(id, name, kind).unwrap();
        Packet::parse(&query).unwrap().into_reply().build_bytes_vec().unwrap()
    };
    let read = |answer: &[u8]| read(answer, 7, "a.example", TYPE::A);
    read(&answer(7, "a.example", TYPE::A)).unwrap();
    read(&answer(7, "A.Example", TYPE::A)).unwrap();
    read(&answer(8, "a.example", TYPE::A)).unwrap_err();
    read(&answer(7, "b.example", TYPE::A)).unwrap_err();
    read(&answer(7, "a.example", TYPE::AAAA)).unwrap_err();
    read(&query(7, "a.example", TYPE::A).unwrap()).unwrap_err();
    read(&[]).unwrap_err();
    read(&[0; 12]).unwrap_err();
}
