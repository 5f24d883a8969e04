//! ngIRCd as the tests start it: people talk, the server's own limits hold, and nothing is kept.

use tests::networks::ircd::{Ircd, MAX_LINE};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk() {
    let server = Ircd::start();
    let (mut ann, mut bob) = (server.person("ann").await, server.person("bob").await);
    ann.join("#garden").await;
    bob.join("#garden").await;
    ann.say("#garden", "hello: is somebody there?").await;
    assert_eq!(
        bob.hears("#garden").await,
        ("ann".to_owned(), "hello: is somebody there?".to_owned())
    );
    bob.say("#garden", "ann: yes").await;
    assert_eq!(ann.hears("#garden").await, ("bob".to_owned(), "ann: yes".to_owned()));
    bob.say("ann", "between us, with ünïcode ☂").await;
    assert_eq!(ann.hears("ann").await, ("bob".to_owned(), "between us, with ünïcode ☂".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_cut_in_silence_with_its_prefix_counted() {
    let server = Ircd::start();
    let (mut ann, mut bob) = (server.person("ann").await, server.person("bob").await);
    let text = "x".repeat(MAX_LINE - "PRIVMSG bob :\r\n".len());
    ann.say("bob", &text).await;
    let line = bob.until("PRIVMSG").await;
    let (from, heard) = (line.from.len(), line.params.last().unwrap().len());
    assert!(heard < text.len(), "{heard}");
    assert_eq!(":  PRIVMSG bob :\r\n".len() - 1 + from + heard, MAX_LINE, "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_had_once_and_what_nobody_heard_is_gone() {
    let mut server = Ircd::start();
    let mut ann = server.person("ann").await;
    let mut bob = server.person("bob").await;
    bob.send("NICK ann").await;
    bob.until("433").await;
    ann.say("bobby", "too early").await;
    ann.until("401").await;
    let mut late = server.person("bobby").await;
    ann.say("bobby", "in time").await;
    assert_eq!(late.hears("bobby").await.1, "in time");
    server.kill();
    server.restart();
    let (mut ann, mut bob) = (server.person("ann").await, server.person("bob").await);
    bob.say("ann", "again").await;
    assert_eq!(ann.hears("ann").await, ("bob".to_owned(), "again".to_owned()));
}
