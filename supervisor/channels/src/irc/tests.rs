//! One connection as its server sees it: who comes in, what is an event, what is there and what is not.

use super::*;

fn lines(acts: Vec<Act>) -> Vec<String> {
    let line = |act| match act {
        Act::Say(line) => String::from_utf8(line).unwrap(),
        Act::Prove(line, "") => format!("{}*", String::from_utf8(line).unwrap()),
        Act::Keep(number, event) => format!("keep {number} {}", String::from_utf8(event).unwrap()),
        Act::Told(key, outcome) => format!("{key} {outcome:?}"),
        other @ (Act::Prove(..) | Act::Mark(_) | Act::Call(_) | Act::End(_)) => {
            format!("{other:?}")
        }
    };
    acts.into_iter().map(line).collect()
}

fn connection() -> Connection {
    let mut account = crate::testing::account(Some("a"), "irc");
    (account.name, account.policy.rooms) = ("helper".to_owned(), vec!["#garden".to_owned()]);
    let mut connection = Connection::default();
    connection.of(&account);
    connection
}

fn hears(connection: &mut Connection, text: &str) -> Vec<String> {
    lines(connection.frame(text.as_bytes(), 7).unwrap())
}

fn inside() -> Connection {
    let mut connection = connection();
    connection.opened(5);
    let joined = hears(&mut connection, ":irc.test 001 Helper :Welcome\r\n");
    assert_eq!(joined, ["JOIN #garden"]);
    connection
}

#[test]
fn one_comes_in_and_answers_whether_one_is_there() {
    let mut connection = connection();
    assert_eq!(lines(connection.opened(5)), ["PASS *", "NICK helper", "USER helper 0 * :helper"]);
    assert_eq!(hears(&mut connection, "PING :x y"), ["PONG :x y"]);
    assert!(hears(&mut connection, ":ann!a@h PRIVMSG helper :too early").is_empty());
    assert_eq!(hears(&mut connection, ":irc.test 433 * helper :taken"), ["End(1000)"]);
    assert_eq!(connection.ended(None, 8), After::Again(500));
    hears(&mut connection, ":irc.test 464 * :Bad password");
    assert_eq!(connection.ended(None, 8), After::Never("Bad password".to_owned()));
}

#[test]
fn what_is_said_is_an_event() {
    let mut connection = inside();
    let said = |text: &str, connection: &mut Connection| {
        let kept = hears(connection, text).remove(0);
        let event = kept.split_once('{').unwrap().1;
        serde_json::from_str::<serde_json::Value>(&format!("{{{event}")).unwrap()
    };
    let event = said(":ann!a@h PRIVMSG Helper :hi :)\r\n", &mut connection);
    assert_eq!((&event["id"], &event["from"]), (&"7-1".into(), &"ann".into()));
    assert_eq!((&event["text"], &event["addressed"]), (&"hi :)".into(), &true.into()));
    for (text, want) in
        [("helper: x", true), ("HELPER, x", true), ("helpers: x", false), ("x", false)]
    {
        let line = format!("@time=1 :ann!a@h PRIVMSG #garden :{text}");
        assert_eq!(said(&line, &mut connection)["addressed"], want, "{text}");
    }
    assert!(hears(&mut connection, ":ann PRIVMSG").is_empty());
    assert!(hears(&mut connection, "").is_empty());
}

#[test]
fn a_message_is_there_when_the_ping_behind_it_is_answered() {
    let mut connection = connection();
    let early = lines(connection.say("k", b"PRIVMSG ann :x"));
    assert_eq!(early, ["k Wait(1000)"], "nobody is connected");
    let mut connection = inside();
    assert_eq!(
        lines(connection.say("k1", b"PRIVMSG ann :x\nPRIVMSG ann :y")),
        ["PRIVMSG ann :x", "PRIVMSG ann :y", "PING :k1"]
    );
    connection.say("k2", b"PRIVMSG nobody :x");
    assert!(hears(&mut connection, ":irc.test PONG irc.test :other").is_empty());
    assert_eq!(hears(&mut connection, ":irc.test PONG irc.test :k1"), ["k1 Sent(None)"]);
    hears(&mut connection, ":irc.test 401 helper nobody :No such nick");
    assert_eq!(
        hears(&mut connection, ":irc.test PONG irc.test :k2"),
        ["k2 Refused(\"No such nick\")"]
    );
    for n in 0..MAX_WAITING {
        connection.say(&n.to_string(), b"PRIVMSG ann :x");
    }
    assert_eq!(lines(connection.say("more", b"PRIVMSG ann :x")), ["more Wait(1000)"]);
}

#[test]
fn a_connection_that_says_nothing_is_given_up() {
    let mut connection = inside();
    assert_eq!(connection.wakes(), Some(5 + ASK_MS));
    assert_eq!(lines(connection.due(5 + ASK_MS)), ["PING :still-there"]);
    assert_eq!(lines(connection.due(7 + SILENCE_MS)), ["End(1000)"]);
}
