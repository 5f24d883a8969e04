//! The suite that every network passes: its description, its samples, and what it makes of events that
//! are none. A new network is in it by its row and its file in `samples/`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Deserialize)]
struct Samples {
    us: UsOf,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct UsOf {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    event: Option<Value>,
    form: Option<String>,
    says: Option<Says>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Says {
    id: String,
    what: Option<String>,
    called: Option<String>,
    at: Option<u64>,
    #[serde(default)]
    text: String,
    reply: Option<ReplyOf>,
    #[serde(default)]
    attachments: Vec<File>,
}

#[derive(Deserialize)]
struct ReplyOf {
    id: String,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    reference: String,
    name: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
}

impl Case {
    fn event(&self) -> Vec<u8> {
        let form = self.form.as_ref().map(|it| it.as_bytes().to_vec());
        form.unwrap_or_else(|| serde_json::to_vec(&self.event).unwrap())
    }
}

impl From<Says> for Message {
    fn from(it: Says) -> Self {
        let files = it.attachments.into_iter().map(|it| Attachment {
            reference: it.reference,
            name: it.name,
            media_type: it.media_type,
            size: it.size,
        });
        Self {
            id: it.id,
            what: if it.what.as_deref() == Some("edited") { What::Edited } else { What::Said },
            called: it.called,
            at: it.at,
            text: it.text,
            reply: it.reply.map(|it| Reply { id: it.id, text: it.text }),
            attachments: files.collect(),
        }
    }
}

fn samples(network: &Network) -> Samples {
    let path = format!("{}/samples/{}.json", env!("CARGO_MANIFEST_DIR"), network.is.name);
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

#[test]
fn every_network_reads_its_samples() {
    for network in ALL {
        let Samples { us, cases } = samples(network);
        let us = Us { id: &us.id, name: us.name.as_deref() };
        assert!(cases.len() >= 2, "{}", network.is.name);
        for case in cases {
            let event = case.event();
            let Some(says) = case.says else { continue };
            let found = (network.read)(&event, us).unwrap_or_else(|err| {
                panic!("{} cannot read {}: {err}", network.is.name, case.name)
            });
            assert_eq!(found, Message::from(says), "{}: {}", network.is.name, case.name);
        }
    }
}

/// Every event with one of its values replaced by something else.
fn spoilt(value: &Value) -> Vec<Value> {
    let others = || {
        let long = "x".repeat(9_000);
        ["null", "[]", "{}", "-1", "1e300", "true"]
            .into_iter()
            .map(|it| serde_json::from_str(it).unwrap())
            .chain([Value::String(long), Value::String("😀\u{0}".to_owned())])
    };
    let mut all: Vec<Value> = others().collect();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                for other in spoilt(field) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), other);
                    all.push(Value::Object(fields));
                }
                let mut fields = fields.clone();
                fields.remove(name);
                all.push(Value::Object(fields));
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                for other in spoilt(item) {
                    let mut items = items.clone();
                    items[n] = other;
                    all.push(Value::Array(items));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

#[test]
fn no_network_falls_over_an_event_that_is_none() {
    let mut refused = 0;
    for network in ALL {
        let Samples { us, cases } = samples(network);
        let us = Us { id: &us.id, name: us.name.as_deref() };
        for case in cases {
            let event = case.event();
            for end in 0..event.len() {
                refused += usize::from((network.read)(&event[..end], us).is_err());
            }
            for event in case.event.iter().flat_map(spoilt) {
                let read = (network.read)(&serde_json::to_vec(&event).unwrap(), us);
                refused += usize::from(read.is_err());
                if let Ok(message) = read {
                    assert!(message.attachments.len() <= MAX_ATTACHMENTS);
                }
            }
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = format!("{{\"event\":{deep}}}");
        assert!((network.read)(deep.as_bytes(), us).is_err(), "{}", network.is.name);
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn descriptions_are_of_one_piece() {
    let names: BTreeSet<_> = ALL.iter().map(|it| it.is.name).collect();
    assert_eq!(names.len(), ALL.len());
    for network in ALL {
        let is = network.is;
        let plain = is.name.bytes().all(|it| it.is_ascii_lowercase());
        assert!(plain && !is.name.is_empty(), "{}", is.name);
        assert!(!is.ways.is_empty() && is.text.max >= 160, "{}", is.name);
        // Whoever brings an event again does so within the time for which it is known.
        assert!(is.ack.is_none_or(|ack| ack < is.again), "{}", is.name);
        if let Twice::KnownFor(time) = is.twice {
            assert!(time.as_secs() > 0, "{}", is.name);
        }
        assert!(network_of(is), "{}", is.name);
    }
    assert!(network("no such network").is_none());
}

fn network_of(is: &Description) -> bool {
    network(is.name).is_some_and(|it| it.is == is)
}

/// The row of a network in the documents.
fn row(is: &Description) -> String {
    let hours = |time: std::time::Duration| format!("{} h", time.as_secs() / 3600);
    let twice = match is.twice {
        Twice::Known => "known".to_owned(),
        Twice::KnownFor(time) => format!("known for {} s", time.as_secs()),
        Twice::Seen => "seen by a look".to_owned(),
        Twice::Doubled => "doubled".to_owned(),
    };
    let ways: Vec<_> = is.ways.iter().map(|it| it.name()).collect();
    let edits = is.edits.map_or_else(|| "no".to_owned(), |it| format!("{} ms", it.as_millis()));
    format!(
        "| {} | {} | {} {} | {} | {edits} | {} | {twice} | {} |",
        is.title,
        ways.join(", "),
        is.text.max,
        is.text.unit.name(),
        is.rooms.name(),
        hours(is.again),
        is.ids.name(),
    )
}

#[test]
fn the_documents_say_what_the_descriptions_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/channels/writing-an-adapter.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<_> = ALL.iter().map(|it| row(it.is)).collect();
    for row in &rows {
        assert!(text.contains(row.as_str()), "the documents lack\n{}", rows.join("\n"));
    }
}
