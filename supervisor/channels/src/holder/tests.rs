//! Sockets that end, at every place where they can.

use super::*;
use crate::inbound::NotKept;
use crate::testing::{House, account, answered};

const HELLO: &str = r#"{"op":10,"d":{"heartbeat_interval":40000}}"#;
const READY: &str =
    r#"{"op":0,"s":1,"t":"READY","d":{"session_id":"s1","resume_gateway_url":"wss://r.example"}}"#;

/// Where Discord says that its gateway is.
const LOCATED: &str = r#"{"url":"wss://g.example"}"#;

fn frame(text: &str) -> Heard {
    Heard::Frame(text.as_bytes().to_vec())
}

fn message(number: u32) -> Heard {
    frame(&format!(
        r#"{{"op":0,"s":{number},"t":"MESSAGE_CREATE","d":{{"id":"{number}","channel_id":"5","author":{{"id":"42"}},"content":"hi"}}}}"#
    ))
}

impl House {
    async fn holder(&self, channel: &str) -> (Holder, AccountRow) {
        let mut row = account(Some("a"), channel);
        row.policy.direct = "open".to_owned();
        row.vendor = Some("A1:T1".to_owned());
        let row = self.put(row).await;
        let adapter = crate::adapter(channel).unwrap();
        let holder = Holder::new(adapter, row.clone(), self.inbound(), self.records.clone(), 0);
        (holder, row)
    }

    fn hears(&self, wires: impl IntoIterator<Item = Vec<Heard>>) {
        *self.far.wires.lock().unwrap() = wires.into_iter().collect();
    }

    async fn session(&self, row: &AccountRow) -> Box<dyn Session> {
        let mark = self.records.cursor(row.owner.as_ref(), &row.id).await.unwrap();
        let mark = mark.as_ref().map(|it| it.cursor.as_str());
        crate::adapter(&row.channel).unwrap().session(mark, 0).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_taken_up_where_it_was_kept() {
    let house = House::new().await;
    let (holder, bot) = house.holder("discord").await;
    let full = NotKept::Later("the disk is full".to_owned());
    house.hears([
        vec![frame(HELLO), frame(READY), message(2), Heard::Ended(None)],
        vec![frame(HELLO), message(3), message(4)],
        vec![frame(HELLO), message(3), message(4), Heard::Ended(Some(1006))],
    ]);
    house.answers([answered(502, "<html>"), answered(200, LOCATED)]);
    let mut session = house.session(&bot).await;
    assert_eq!(holder.one(&mut *session).await, After::Again(500));
    assert_eq!(house.told(), ["away: nobody says where the socket is: answered 502"]);
    assert_eq!(holder.one(&mut *session).await, After::Again(500));
    assert_eq!(house.kept(), ["a 2"]);
    let calls = house.calls();
    assert!(calls[2].starts_with("open wss://g.example/"), "{calls:?}");
    assert!(calls[3].contains("\"op\":2") && calls[3].contains("s3cret"), "{calls:?}");
    house.far.not_kept.lock().unwrap().push_back(Some(full));
    assert!(matches!(holder.one(&mut *session).await, After::Again(_)));
    let calls = house.calls();
    assert!(calls[0].starts_with("open wss://r.example/"), "{calls:?}");
    assert!(calls[1].contains("\"seq\":2"), "{calls:?}");
    assert_eq!(calls.last().unwrap(), "end 4000", "the network is to bring it again");
    // The gateway is killed, and a new one takes up the session from what was marked.
    let mut session = house.session(&bot).await;
    holder.one(&mut *session).await;
    assert_eq!(house.kept(), ["a 3", "a 4"]);
    let calls = house.calls();
    assert!(calls[1].contains("\"session_id\":\"s1\"") && calls[1].contains("\"seq\":2"));
    assert_eq!(house.told(), ["away: the disk is full"]);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_is_acknowledged_when_its_event_is_kept() {
    let house = House::new().await;
    let (holder, bot) = house.holder("slack").await;
    let event = |envelope: &str, ts: &str| {
        frame(&format!(
            r#"{{"envelope_id":"{envelope}","type":"events_api","payload":{{"team_id":"T1","api_app_id":"A1","type":"event_callback","event_id":"E{ts}","event":{{"type":"message","channel":"D1","channel_type":"im","user":"U1","text":"hi","ts":"{ts}"}}}}}}"#
        ))
    };
    let url = r#"{"ok":true,"url":"wss://s.example/link"}"#;
    house.answers([answered(200, url), answered(200, url)]);
    let hello = || frame(r#"{"type":"hello"}"#);
    house.hears([
        vec![hello(), event("e1", "1.1"), Heard::Pulse, event("e2", "2.2")],
        vec![hello(), event("e3", "2.2"), frame(r#"{"type":"disconnect"}"#)],
    ]);
    let mut session = house.session(&bot).await;
    // The second cannot be kept.
    let later = NotKept::Later("busy".to_owned());
    *house.far.not_kept.lock().unwrap() = [None, Some(later)].into();
    assert!(matches!(holder.one(&mut *session).await, After::Again(_)));
    let calls = house.calls();
    let said: Vec<_> = calls.iter().filter(|it| it.starts_with("say")).collect();
    assert_eq!(said, [r#"say {"envelope_id":"e1"}"#]);
    holder.one(&mut *session).await;
    assert_eq!(house.kept(), ["a D1:1.1", "a D1:2.2"]);
    assert!(house.calls().contains(&r#"say {"envelope_id":"e3"}"#.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_good_is_shown_once() {
    let house = House::new().await;
    let (holder, bot) = house.holder("discord").await;
    house.answers([answered(200, LOCATED)]);
    house.hears([vec![frame(HELLO), Heard::Ended(Some(4004))]]);
    house.tasks.spawn(holder.run(house.tasks.clone())).await.unwrap();
    let row = house.records.account(bot.owner.as_ref(), &bot.id).await.unwrap().unwrap();
    assert_eq!(row.shut.unwrap().why, "the token is not good");
    assert_eq!(house.told(), ["shut bot: the token is not good"]);
    assert_eq!(house.calls().len(), 3, "asked once, opened once, identified once");
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_said_while_there_is_no_socket_waits() {
    let house = House::new().await;
    let (holder, _) = house.holder("irc").await;
    let (says, mouth) = mpsc::channel(2);
    house.tasks.spawn(holder.saying(mouth).run(house.tasks.clone()));
    for key in ["k1", "k2"] {
        tokio::time::advance(Duration::from_secs(1)).await;
        let (told, tells) = oneshot::channel();
        let frame = b"PRIVMSG ann :hi".to_vec();
        says.send(Said { key: key.to_owned(), frame, told }).await.unwrap();
        assert_eq!(tells.await.unwrap(), Outcome::Wait(2_000), "{key}");
    }
    let calls = house.calls();
    assert!(calls.iter().all(|it| !it.contains("PRIVMSG")), "{calls:?}");
    house.tasks.stop();
}
