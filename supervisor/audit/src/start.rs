//! Where a trail is taken up again: the last whole line, what the newest head says of it, and the acts
//! of which nobody knows how they ended. What is amiss is not put right but told, in the trail.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use trail::{
    Digest, Fields, Files, Head, Known, Lines, Phase, RECOVERED, Record, Span, Verdict, genesis,
    is_day_file,
};

use crate::key::fail;
use crate::{Error, SigningKey};

/// Acts of unknown end that are told each; there are never more under way, but a file may say so.
const MAX_OPEN: usize = crate::MAX_UNDER_WAY;

/// Files that may hold the intent of an act that was under way: of today and of yesterday.
const RECENT: usize = 2;

/// Where a trail goes on.
#[derive(Debug)]
pub(crate) struct Start {
    /// The number of the next record, and the hash that it names.
    pub(crate) next: u64,
    pub(crate) prev: Digest,
    /// The day of the newest file; none where there is no file.
    pub(crate) day: Option<String>,
    /// The newest head, where it is signed.
    pub(crate) head: Option<Head>,
    /// What is to be told first.
    pub(crate) told: Vec<Fields>,
}

/// What the files hold.
#[derive(Default)]
struct Found {
    /// The last whole line.
    last: Option<Known>,
    open: HashMap<String, Record>,
    /// Bytes of a line without an end.
    torn: Option<u64>,
    day: Option<String>,
}

/// Reads the newest files of the trail in `dir`, which is made where there is none.
pub(crate) fn recover(dir: &Path, key: &SigningKey) -> Result<Start, Error> {
    let mut directory = std::fs::DirBuilder::new();
    directory.recursive(true).mode(0o700).create(dir).map_err(fail("make", dir))?;
    let found = Found::read(dir)?;
    let read = Head::read(dir)?;
    let head = read.as_ref().and_then(|head| head.as_ref().ok());
    let head = head.copied().filter(|head| head.is_signed_by(&key.public()));
    let mut start = Start {
        next: found.last.map_or(0, |last| last.seq.saturating_add(1)),
        prev: found.last.map_or_else(|| genesis(&key.public()), |last| last.hash),
        day: found.day,
        head,
        told: Vec::new(),
    };
    if let Some(bytes) = found.torn {
        let mut fields = Fields::of_gateway("start", RECOVERED);
        (fields.code, fields.count) = (Some("torn".into()), Some(bytes));
        start.told.push(fields);
    }
    let beginning = key.is_new() && found.last.is_none() && read.is_none();
    if !beginning {
        start.compare(found.last, head, read.is_some());
    }
    let mut open: Vec<_> = found.open.into_values().collect();
    open.sort_by_key(|record| record.seq);
    start.told.extend(open.into_iter().map(unknown));
    Ok(start)
}

impl Start {
    /// Holds the last line against the head. Where they differ the trail goes on from the head: what
    /// is missing or was changed before it stays to be seen.
    fn compare(&mut self, last: Option<Known>, head: Option<Head>, any: bool) {
        let Some(head) = head else {
            return self.tell(if any { "head_wrong" } else { "head_missing" }, None);
        };
        match last {
            Some(last) if last == head.known() => {}
            Some(last) if last.seq > head.seq => {
                let span = Span { first: head.seq.saturating_add(1), last: last.seq };
                self.tell("unsigned", Some(span));
            }
            Some(last) if last.seq == head.seq => self.go_on("altered", last.seq, &head),
            Some(last) => self.go_on("cut", last.seq.saturating_add(1), &head),
            None => self.go_on("cut", 0, &head),
        }
    }

    fn go_on(&mut self, code: &'static str, first: u64, head: &Head) {
        (self.next, self.prev) = (head.seq.saturating_add(1), head.hash);
        self.tell(code, Some(Span { first, last: head.seq }));
    }

    fn tell(&mut self, code: &'static str, records: Option<Span>) {
        if code == "unsigned" {
            tracing::warn!(
                ?records,
                "the last audit records were not signed when the gateway ended"
            );
        } else {
            tracing::error!(code, ?records, "the audit trail is not as the gateway left it");
        }
        let mut fields = Fields::of_gateway("start", RECOVERED);
        (fields.code, fields.records) = (Some(code.into()), records);
        self.told.push(fields);
    }
}

impl Found {
    fn read(dir: &Path) -> Result<Self, Error> {
        let files = Files::list(dir)?;
        let mut found = Self::default();
        let mut recent: Vec<_> = files.iter().rev().take(RECENT).collect();
        recent.reverse();
        for (name, path) in recent {
            found.day = is_day_file(name).map(str::to_owned);
            found.file(path)?;
        }
        Ok(found)
    }

    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path).map_err(fail("open", path))?;
        let mut reader = BufReader::new(&file);
        let length = file.metadata().map_err(fail("look at", path))?.len();
        let mut lines = Lines::new(&mut reader);
        let (mut at, mut whole) = (0, 0);
        while let Some(line) = lines.next_line().map_err(fail("read", path))? {
            at += u64::try_from(line.bytes.len() + 1).unwrap_or_default();
            if line.ended && !line.too_long {
                whole = at;
                self.line(&line.bytes);
            }
        }
        if at > length {
            cut(&file, whole).map_err(fail("mend", path))?;
            self.torn = Some(length.saturating_sub(whole));
        }
        Ok(())
    }

    fn line(&mut self, bytes: &[u8]) {
        let hash = Digest::of(bytes);
        let Some(record) = Record::parse(bytes) else {
            // Whatever it was: the next record comes after it.
            let seq = self.last.map_or(0, |last| last.seq.saturating_add(1));
            self.last = Some(Known { seq, hash });
            return;
        };
        self.last = Some(Known { seq: record.seq, hash });
        let id = record.id.as_str().to_owned();
        if record.phase == Phase::Outcome {
            self.open.remove(&id);
        } else if self.open.len() < MAX_OPEN {
            self.open.insert(id, record);
        }
    }
}

fn cut(mut file: &File, length: u64) -> std::io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::End(0))?;
    file.sync_all()
}

/// The outcome of an act that was under way when the gateway ended.
fn unknown(intent: Record) -> Fields {
    Fields {
        id: intent.id,
        phase: Phase::Outcome,
        act: intent.act,
        who: intent.who,
        resource: intent.resource,
        tenant: intent.tenant,
        request: intent.request,
        outcome: Some(Verdict::Unknown),
        code: Some("gateway_ended".into()),
        before: intent.before,
        after: intent.after,
        count: None,
        records: None,
        head: None,
    }
}
