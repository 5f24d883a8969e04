//! The suite that every adapter passes: its samples, and what it makes of what is none of its network's.
//! A new adapter is in it by its row and the file of its network's samples.

mod files;
mod samples;
mod sent;

use delivery::outbox::Seen;
use networks::{Part, Us, What};
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use samples::{CallOf, DoneOf, FactsOf, KEY, NOW, Samples, US};

fn each(mut check: impl FnMut(&'static dyn Adapter, &Samples, Us<'_>)) {
    for adapter in ALL.iter().copied() {
        let samples = Samples::of(adapter.network().is.name);
        let (id, name) = (samples.us.id.clone(), samples.us.name.clone());
        check(adapter, &samples, Us { id: &id, name: name.as_deref() });
    }
}

fn letter<'a>(place: &'a Place, part: &'a Part, over: Option<&'a str>, first: bool) -> Letter<'a> {
    Letter { place, us: US, part, key: KEY, over, is_first: first, now: NOW, since: NOW }
}

#[test]
fn there_is_an_adapter_for_every_network() {
    let ours: Vec<_> = ALL.iter().map(|it| it.network().is.name).collect();
    let theirs: Vec<_> = networks::ALL.iter().map(|it| it.is.name).collect();
    assert_eq!(ours, theirs);
    each(|adapter, _, _| {
        let is = adapter.network().is;
        let by_webhook = is.ways.contains(&networks::Way::Webhook);
        assert_eq!(by_webhook, !adapter.recipes().is_empty(), "{}", is.name);
        let by_poll = is.ways.contains(&networks::Way::Poll);
        assert_eq!(by_poll, adapter.poll().is_some(), "{}", is.name);
        let by_socket = is.ways.contains(&networks::Way::Socket);
        assert_eq!(by_socket, adapter.session(None, 0).is_some(), "{}", is.name);
    });
}

#[test]
fn a_probe_says_who_one_is() {
    let check = |network: &str, status: u16, body: &str, want: Option<(Option<&str>, &str)>| {
        let adapter = adapter(network).unwrap();
        assert!(adapter.probe().is_some(), "{network}");
        let named = adapter.probed(Answer { status, retry_after: None, body: body.as_bytes() });
        let named = named.map(|it| (it.account, it.id));
        assert_eq!(named, want.map(|(a, id)| (a.map(str::to_owned), id.to_owned())), "{body}");
    };
    let me = r#"{"ok":true,"result":{"id":7,"is_bot":true,"username":"b"}}"#;
    check("telegram", 200, me, Some((Some("7"), "7")));
    check("telegram", 401, r#"{"ok":false,"description":"Unauthorized"}"#, None);
    check("slack", 200, r#"{"ok":true,"user_id":"U1","team_id":"T1"}"#, Some((None, "U1")));
    check("slack", 200, r#"{"ok":false,"error":"invalid_auth"}"#, None);
    check("discord", 200, r#"{"id":"9","username":"b"}"#, Some((Some("9"), "9")));
    check("discord", 401, r#"{"message":"401: Unauthorized"}"#, None);
    check("matrix", 200, r#"{"user_id":"@b:x"}"#, Some((Some("@b:x"), "@b:x")));
    check("matrix", 401, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, None);
    let telegram = adapter("telegram").unwrap();
    let secret = types::Secret::from("s".to_owned());
    let call = telegram.arrive(Some(("https://a.example/in", &secret))).unwrap();
    assert_eq!(call.path, "/setWebhook");
    assert!(String::from_utf8(call.body).unwrap().contains(r#""secret_token":"s""#));
    assert_eq!(telegram.arrive(None).unwrap().path, "/deleteWebhook");
}

#[test]
fn an_event_says_what_must_be_known_of_it() {
    each(|adapter, samples, us| {
        for case in &samples.cases {
            let what = format!("{}: {}", adapter.network().is.name, case.name);
            let facts = adapter.facts(&case.event(), us);
            let facts = facts.unwrap_or_else(|err| panic!("{what}: {err}"));
            assert_eq!(FactsOf::from(&facts), case.facts, "{what}");
            // The same again: what is kept is looked at once more when its turn comes.
            assert_eq!(adapter.facts(&case.event(), us).unwrap(), facts, "{what}");
            let Some(done) = facts.done else { continue };
            assert!(!done.place.room.is_empty(), "{what}");
            assert!(done.opening.len() <= MAX_OPENING, "{what}");
            assert!(case.says.is_some(), "{what}: a worker would have nothing to read");
        }
    });
}

#[test]
fn whoever_is_not_named_is_not_addressed() {
    each(|adapter, samples, _| {
        for case in &samples.cases {
            let facts = adapter.facts(&case.event(), Us { id: "nobody", name: Some("nobody") });
            let Some(done) = facts.unwrap().done else { continue };
            let DoneOf { room, addressed } = DoneOf::from(&done);
            let says_so = ["app_mention", "\"addressed\"", "command"];
            let event = String::from_utf8(case.event()).unwrap();
            let by_form =
                says_so.iter().any(|it| event.contains(it)) || event.contains("\"type\":2");
            let is_direct = room.kind == "direct";
            assert!(!addressed || is_direct || by_form, "{}", case.name);
        }
    });
}

#[test]
fn what_is_no_event_is_refused_and_nothing_falls_over() {
    let mut refused = 0;
    each(|adapter, samples, us| {
        for case in &samples.cases {
            let event = case.event();
            for at in 0..event.len() {
                refused += usize::from(adapter.facts(&event[..at], us).is_err());
                for other in [b'"', b'{', b'}', b'[', b'0', b'\\', 0xff] {
                    let mut event = event.clone();
                    event[at] = other;
                    let facts = adapter.facts(&event, us);
                    refused += usize::from(facts.is_err());
                    let request = Request { headers: &http::HeaderMap::new(), body: &event };
                    refused += usize::from(adapter.receive(request).is_err());
                }
            }
        }
        let deep = format!("{{\"event\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
        adapter.facts(deep.as_bytes(), us).unwrap_err();
    });
    assert!(refused > 10_000, "{refused}");
}

#[test]
fn names_have_a_bound() {
    each(|adapter, samples, us| {
        let case = samples.cases.iter().find(|it| it.facts.sender.is_some()).unwrap();
        let sender = case.facts.sender.clone().unwrap();
        let event = String::from_utf8(case.event()).unwrap();
        for long in [String::new(), "9".repeat(MAX_NAME + 1)] {
            let event = event.replace(&format!("\"{sender}\""), &format!("\"{long}\""));
            let spoilt = adapter.facts(event.as_bytes(), us);
            // Telegram's ids are numbers: there is nothing to replace.
            let is_number = adapter.network().is.name == "telegram";
            assert!(is_number || spoilt.is_err(), "{}", adapter.network().is.name);
        }
    });
}

#[test]
fn a_request_is_taken_apart() {
    each(|adapter, samples, _| {
        for request in &samples.requests {
            let what = format!("{}: {}", adapter.network().is.name, request.name);
            let body = serde_json::to_vec(&request.body).unwrap();
            let headers = request.headers();
            let received = adapter.receive(Request { headers: &headers, body: &body });
            if request.bad {
                assert!(received.is_err(), "{what}");
                continue;
            }
            let (events, reply) = match received.unwrap() {
                Received::Nothing => (Vec::new(), None),
                Received::Question(reply) => (Vec::new(), Some(reply)),
                Received::Events { events, reply } => (events, Some(reply)),
            };
            let read = |it: &Vec<u8>| serde_json::from_slice::<Value>(it).unwrap();
            assert_eq!(events.iter().map(read).collect::<Vec<_>>(), request.events, "{what}");
            assert_eq!(reply.as_ref().map(|it| it.status), request.status, "{what}");
            if let Some(question) = &request.question {
                let body = reply.and_then(|it| it.body).unwrap_or_default().1;
                let text = String::from_utf8(body).unwrap();
                let given = serde_json::from_str(&text).unwrap_or(Value::String(text));
                assert_eq!(given, *question, "{what}");
            }
        }
    });
}

#[test]
fn a_message_becomes_a_call() {
    each(|adapter, samples, _| {
        assert!(!samples.calls.is_empty(), "{}", adapter.network().is.name);
        for case in &samples.calls {
            let what = format!("{}: {}", adapter.network().is.name, case.name);
            let letter = letter(&case.place, &case.part, case.over.as_deref(), case.first);
            let sending = adapter.send(letter);
            let is_edit = case.over.is_some();
            let can_edit = adapter.network().is.edits.is_some();
            assert_eq!(is_edit && !can_edit, sending == Sending::Never, "{what}");
            match sending {
                Sending::Never => assert!(case.call.is_none() && case.page.is_none(), "{what}"),
                Sending::Say(frame) => {
                    assert_eq!(String::from_utf8(frame).ok(), case.say, "{what}");
                }
                Sending::Call(call) => assert_eq!(Some(CallOf::from(&call)), case.call, "{what}"),
                Sending::Page(page) => {
                    let page: Value = serde_json::from_slice(&page).unwrap();
                    assert_eq!(Some(page), case.page, "{what}");
                }
            }
        }
    });
}

#[test]
fn typing_is_shown_where_the_network_can() {
    each(|adapter, samples, us| {
        let is = adapter.network().is;
        // A page of ours is told by its own connection.
        let can = is.typing.is_some() && !is.ways.contains(&networks::Way::Page);
        assert_eq!(can, !samples.typing.is_empty(), "{}", is.name);
        for case in &samples.typing {
            let call = adapter.typing(&case.place, us).map(|it| CallOf::from(&it));
            assert_eq!(call.as_ref(), Some(&case.call), "{}", is.name);
        }
        assert_eq!(adapter.typing(&Place::default(), us).is_some(), can, "{}", is.name);
    });
}

#[test]
fn every_answer_is_understood() {
    each(|adapter, samples, _| {
        let name = adapter.network().is.name;
        for case in &samples.answers {
            let body = case.body();
            let answer = case.answer(&body);
            assert_eq!(adapter.outcome(answer), case.outcome(), "{name}: {case:?}");
        }
        if adapter.network().is.ways.contains(&networks::Way::Page) {
            return;
        }
        // Whatever it is that somebody answers, it is not taken for a message that is there.
        for status in [301, 400, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504] {
            for body in ["", "{", "null", "[]", "\u{0}", "{\"ok\":1}", "{\"id\":7}"] {
                let answer = Answer { status, retry_after: None, body: body.as_bytes() };
                let outcome = adapter.outcome(answer);
                assert!(!matches!(outcome, Outcome::Sent(_)), "{name}: {status} {body}");
                let waits = matches!(outcome, Outcome::Wait(wait) if wait > 0);
                assert_eq!(status == 429, waits, "{name}: {status} {body} {outcome:?}");
                let is_unknown = matches!(outcome, Outcome::Unknown(_));
                let may_be_there = matches!(status, 408 | 425 | 500..);
                assert_eq!(may_be_there, is_unknown, "{name}: {status} {body} {outcome:?}");
            }
        }
    });
}

#[test]
fn one_finds_out_what_became_of_a_message() {
    each(|adapter, samples, _| {
        let is = adapter.network().is;
        assert_eq!(is.twice == networks::Twice::Seen, !samples.looks.is_empty(), "{}", is.name);
        for case in &samples.looks {
            let part = Part { file: case.file.clone(), ..Part::default() };
            let letter = letter(&case.place, &part, None, true);
            let call = adapter.look(letter).map(|it| CallOf::from(&it));
            assert_eq!(call.as_ref(), Some(&case.call), "{}", is.name);
            let body = serde_json::to_vec(&case.body).unwrap();
            let answer = Answer { status: 200, retry_after: None, body: &body };
            let seen = adapter.seen(letter, answer).map(|it| it != Seen::Absent);
            assert_eq!(seen, case.seen, "{}", is.name);
        }
    });
}

#[test]
fn a_key_is_the_same_at_each_attempt_and_no_other_has_it() {
    each(|adapter, samples, _| {
        let is = adapter.network().is;
        let case = samples.calls.iter().find(|it| it.over.is_none()).unwrap();
        let first = letter(&case.place, &case.part, None, true);
        let other = Letter { key: "another-key", ..first };
        let send = |letter| format!("{:?}", adapter.send(letter));
        assert_eq!(send(first), send(first), "{}", is.name);
        // A network that doubles what comes twice is told no key.
        let tells = is.twice != networks::Twice::Doubled;
        assert_eq!(tells, send(first) != send(other), "{}", is.name);
    });
}

#[test]
fn what_is_asked_for_comes_with_its_cursor() {
    each(|adapter, samples, us| {
        let Some(poll) = adapter.poll() else { return };
        assert!(samples.polls.len() >= 2, "{}", adapter.network().is.name);
        for case in &samples.polls {
            assert_eq!(CallOf::from(&poll.ask(case.cursor.as_deref(), false)), case.call);
            let body = serde_json::to_vec(&case.body).unwrap();
            let answer = Answer { status: 200, retry_after: None, body: &body };
            let counts = case.known.iter().cloned().collect();
            let came = poll.came(answer, us, &counts).unwrap();
            let read = |it: &Vec<u8>| serde_json::from_slice::<Value>(it).unwrap();
            assert_eq!(came.events.iter().map(read).collect::<Vec<_>>(), case.events);
            assert_eq!(came.cursor, case.next);
            assert_eq!(came.invitations, case.invitations);
            assert_eq!(came.refused, case.refused);
            assert_eq!(came.gaps, case.gaps);
            assert_eq!(came.counts, case.counts);
            assert_eq!(came.uncounted, case.uncounted);
            for event in &came.events {
                adapter.facts(event, us).unwrap();
            }
        }
        for body in ["", "{}", "null", "{\"result\":[{}]}", "{\"next_batch\":7}"] {
            let answer = Answer { status: 200, retry_after: None, body: body.as_bytes() };
            assert!(poll.came(answer, us, &Counts::new()).is_err(), "{body}");
        }
    });
}

#[test]
fn what_a_visitors_page_sends_is_held_to_its_form() {
    let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).unwrap();
    let visitor = webchat::Visitor { id: "v1".to_owned(), name: None };
    let (message, files) = (raw(r#"{"id":"m1","text":"x"}"#), raw(r#"["AAAA"]"#));
    let event = webchat::event(visitor.clone(), &message, Some(&files)).unwrap();
    let facts = adapter("webchat").unwrap().facts(&event, Us::default()).unwrap();
    let done = facts.done.unwrap();
    assert_eq!((done.sender.as_str(), done.what), ("v1", What::Said));
    let (key, frame) = webchat::shown(&event, 7).unwrap();
    assert_eq!(key, "said:m1");
    let frame = String::from_utf8(frame).unwrap();
    assert_eq!(frame, r#"{"type":"said","message":{"id":"m1","text":"x"},"at":7}"#);
    // Nobody writes as another, whatever the page says.
    for message in [
        r#"{"id":"m1","visitor":{"id":"v2"}}"#,
        r#"{"text":"x"}"#,
        r#"{"id":"","files":[]}"#,
        r#"["m1"]"#,
        "7",
    ] {
        webchat::event(visitor.clone(), &raw(message), None).unwrap_err();
    }
}
