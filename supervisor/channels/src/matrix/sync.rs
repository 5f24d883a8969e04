//! What `/sync` brings: messages, each with its room and how many are in it, and rooms that we are asked
//! into. What was said in a room before we were asked into it is nobody's question to us.

use std::collections::BTreeMap;

use networks::Us;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Matrix;
use crate::adapter::{Answer, Call, Method, Proof};
use crate::answer;
use crate::facts::Unreadable;
use crate::source::{Came, Counts, Missed, Poll};

/// Milliseconds that a question waits for an event.
const WAIT_MS: u32 = 25_000;

/// What the first question asks for: from where, and into which rooms we are asked.
const FIRST: &str = r#"{"presence":{"types":[]},"account_data":{"types":[]},"room":{"ephemeral":{"types":[]},"account_data":{"types":[]},"state":{"types":[]},"timeline":{"types":[]}}}"#;

/// What every other asks for, but for how many events of a room: messages, and who comes and goes; nothing that
/// others do not say to us.
const FILTER: &str = r#"{"presence":{"types":[]},"account_data":{"types":[]},"room":{"ephemeral":{"types":[]},"account_data":{"types":[]},"state":{"types":["m.room.member"],"lazy_load_members":true},"timeline":{"types":["m.room.message","m.room.member"],"limit":"#;

/// Events of a room that are asked for at once: one has 64 KiB at most.
const LIMIT: u8 = 20;

/// The same where an answer may have been too large.
const LITTLE: u8 = 1;

/// What is asked for of what was left out.
const MISSED: &str = r#"{"types":["m.room.message"]}"#;

/// Why we do not go where it is encrypted.
const ENCRYPTED: &str = "I cannot read encrypted rooms. Ask me into one that is not encrypted.";

#[derive(Deserialize)]
struct Sync<'a> {
    next_batch: String,
    #[serde(borrow, default)]
    rooms: Rooms<'a>,
}

#[derive(Default, Deserialize)]
struct Rooms<'a> {
    #[serde(borrow, default)]
    join: BTreeMap<String, Joined<'a>>,
    #[serde(borrow, default)]
    invite: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Joined<'a> {
    #[serde(borrow, default)]
    timeline: Timeline<'a>,
    #[serde(borrow, default)]
    state: State<'a>,
    #[serde(default)]
    summary: Summary,
}

#[derive(Default, Deserialize)]
struct Timeline<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    limited: bool,
    prev_batch: Option<String>,
}

#[derive(Default, Deserialize)]
struct State<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Summary {
    #[serde(rename = "m.joined_member_count")]
    joined: Option<u64>,
    #[serde(rename = "m.invited_member_count")]
    invited: Option<u64>,
}

/// What is shown of a room to whoever is asked into it.
#[derive(Default, Deserialize)]
struct Invited {
    #[serde(default)]
    invite_state: Shown,
}

#[derive(Default, Deserialize)]
struct Shown {
    #[serde(default)]
    events: Vec<Brief>,
}

/// Of which kind an event is, and whose state.
#[derive(Default, Deserialize)]
struct Brief {
    #[serde(default)]
    r#type: String,
    state_key: Option<String>,
    #[serde(default)]
    content: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    joined: Option<BTreeMap<String, &'a RawValue>>,
}

/// Some of a room's events.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    chunk: Vec<&'a RawValue>,
    end: Option<String>,
}

#[derive(Serialize)]
struct Keeping<'a> {
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
    event: &'a RawValue,
}

#[derive(Serialize)]
struct Leaving {
    reason: &'static str,
}

impl Poll for Matrix {
    fn ask(&self, cursor: Option<&str>, little: bool) -> Call {
        let since = cursor.map(|it| format!("&since={}", answer::piece(it))).unwrap_or_default();
        let limit = if little { LITTLE } else { LIMIT };
        // The first question is answered at once: it only says from where.
        let (wait, filter) = match cursor {
            Some(_) => (WAIT_MS, format!("{FILTER}{limit}}}}}}}")),
            None => (0, FIRST.to_owned()),
        };
        let filter = answer::piece(&filter);
        let path = format!("/_matrix/client/v3/sync?timeout={wait}&filter={filter}{since}");
        Call { method: Method::Get, path, body: Vec::new(), proof: Proof::Header("Bearer ") }
    }

    fn came(&self, answer: Answer<'_>, us: Us<'_>, counts: &Counts) -> Result<Came, Unreadable> {
        let sync: Sync<'_> = serde_json::from_slice(answer.body)?;
        let mut came = Came { cursor: Some(sync.next_batch), ..Came::default() };
        for (room, shown) in sync.rooms.invite {
            let invited: Invited = serde_json::from_str(shown.get()).unwrap_or_default();
            let mut shown = invited.invite_state.events.iter();
            if shown.any(|it| it.r#type == "m.room.encryption") {
                came.refused.push(room);
            } else {
                came.invitations.push(room);
            }
        }
        for (room, joined) in sync.rooms.join {
            in_room(&mut came, &room, &joined, us, counts)?;
        }
        Ok(came)
    }

    fn count(&self, room: &str) -> Option<Call> {
        let path = format!("/_matrix/client/v3/rooms/{}/joined_members", answer::piece(room));
        Some(Call { method: Method::Get, path, body: Vec::new(), proof: Proof::Header("Bearer ") })
    }

    fn counted(&self, answer: Answer<'_>) -> Option<u64> {
        let members: Members<'_> = answer::body(answer);
        members.joined.and_then(|it| u64::try_from(it.len()).ok())
    }

    fn join(&self, room: &str) -> Option<Call> {
        let path = format!("/_matrix/client/v3/join/{}", answer::piece(room));
        let (body, proof) = (b"{}".to_vec(), Proof::Header("Bearer "));
        Some(Call { method: Method::Post, path, body, proof })
    }

    fn refuse(&self, room: &str) -> Option<Call> {
        let path = format!("/_matrix/client/v3/rooms/{}/leave", answer::piece(room));
        let body = serde_json::to_vec(&Leaving { reason: ENCRYPTED }).unwrap_or_default();
        Some(Call { method: Method::Post, path, body, proof: Proof::Header("Bearer ") })
    }

    fn ask_missed(&self, room: &str, from: &str, to: &str) -> Option<Call> {
        let [room, from, to, filter] = [room, from, to, MISSED].map(answer::piece);
        let path = format!(
            "/_matrix/client/v3/rooms/{room}/messages?dir=f&from={from}&to={to}&limit={LIMIT}&filter={filter}"
        );
        Some(Call { method: Method::Get, path, body: Vec::new(), proof: Proof::Header("Bearer ") })
    }

    fn missed(
        &self,
        answer: Answer<'_>,
        room: &str,
        members: Option<u64>,
    ) -> Result<Missed, Unreadable> {
        let page: Page<'_> = serde_json::from_slice(answer.body)?;
        let rest = page.end.filter(|_| !page.chunk.is_empty());
        let kept = |event| serde_json::to_vec(&Keeping { room, members, event });
        let events = page.chunk.into_iter().map(kept).collect::<Result<_, _>>()?;
        Ok(Missed { events, rest })
    }

    fn cursor_age(&self) -> u64 {
        0
    }
}

/// What came in one room.
fn in_room(
    came: &mut Came,
    room: &str,
    joined: &Joined<'_>,
    us: Us<'_>,
    counts: &Counts,
) -> Result<(), Unreadable> {
    let Joined { timeline, state, summary } = joined;
    // Of what cannot be read it is found out later that it cannot.
    let brief = |it: &&RawValue| serde_json::from_str::<Brief>(it.get()).unwrap_or_default();
    let briefs: Vec<_> = timeline.events.iter().map(brief).collect();
    let is_member = |it: &Brief| it.r#type == "m.room.member";
    let is_ours = |it: &Brief, what: &str| {
        let membership = it.content.get("membership").and_then(serde_json::Value::as_str);
        is_member(it) && it.state_key.as_deref() == Some(us.id) && membership == Some(what)
    };
    let asked_in = briefs.iter().rposition(|it| is_ours(it, "invite"));
    let is_new = asked_in.is_some() || briefs.iter().any(|it| is_ours(it, "join"));

    let said = summary.joined.map(|it| it.saturating_add(summary.invited.unwrap_or(0)));
    let known = counts.get(room).copied();
    // Whoever was there for some of it counts for all of it: it may have been said before he went.
    let members = said.max(known);
    came.counts.extend(said.map(|it| (room.to_owned(), it)));
    let has_changed =
        briefs.iter().any(is_member) || (timeline.limited && !state.events.is_empty());
    let is_spoken = |it: &Brief| it.r#type == "m.room.message";
    if said.is_none() && (has_changed || (known.is_none() && briefs.iter().any(is_spoken))) {
        came.uncounted.push(room.to_owned());
    }

    let first = asked_in.unwrap_or(0);
    for (event, _) in timeline.events.iter().zip(&briefs).skip(first).filter(|it| is_spoken(it.1)) {
        let kept = Keeping { room, members, event };
        came.events.push(serde_json::to_vec(&kept)?);
    }
    if let Some(from) = timeline.prev_batch.as_ref().filter(|_| timeline.limited && !is_new) {
        came.gaps.push((room.to_owned(), from.clone()));
    }
    Ok(())
}
