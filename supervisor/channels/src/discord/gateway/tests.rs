//! A session from its beginning, over sockets that end, to its end.

use super::*;

const HELLO: &[u8] = br#"{"op":10,"d":{"heartbeat_interval":40000}}"#;
const READY: &[u8] = br#"{"op":0,"s":1,"t":"READY","d":{"session_id":"s1","resume_gateway_url":"wss://resume.example/"}}"#;
const MESSAGE: &[u8] = br#"{"op":0,"s":2,"t":"MESSAGE_CREATE","d":{"id":"7"}}"#;

fn proven(acts: &[Act]) -> serde_json::Value {
    let found = acts.iter().find_map(|act| match act {
        Act::Prove(frame, "/d/token") => Some(serde_json::from_slice(frame).unwrap()),
        Act::Prove(..)
        | Act::Say(_)
        | Act::Keep(..)
        | Act::Mark(_)
        | Act::Told(..)
        | Act::Call(_)
        | Act::End(_) => None,
    });
    found.unwrap_or_else(|| panic!("nothing is proven: {acts:?}"))
}

fn mark(acts: &[Act]) -> String {
    let found = acts.iter().find_map(|act| match act {
        Act::Mark(mark) => Some(mark.clone()),
        Act::Prove(..)
        | Act::Say(_)
        | Act::Keep(..)
        | Act::Call(_)
        | Act::Told(..)
        | Act::End(_) => None,
    });
    found.unwrap_or_else(|| panic!("nothing is marked: {acts:?}"))
}

/// A session that is ready, and what was marked last.
fn ready() -> (Gateway, String) {
    let mut gateway = Gateway::new(None, 0);
    assert!(matches!(gateway.dial(), Dial::Ask(call) if call.path == GATEWAY));
    let acts = gateway.frame(HELLO, 1_000).unwrap();
    let identify = proven(&acts);
    assert_eq!((identify["op"].as_u64(), identify["d"]["token"].as_str()), (Some(2), Some("")));
    assert_eq!(identify["d"]["intents"], 37_376);
    let mark = mark(&gateway.frame(READY, 1_100).unwrap());
    (gateway, mark)
}

#[test]
fn a_crash_takes_up_the_session_after_the_last_event_that_is_kept() {
    let (mut gateway, _) = ready();
    assert_eq!(gateway.frame(MESSAGE, 2_000).unwrap(), [Act::Keep(2, MESSAGE.to_vec())]);
    let kept = mark(&gateway.kept(2));
    // This one came, and was not kept.
    let lost = br#"{"op":0,"s":3,"t":"MESSAGE_CREATE","d":{"id":"8"}}"#;
    gateway.frame(lost, 2_100).unwrap();
    let mut next = Gateway::new(Some(&kept), 0);
    assert_eq!(next.dial(), Dial::At("wss://resume.example/?v=10&encoding=json".to_owned()));
    let resume = proven(&next.frame(HELLO, 9_000).unwrap());
    assert_eq!(resume["op"], 6);
    assert_eq!(
        (resume["d"]["session_id"].as_str(), resume["d"]["seq"].as_u64()),
        (Some("s1"), Some(2))
    );
    // Hearts beat from there as well: what was seen before is not said to be.
    assert_eq!(next.due(9_050), [Act::Say(br#"{"op":1,"d":2}"#.to_vec())]);
    let mut same = gateway;
    same.ended(None, 8_000);
    same.frame(HELLO, 9_000).unwrap();
    assert_eq!(same.due(9_050), [Act::Say(br#"{"op":1,"d":2}"#.to_vec())]);
    assert_eq!(next.frame(lost, 9_100).unwrap(), [Act::Keep(3, lost.to_vec())]);
    let resumed = br#"{"op":0,"s":4,"t":"RESUMED","d":{}}"#;
    assert_eq!(next.frame(resumed, 9_200).unwrap(), []);
}

#[test]
fn a_socket_that_ends_is_taken_up_and_a_session_that_ends_is_begun_anew() {
    for code in [None, Some(1000), Some(1001), Some(1006), Some(4000), Some(4008)] {
        let (mut gateway, _) = ready();
        assert_eq!(gateway.ended(code, 3_000), After::Again(500), "{code:?}");
        assert_eq!(proven(&gateway.frame(HELLO, 4_000).unwrap())["op"], 6, "{code:?}");
    }
    for code in OVER {
        let (mut gateway, _) = ready();
        assert_eq!(gateway.ended(Some(code), 3_000), After::Again(500), "{code:?}");
        assert_eq!(proven(&gateway.frame(HELLO, 4_000).unwrap())["op"], 2, "{code:?}");
    }
    for (code, why) in NEVER {
        let (mut gateway, _) = ready();
        assert_eq!(gateway.ended(Some(code), 3_000), After::Never(why.to_owned()));
    }
    let (mut gateway, _) = ready();
    assert_eq!(gateway.frame(br#"{"op":7,"d":null}"#, 3_000).unwrap(), [Act::End(4000)]);
    let acts = gateway.frame(br#"{"op":9,"d":true}"#, 3_000).unwrap();
    assert!(mark(&acts).contains("\"s1\""), "it goes on");
    let acts = gateway.frame(br#"{"op":9,"d":false}"#, 3_000).unwrap();
    assert!(!mark(&acts).contains("\"s1\""), "it is over");
    assert_eq!(acts.last(), Some(&Act::End(4000)));
    // Discord wants whoever was told so to wait, each as long as chance has it.
    assert_eq!(gateway.ended(Some(4000), 3_000), After::Again(1_000));
    let (mut gateway, _) = ready();
    gateway.chance = u16::MAX;
    gateway.frame(br#"{"op":9,"d":false}"#, 3_000).unwrap();
    assert_eq!(gateway.ended(Some(4000), 3_000), After::Again(5_000));
}

#[test]
fn where_it_is_says_discord() {
    let mut gateway = Gateway::new(None, 0);
    let mut check = |status, body: &str, want| {
        let answer = Answer { status, retry_after: None, body: body.as_bytes() };
        assert_eq!(gateway.located(answer), want, "{body}");
    };
    let told = |left: u32| {
        format!(
            r#"{{"url":"wss://gateway.discord.gg","shards":1,"session_start_limit":{{"total":1000,"remaining":{left},"reset_after":60000,"max_concurrency":1}}}}"#
        )
    };
    check(200, &told(999), Ok("wss://gateway.discord.gg/?v=10&encoding=json".to_owned()));
    check(200, &told(0), Err(After::Again(60_000)));
    check(200, r#"{"url":"file:///etc"}"#, Err(After::Again(2_000)));
    check(502, "<html>", Err(After::Again(5_000)));
    let wait = r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#;
    check(429, wait, Err(After::Again(64_570)));
    let refused = Err(After::Never("401: Unauthorized".to_owned()));
    check(401, r#"{"message":"401: Unauthorized","code":0}"#, refused);
    // Whoever takes up a session begins none.
    let (_, mark) = ready();
    let mut gateway = Gateway::new(Some(&mark), 0);
    let body = told(0);
    let answer = Answer { status: 200, retry_after: None, body: body.as_bytes() };
    gateway.located(answer).unwrap();
}

#[test]
fn what_is_of_no_concern_moves_the_place_from_where_one_goes_on() {
    let (mut gateway, _) = ready();
    let deleted = br#"{"op":0,"s":9,"t":"MESSAGE_DELETE","d":{"id":"7"}}"#;
    assert_eq!(gateway.frame(deleted, 2_000).unwrap(), []);
    gateway.ended(None, 3_000);
    assert_eq!(proven(&gateway.frame(HELLO, 4_000).unwrap())["d"]["seq"], 9);
}

#[test]
fn hearts_beat_and_one_that_is_not_answered_is_the_last() {
    let (mut gateway, _) = ready();
    // A chance of nothing: at once.
    assert_eq!(gateway.wakes(), Some(1_000));
    assert_eq!(gateway.due(1_200), [Act::Say(br#"{"op":1,"d":1}"#.to_vec())]);
    assert_eq!(gateway.wakes(), Some(41_200));
    assert_eq!(gateway.due(41_199), []);
    gateway.frame(br#"{"op":11}"#, 1_300).unwrap();
    gateway.frame(MESSAGE, 1_400).unwrap();
    assert_eq!(gateway.due(41_200), [Act::Say(br#"{"op":1,"d":2}"#.to_vec())]);
    // It is asked for one in between.
    assert_eq!(gateway.frame(br#"{"op":1,"d":null}"#, 50_000).unwrap().len(), 1);
    assert_eq!(gateway.due(90_000), [Act::End(4000)]);
    assert_eq!(gateway.wakes(), None);
    let mut late = Gateway::new(None, u16::MAX);
    late.frame(HELLO, 1_000).unwrap();
    assert_eq!(late.wakes(), Some(41_000));
}

#[test]
fn nobody_identifies_so_often_that_it_costs_the_token() {
    let mut mark_now = None;
    let mut identified = 0;
    let mut now = 1_000;
    // A gateway that is started anew each time, and never gets as far as being ready.
    for _ in 0..2_000 {
        let mut gateway = Gateway::new(mark_now.as_deref(), 0);
        let acts = gateway.frame(HELLO, now).unwrap();
        if acts.iter().any(|it| matches!(it, Act::Prove(..))) {
            identified += 1;
            assert!(matches!(acts[0], Act::Mark(_)), "counted first");
            mark_now = Some(mark(&acts));
        } else {
            let After::Again(wait) = gateway.ended(Some(4000), now) else { panic!("never") };
            assert!(wait > DAY_MS / 2, "{wait}");
        }
        now += 1_000;
    }
    assert_eq!(identified, MAX_IDENTIFIED);
    let mut tomorrow = Gateway::new(mark_now.as_deref(), 0);
    proven(&tomorrow.frame(HELLO, now + DAY_MS).unwrap());
}

#[test]
fn what_is_no_frame_ends_the_socket_and_a_mark_that_is_none_begins_anew() {
    let (mut gateway, _) = ready();
    for frame in
        ["", "{}", "{\"op\":0}", "{\"op\":300}", "{\"op\":0,\"s\":1,\"t\":\"READY\",\"d\":{}}"]
    {
        gateway.frame(frame.as_bytes(), 5).unwrap_err();
    }
    assert_eq!(gateway.frame(b"{\"op\":99}", 5).unwrap(), []);
    for mark in ["", "null", "{\"session\":7}", "x"] {
        let mut gateway = Gateway::new(Some(mark), 0);
        assert_eq!(proven(&gateway.frame(HELLO, 5).unwrap())["op"], 2, "{mark}");
    }
    // An address that leads nowhere is given up.
    let (_, mark) = ready();
    let mut gateway = Gateway::new(Some(&mark), 0);
    for _ in 0..4 {
        gateway.ended(None, 5);
    }
    assert!(matches!(gateway.dial(), Dial::Ask(_)));
}

#[test]
fn a_command_is_kept_as_if_it_had_been_posted_and_answered_after_that() {
    let (mut gateway, _) = ready();
    let command = r#"{"application_id":"9","id":"7","token":"a/b","type":2}"#;
    let frame = format!(r#"{{"op":0,"s":2,"t":"INTERACTION_CREATE","d":{command}}}"#);
    let acts = gateway.frame(frame.as_bytes(), 2_000).unwrap();
    let [Act::Keep(2, kept), Act::Call(call)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(String::from_utf8_lossy(kept), command);
    assert_eq!(call.path, "/api/v10/interactions/7/a%2fb/callback");
    assert_eq!(call.proof, Proof::Nothing);
    // A button, and what names nothing.
    for other in [r#"{"id":"7","token":"t","type":3}"#, r#"{"type":2}"#, "null"] {
        let frame = format!(r#"{{"op":0,"s":3,"t":"INTERACTION_CREATE","d":{other}}}"#);
        assert_eq!(gateway.frame(frame.as_bytes(), 2_000).unwrap(), [], "{other}");
    }
}
