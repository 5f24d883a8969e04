//! Appending to a transcript: durable, whole lines only, each linked to the one before.
//!
//! A line torn by a crash was never acknowledged, so it is cut off before the next one is
//! written. Reading is in `tail`; nothing here reads more than the end of a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use serde::{Serialize, Serializer};
use types::{AgentId, UnixMillis};

use super::dir::Dir;
use super::entry::{Appended, Compaction, Line, NewLine, Stored, What};
use super::sessions::SessionId;
use super::tail::Tail;
use crate::Error;

/// Bytes of the longest line. What is longer could not be read back without holding it whole.
pub(crate) const MAX_LINE: usize = 1 << 20;
/// Lines without an entry id that are looked at before a new chain is begun.
const MAX_STRANGE_LINES: usize = 1000;
/// Bytes of one step back while the start of a torn line is looked for.
const STEP: u64 = 64 << 10;

/// What a new transcript starts with.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) session: &'a SessionId,
    pub(super) agent: &'a AgentId,
}

/// An entry's id: eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryId(u32);

impl EntryId {
    /// The id after `last`. Odd steps around the whole circle meet no id of the chain again, so
    /// uniqueness needs no look at the older entries.
    fn after(last: Option<&str>) -> Self {
        let last = last.filter(|text| text.len() == 8);
        match last.and_then(|text| u32::from_str_radix(text, 16).ok()) {
            Some(last) => Self(last.wrapping_add(0x9e37_79b9)),
            None => Self(uuid::Uuid::new_v4().as_fields().0),
        }
    }

    fn text(self) -> String {
        format!("{:08x}", self.0)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// Milliseconds since the epoch as the format writes times.
pub(super) fn timestamp(now: UnixMillis) -> String {
    let millis = i64::try_from(now).unwrap_or(i64::MAX);
    format!("{:.3}", jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
}

/// What is to be appended.
#[derive(Debug)]
pub(super) enum New {
    Messages(Vec<Stored>),
    Compaction(Compaction),
}

/// Appends `new`: after success it is durable, after failure none of it is there, and where there
/// was no transcript there is none.
pub(super) fn append(
    dir: &Dir,
    header: &Header<'_>,
    new: &New,
    now: UnixMillis,
) -> Result<Vec<Appended>, Error> {
    let name = header.session.file_name();
    let opened = dir.file_to_append(&name).map_err(Error::io("open a transcript"))?;
    let Some(file) = opened else { return begin(dir, header, new, now) };
    let len = repair(&file).map_err(Error::io("repair a transcript"))?;
    let mut lines = Lines::default();
    if len == 0 {
        header_line(&mut lines.bytes, header, now)?;
        lines.seq = 1;
    } else {
        lines.seq = count_lines(&file, len).map_err(Error::io("read a transcript"))?;
    }
    lines.last = last_id(&file, len).map_err(Error::io("read a transcript"))?;
    lines.push_all(new, now)?;
    write_all_or_nothing(&file, len, &lines.bytes).map_err(Error::io("append to a transcript"))?;
    Ok(lines.appended)
}

/// Makes a transcript with its first entries. The file comes last, so that what cannot be written
/// leaves no empty one.
fn begin(
    dir: &Dir,
    header: &Header<'_>,
    new: &New,
    now: UnixMillis,
) -> Result<Vec<Appended>, Error> {
    let mut lines = Lines { seq: 1, ..Lines::default() };
    header_line(&mut lines.bytes, header, now)?;
    lines.push_all(new, now)?;
    let name = header.session.file_name();
    let file = dir.create_new(&name).map_err(Error::io("make a transcript"))?;
    if let Err(err) = write_all_or_nothing(&file, 0, &lines.bytes) {
        dir.remove(&name).map_err(Error::io("remove an empty transcript"))?;
        return Err(Error::io("append to a transcript")(err));
    }
    dir.sync().map_err(Error::io("append to a transcript"))?;
    Ok(lines.appended)
}

/// Lines on their way into a transcript.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Lines of the transcript before the next one.
    seq: u64,
    /// The id of the entry before the next one.
    last: Option<String>,
    appended: Vec<Appended>,
}

impl Lines {
    fn push_all(&mut self, new: &New, now: UnixMillis) -> Result<(), Error> {
        match new {
            New::Compaction(compaction) => {
                self.push("compaction", What::Compaction(compaction), now).map(drop)
            }
            New::Messages(messages) => {
                for message in messages {
                    let message = serde_json::value::to_raw_value(message)
                        .map_err(|source| Error::Invalid { what: "an entry", source })?;
                    let what = What::Message { message: &message };
                    let appended = self.push("message", what, now)?;
                    appended.message = Some(message);
                }
                Ok(())
            }
        }
    }

    fn push(
        &mut self,
        kind: &'static str,
        what: What<'_>,
        now: UnixMillis,
    ) -> Result<&mut Appended, Error> {
        let (start, id) = (self.bytes.len(), EntryId::after(self.last.as_deref()));
        let parent_id = self.last.as_deref();
        let line = NewLine { r#type: kind, id, parent_id, timestamp: timestamp(now), what };
        write_json(&mut self.bytes, &line)?;
        let line = self.bytes.get(start..).unwrap_or_default();
        if line.len() > MAX_LINE {
            return Err(Error::TooLong { max: MAX_LINE });
        }
        // Text that is passed on as it is may have them; what follows would pass for an entry.
        if line.iter().position(|byte| *byte == b'\n') != line.len().checked_sub(1) {
            return Err(Error::Torn);
        }
        self.last = Some(id.text());
        let appended = Appended { id: id.text(), seq: self.seq, message: None };
        self.seq += 1;
        Ok(self.appended.push_mut(appended))
    }
}

/// How many lines end before `len`.
#[expect(clippy::naive_bytecount, reason = "the compiler vectorises it well enough")]
pub(super) fn count_lines(file: &File, len: u64) -> io::Result<u64> {
    let mut bytes = vec![0; usize::try_from(STEP.min(len)).unwrap_or(usize::MAX)];
    let (mut at, mut count) = (0, 0);
    while at < len {
        let size = usize::try_from((len - at).min(STEP)).unwrap_or(usize::MAX);
        let Some(part) = bytes.get_mut(..size) else { break };
        file.read_exact_at(part, at)?;
        let ends = part.iter().filter(|byte| **byte == b'\n').count();
        count += u64::try_from(ends).unwrap_or(u64::MAX);
        at += STEP;
    }
    Ok(count)
}

fn header_line(lines: &mut Vec<u8>, header: &Header<'_>, now: UnixMillis) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        version: u8,
        id: &'a str,
        timestamp: String,
        cwd: String,
    }
    let line = Line {
        r#type: "session",
        version: 3,
        id: header.session.as_str(),
        timestamp: timestamp(now),
        cwd: format!("/tenant/agents/{}/workspace", header.agent),
    };
    write_json(lines, &line)
}

fn write_json(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer(&mut *lines, line)
        .map_err(|source| Error::Invalid { what: "an entry", source })?;
    lines.push(b'\n');
    Ok(())
}

fn write_all_or_nothing(file: &File, len: u64, lines: &[u8]) -> io::Result<()> {
    let mut appending = file;
    let written = appending.write_all(lines).and_then(|()| file.sync_data());
    if let Err(err) = written {
        // Should this fail as well, the next append cuts the torn line off.
        file.set_len(len)?;
        return Err(err);
    }
    Ok(())
}

/// Cuts off what a crash left of a last line, and gives the length that is left.
fn repair(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let start = end_of_last_line(file, len)?;
    if start == len {
        return Ok(len);
    }
    if is_whole_entry(file, start, len)? {
        let mut appending = file;
        appending.write_all(b"\n")?;
        return Ok(len + 1);
    }
    tracing::warn!(bytes = len - start, "a torn last line was cut off a transcript");
    file.set_len(start)?;
    Ok(start)
}

/// Whether the bytes from `start` lack nothing but the line's end, as another program may leave it.
fn is_whole_entry(file: &File, start: u64, len: u64) -> io::Result<bool> {
    let size = usize::try_from(len - start).unwrap_or(usize::MAX);
    if size > MAX_LINE {
        return Ok(false);
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, start)?;
    Ok(Line::parse(&bytes).is_some())
}

/// Where the last complete line ends: just after the last line feed, or at the start.
fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut end = len;
    while end > 0 {
        // The first look is at one byte: nearly always that is all.
        let size = if end == len { 1 } else { STEP.min(end) };
        let start = end - size;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, start)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or(u64::MAX) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The id of the last entry, to which the next one is linked.
fn last_id(file: &File, len: u64) -> io::Result<Option<String>> {
    let mut tail = Tail::new(file, len, MAX_LINE);
    for _ in 0..MAX_STRANGE_LINES {
        let Some(line) = tail.next_line()? else { break };
        if let Some(Line { kind, id: Some(id), .. }) = Line::parse(&line)
            && kind != "session"
        {
            return Ok(Some(id.into_owned()));
        }
    }
    Ok(None)
}
