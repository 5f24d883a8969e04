//! The cursor never passes an event that is not kept, whatever happens in between.

use types::Clock as _;

use super::*;
use crate::inbound::NotKept;
use crate::testing::{House, NOW, account, answered, update};

async fn telegram() -> (House, AccountRow) {
    let house = House::new().await;
    let mut row = account(Some("a"), "telegram");
    row.policy.direct = "open".to_owned();
    let row = house.put(row).await;
    (house, row)
}

impl House {
    fn poller(&self, row: &AccountRow) -> Poller {
        let adapter = crate::adapter(&row.channel).unwrap();
        Poller::new(adapter, row.clone(), self.inbound(), self.records.clone(), 0)
    }

    async fn cursor(&self, row: &AccountRow) -> Option<String> {
        let cursor = self.records.cursor(row.owner.as_ref(), &row.id).await.unwrap();
        cursor.map(|it| it.cursor)
    }
}

fn updates(numbers: &[u32]) -> Called {
    let all: Vec<_> = numbers.iter().map(|it| update(*it, 42, "hi")).collect();
    answered(200, &format!(r#"{{"ok":true,"result":[{}]}}"#, all.join(",")))
}

fn offset(call: &str) -> Option<&str> {
    call.split("\"offset\":").nth(1)?.split(',').next()
}

#[tokio::test(start_paused = true)]
async fn a_question_asks_for_what_comes_after_what_is_kept() {
    let (house, bot) = telegram().await;
    let mut poller = house.poller(&bot);
    house.answers([updates(&[7, 8]), updates(&[]), updates(&[9, 3])]);
    for _ in 0..3 {
        assert_eq!(poller.step(&house.tasks).await, Step::After(0));
    }
    assert_eq!(house.kept(), ["a u7", "a u8", "a u9", "a u3"], "numbers may begin anew");
    let calls = house.calls();
    let offsets: Vec<_> = calls.iter().map(|it| offset(it)).collect();
    assert_eq!(offsets, [None, Some("9"), Some("9")]);
    // A start of the gateway asks from there.
    let mut poller = house.poller(&bot);
    house.answers([updates(&[])]);
    poller.step(&house.tasks).await;
    assert_eq!(offset(&house.calls()[0]), Some("4"));
    // What is older than anything that Telegram keeps asks from nowhere.
    house.clock.advance(24 * 3_600_000 + 1);
    house.answers([updates(&[])]);
    poller.step(&house.tasks).await;
    assert_eq!(offset(&house.calls()[0]), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_asked_for_again_and_what_is_kept_is_not_kept_twice() {
    let (house, bot) = telegram().await;
    let mut poller = house.poller(&bot);
    house.answers([updates(&[1])]);
    poller.step(&house.tasks).await;
    let full = || NotKept::Later("the disk is full".to_owned());
    *house.far.not_kept.lock().unwrap() = [Some(full())].into();
    house.answers([updates(&[2, 3]), updates(&[2, 3])]);
    assert_eq!(poller.step(&house.tasks).await, Step::After(500));
    assert_eq!(
        (house.cursor(&bot).await.as_deref(), house.told()),
        (Some("2"), vec!["away: the disk is full".to_owned()])
    );
    // The gateway is killed and comes back.
    let mut poller = house.poller(&bot);
    assert_eq!(poller.step(&house.tasks).await, Step::After(0));
    assert_eq!(house.kept(), ["a u1", "a u2", "a u3"]);
    assert_eq!(offset(&house.calls()[2]), Some("2"));
    // The cursor could not be written: the same comes again, and is known.
    house.answers([updates(&[3, 4]), updates(&[3, 4])]);
    poller.step(&house.tasks).await;
    house.poller(&bot).step(&house.tasks).await;
    assert_eq!(house.kept(), ["a u3", "a u4"]);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_does_not_answer_is_asked_less_and_one_that_shuts_no_more() {
    let (house, bot) = telegram().await;
    let mut poller = house.poller(&bot);
    let conflict = r#"{"ok":false,"error_code":409,"description":"Conflict: another asks"}"#;
    house.answers([
        Called::Unsent("no connection".to_owned()),
        answered(502, "<html>"),
        answered(409, conflict),
        answered(200, "<html>"),
        answered(429, r#"{"ok":false,"parameters":{"retry_after":7}}"#),
        updates(&[]),
        Called::Unknown("cut".to_owned()),
    ]);
    for wait in [500, 2_000, 5_000, 15_000, 7_000, 0, 500] {
        assert_eq!(poller.step(&house.tasks).await, Step::After(wait));
    }
    let told = house.told();
    assert_eq!(
        told[..3],
        ["away: no connection", "away: answered 502", "away: Conflict: another asks"]
    );
    house.answers([answered(401, r#"{"ok":false,"description":"Unauthorized"}"#)]);
    // As a task, which ends by itself.
    house.tasks.spawn(poller.run(house.tasks.clone())).await.unwrap();
    let row = house.records.account(bot.owner.as_ref(), &bot.id).await.unwrap().unwrap();
    assert_eq!(row.shut.unwrap().why, "Unauthorized");
    assert_eq!(house.clock.now(), NOW);
}

/// Somebody's message in a room.
fn said(id: &str) -> String {
    format!(
        r#"{{"type":"m.room.message","event_id":"{id}","sender":"@ann:x","content":{{"body":"hi"}}}}"#
    )
}

/// What came in `!r:x`: one message, `more` of the room, and an invitation where `room` has one.
fn sync(next: &str, id: &str, more: &str, invited: &str) -> Called {
    let timeline = format!(r#"{{"events":[{}]{more}}}"#, said(id));
    let rooms = format!(r#"{{"join":{{"!r:x":{{"timeline":{timeline}}}}}{invited}}}"#);
    answered(200, &format!(r#"{{"next_batch":"{next}","rooms":{rooms}}}"#))
}

const TWO: &str = r#"{"joined":{"@ann:x":{},"@bot:x":{}}}"#;

const LEFT_OUT: &str = r#","limited":true,"prev_batch":"p""#;

async fn matrix() -> (House, AccountRow) {
    let house = House::new().await;
    let mut row = account(Some("a"), "matrix");
    row.policy.direct = "open".to_owned();
    let row = house.put(row).await;
    (house, row)
}

#[tokio::test(start_paused = true)]
async fn how_many_are_in_a_room_is_asked_once_where_nobody_says_it() {
    let (house, bot) = matrix().await;
    let mut poller = house.poller(&bot);
    let invited = r#","invite":{"!i:x":{}}"#;
    house.answers([
        sync("s1", "$1", "", invited),
        answered(200, TWO),
        answered(200, "{}"),
        sync("s2", "$2", "", invited),
        answered(200, "{}"),
    ]);
    poller.step(&house.tasks).await;
    poller.step(&house.tasks).await;
    assert_eq!(house.kept(), ["a $1", "a $2"], "of two: a conversation with one person");
    let calls = house.calls();
    assert!(calls[1].contains("/rooms/%21r%3ax/joined_members"), "{calls:?}");
    assert!(calls[2].contains("/join/%21i%3ax"), "{calls:?}");
    assert_eq!(calls.len(), 5, "asked once: {calls:?}");
    // A third has come in: now one has to be named.
    let three = r#"{"next_batch":"s3","rooms":{"join":{"!r:x":{"summary":{"m.joined_member_count":3},"timeline":{"events":["#;
    house.answers([answered(200, &format!("{three}{}]}}}}}}}}}}", said("$3")))]);
    poller.step(&house.tasks).await;
    assert_eq!(house.kept(), [""; 0]);
    assert_eq!(house.cursor(&bot).await.as_deref(), Some("s3"));
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_of_a_room_is_kept_before_what_came_of_it() {
    let (house, bot) = matrix().await;
    let mut poller = house.poller(&bot);
    house.answers([sync("s1", "$1", "", ""), answered(200, TWO)]);
    poller.step(&house.tasks).await;
    assert_eq!(house.kept(), ["a $1"]);
    house.calls();
    let page = |ids: &[&str], end: &str| {
        let all: Vec<_> = ids.iter().map(|id| said(id)).collect();
        answered(200, &format!(r#"{{"chunk":[{}]{end}}}"#, all.join(",")))
    };
    // The second page does not come: all is asked for again, and what is kept is known.
    let first = || page(&["$2", "$3"], r#","end":"e1""#);
    let last = || page(&["$4"], "");
    let all = || sync("s2", "$5", LEFT_OUT, "");
    house.answers([all(), first(), answered(502, ""), all(), first(), last()]);
    assert_eq!(poller.step(&house.tasks).await, Step::After(500));
    assert_eq!(house.cursor(&bot).await.as_deref(), Some("s1"));
    assert_eq!(poller.step(&house.tasks).await, Step::After(0));
    assert_eq!(house.kept(), ["a $2", "a $3", "a $4", "a $5"]);
    assert_eq!(house.cursor(&bot).await.as_deref(), Some("s2"));
    let calls = house.calls();
    let asked = "/rooms/%21r%3ax/messages?dir=f&from=s1&to=p&limit=20&";
    assert!(calls[1].contains(asked), "{calls:?}");
    assert!(calls[5].contains("/messages?dir=f&from=e1&to=p&"), "{calls:?}");
    assert_eq!(house.told(), ["away: nobody says what was left out of !r:x"]);
    // A room that is not ours any more.
    house.answers([sync("s3", "$6", LEFT_OUT, ""), answered(403, "{}")]);
    assert_eq!(poller.step(&house.tasks).await, Step::After(0));
    assert_eq!(house.kept(), ["a $6"]);
    assert_eq!(house.told(), ["lost: !r:x went on while we were away"]);
}

#[tokio::test(start_paused = true)]
async fn where_answers_are_too_large_one_asks_for_little() {
    let (house, bot) = matrix().await;
    let mut poller = house.poller(&bot);
    house.answers([sync("s1", "$1", "", ""), answered(200, TWO)]);
    poller.step(&house.tasks).await;
    let large = || Called::Unknown("it is too large".to_owned());
    house.answers([large(), large(), sync("s2", "$2", "", ""), sync("s3", "$3", "", "")]);
    for _ in 0..4 {
        poller.step(&house.tasks).await;
    }
    let calls = house.calls();
    let limits: Vec<_> = calls[2..].iter().map(|it| it.contains("limit%22%3a1%7d")).collect();
    assert_eq!(limits, [false, false, true, false], "{calls:?}");
}
