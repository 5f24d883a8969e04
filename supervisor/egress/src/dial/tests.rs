//! What is connected to is what was checked.

use super::*;
use crate::Class;
use crate::testing::{House, client_config};

const GRANT: Grant = Grant { named: false, own: false };

#[tokio::test]
async fn an_address_of_this_machine_is_not_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialler = |networks| Dialler::new(Resolver::new(None), networks, client_config());
    let refused = dialler(Networks::default()).connect(address, GRANT).await;
    assert!(matches!(refused, Err(Refused::Own)));
    let stream = dialler(Networks::unchecked("127.0.0.0/8")).connect(address, GRANT).await.unwrap();
    // Of both, the first that is accepted is the second: the other was never made.
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
}

#[tokio::test]
async fn one_address_that_is_not_public_spoils_the_name() {
    let check = async |addresses: &'static [&str], expected: Option<Class>| {
        let zone = |_: &str, _| addresses.iter().map(|it| it.parse().unwrap()).collect();
        let house = House::closed(zone).await;
        let host = "a.example".parse().unwrap();
        let dialler = &house.outlet.broker.dialler;
        match (
            dialler.checked(&host, Grant { named: true, own: false }, &house.outlet).await,
            expected,
        ) {
            (Ok(found), None) => assert_eq!(found.len(), addresses.len()),
            (Err(Refused::Address { class }), Some(expected)) => assert_eq!(class, expected),
            (found, expected) => panic!("{addresses:?}: {found:?}, expected {expected:?}"),
        }
    };
    check(&["8.8.8.8", "2606:4700::1"], None).await;
    check(&["127.0.0.1"], Some(Class::Loopback)).await;
    check(&["8.8.8.8", "127.0.0.1"], Some(Class::Loopback)).await;
    check(&["8.8.8.8", "10.0.0.1", "9.9.9.9"], Some(Class::Private)).await;
    check(&["8.8.8.8", "::1"], Some(Class::Loopback)).await;
    check(&["8.8.8.8", "::ffff:169.254.169.254"], Some(Class::Protocol)).await;
    check(&["169.254.169.254"], Some(Class::Metadata)).await;
}

#[tokio::test]
async fn a_name_with_endless_addresses_is_left_alone() {
    let zone = |_: &str, _| (0..=64).map(|it| IpAddr::from([8, 8, 8, it])).collect();
    let house = House::closed(zone).await;
    let host = "a.example".parse().unwrap();
    let checked = house.outlet.broker.dialler.checked(
        &host,
        Grant { named: false, own: false },
        &house.outlet,
    );
    assert!(matches!(checked.await, Err(Refused::Addresses)));
}
