//! Handshakes that would write: as many as changes of settings, and no more than are needed.

use super::*;
use crate::testing::HERE;

/// As many changes as one window lets through.
const WRITES: u32 = settings::WRITES;

#[tokio::test]
async fn devices_are_paired_and_wait_no_faster_than_changes_are_made() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let known = Machine::new();
    let first = world.connect(&known, &operator(&admin.text, &[READ])).await.unwrap();
    let token = first.device_token.unwrap().token;
    for number in 1..WRITES {
        if number % 2 == 0 {
            world.connect(&Machine::new(), &operator(&admin.text, &[READ])).await.unwrap();
        } else {
            let waits = world.connect(&Machine::new(), &operator(&user.text, &[READ])).await;
            assert_eq!(waits.unwrap_err().code, Code::NotPaired);
        }
    }
    let refused = async |token: &str, asked: &[&str], machine: &Machine| {
        let err = world.connect(machine, &operator(token, asked)).await.unwrap_err();
        assert_eq!(err.code, Code::Unavailable, "{err:?}");
        assert!(err.message.starts_with("too many changes"), "{err:?}");
        assert!(err.retry_after_ms.is_some());
    };
    refused(&admin.text, &[READ], &Machine::new()).await;
    refused(&user.text, &[READ], &Machine::new()).await;
    refused(&admin.text, &[WRITE], &known).await;
    // One that is known comes in, whatever it now calls itself; it is written down later.
    let rename = async || {
        let said = operator(token.expose(), &[READ]);
        world.connect_as(&known, &said, "desktop").await.unwrap();
        let row = world.records.device(&world.a, &known.id()).await.unwrap().unwrap();
        row.about.display_name.unwrap()
    };
    assert_eq!(rename().await, "laptop");
    // Ends wait for nobody's pace, and the other tenant has its own.
    let by = world.enter(&admin.text);
    let pending = manager(&world, &by).list().await.unwrap().pending;
    manager(&world, &by).reject(&pending[0].request_id).await.unwrap();
    let other = world.token(&world.b, &[Scope::Admin]).await;
    world.connect(&known, &operator(&other.text, &[READ])).await.unwrap();
    world.clock.advance(settings::WRITES_WINDOW);
    assert_eq!(rename().await, "desktop");
}

#[tokio::test]
async fn a_device_that_never_uses_its_token_is_not_given_one_after_another() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let said = operator(&admin.text, &[READ]);
    let connect = async || world.connect(&machine, &said).await.unwrap().device_token;
    let first = connect().await.unwrap().token;
    let rows = || async { world.records.device_tokens().await.unwrap() };
    let before = rows().await;
    for _ in 0..2 * WRITES {
        assert!(connect().await.is_none());
    }
    assert_eq!(rows().await, before);
    world.clock.advance(settings::WRITES_WINDOW);
    assert!(connect().await.is_some());
    world.auth.authenticate(Some(first.expose()), HERE).unwrap_err();
    assert_eq!(rows().await.len(), 1);
    // Over its pace, it is let in with what it has.
    world.clock.advance(settings::WRITES_WINDOW);
    let now = Clock::now(&*world.clock);
    while world.settings.pace(&world.a, now).is_ok() {}
    assert!(connect().await.is_none());
}
