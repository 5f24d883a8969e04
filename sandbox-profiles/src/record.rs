//! The records on the launcher's socket: fixed size, little-endian, every field range-checked, and
//! a field that a kind does not use must be zero. Nothing here allocates by what a record says.

use types::{AgentId, TenantId};

use crate::program::Backend;
use crate::program::Class;
use crate::{Error, probes};

mod kind;

use crate::cursor::{Reader, Writer};
pub(crate) use kind::{Kind, Which};

const MAGIC: u32 = 0x554D_4C43;
const VERSION: u16 = 4;

/// The largest tenant index: the last whose two ids are in the gateway's own block.
const MAX_INDEX: u32 = crate::ids::BLOCK / 2 - 2;
/// The smallest memory limit, in bytes, that a worker can start in.
const MIN_MEMORY: u64 = 16 << 20;
/// The largest memory limit and disk, in bytes.
const MAX_BYTES: u64 = 1 << 44;
/// The smallest disk, in bytes, that holds a journal.
const MIN_DISK: u64 = 16 << 20;
/// A worker is one process with a few threads; the largest is the kernel's own default.
const PIDS: std::ops::RangeInclusive<u32> = 4..=32_768;
/// The kernel's smallest quota is one millisecond in a period of 100; the largest is 1,024 cores.
const CPU_MILLIS: std::ops::RangeInclusive<u32> = 10..=1_024_000;

/// What kind of sandbox a command is run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) backend: Backend,
    pub(crate) class: Class,
    pub(crate) egress: bool,
}

impl Run {
    /// Absence, in place of [`Self::number`].
    const NONE: u32 = 0;
    const SOME: u32 = 1;
    const BWRAP: u32 = 1 << 1;
    const TERMINAL: u32 = 1 << 2;
    const EGRESS: u32 = 1 << 3;

    pub(crate) fn number(self) -> u32 {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        Self::SOME
            | bit(self.backend == Backend::Bwrap, Self::BWRAP)
            | bit(self.class == Class::Terminal, Self::TERMINAL)
            | bit(self.egress, Self::EGRESS)
    }

    /// What a number says; an error where it says nothing that [`Self::number`] says.
    pub(crate) fn from_number(number: u32) -> Result<Option<Self>, Error> {
        if number == Self::NONE {
            return Ok(None);
        }
        let has = |bit: u32| number & bit != 0;
        let run = Self {
            backend: if has(Self::BWRAP) { Backend::Bwrap } else { Backend::Native },
            class: if has(Self::TERMINAL) { Class::Terminal } else { Class::Command },
            egress: has(Self::EGRESS),
        };
        if run.number() == number { Ok(Some(run)) } else { Err(Error::Record("run")) }
    }
}

/// One request, as it crosses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) worker: u64,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) index: u32,
    pub(crate) pids_max: u32,
    pub(crate) memory_max: u64,
    pub(crate) disk_max: u64,
    pub(crate) cpu_millis: u32,
    pub(crate) which: Which,
    pub(crate) run: Option<Run>,
    pub(crate) agent: Option<AgentId>,
}

impl Request {
    /// The size of every request, in bytes.
    pub(crate) const SIZE: usize = 164;
    /// The most descriptors that come with one.
    pub(crate) const DESCRIPTORS: usize = 5;

    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            number: 0,
            worker: 0,
            tenant: None,
            index: 0,
            pids_max: 0,
            memory_max: 0,
            disk_max: 0,
            cpu_millis: 0,
            which: Which::Live,
            run: None,
            agent: None,
        }
    }

    pub(crate) fn of(kind: Kind, tenant: TenantId) -> Self {
        Self { tenant: Some(tenant), ..Self::new(kind) }
    }

    pub(crate) fn about(kind: Kind, worker: u64) -> Self {
        Self { worker, ..Self::new(kind) }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_header(MAGIC, VERSION, self.kind.number(), self.number);
        out.u64(self.worker);
        out.u32(self.index);
        out.u32(self.pids_max);
        out.u64(self.memory_max);
        out.u64(self.disk_max);
        out.u32(self.cpu_millis);
        out.u32(self.which.number());
        out.u32(self.run.map_or(Run::NONE, Run::number));
        let name = self.tenant.as_ref().map_or("", TenantId::as_str);
        out.text(name, TenantId::MAX);
        out.text(self.agent.as_ref().map_or("", AgentId::as_str), AgentId::MAX);
        out.finish()
    }

    /// Reads a request and refuses whatever is not exactly of the agreed form and range.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::SIZE {
            return Err(Error::Record("size"));
        }
        let mut from = Reader::new(bytes);
        let (kind, number) = from.header(MAGIC, VERSION)?;
        let kind = Kind::from_number(kind).ok_or(Error::Record("kind"))?;
        let request = Self {
            kind,
            number,
            worker: from.u64()?,
            index: from.u32()?,
            pids_max: from.u32()?,
            memory_max: from.u64()?,
            disk_max: from.u64()?,
            cpu_millis: from.u32()?,
            which: Which::from_number(from.u32()?)?,
            run: Run::from_number(from.u32()?)?,
            tenant: match from.text(TenantId::MAX)? {
                "" => None,
                name => Some(name.parse().map_err(|_id| Error::Record("tenant"))?),
            },
            agent: match from.text(AgentId::MAX)? {
                "" => None,
                name => Some(name.parse().map_err(|_id| Error::Record("agent"))?),
            },
        };
        from.end()?;
        request.check()?;
        Ok(request)
    }

    /// A tenant's number, or which probe; nothing else has one.
    fn has_right_index(&self) -> bool {
        if self.kind == Kind::Probe {
            return probes::Chosen::from_number(self.index).is_some();
        }
        self.index == 0 || self.kind.names_tenant() && self.index <= MAX_INDEX
    }

    fn check(&self) -> Result<(), Error> {
        let (starts, runs) = (self.kind.starts(), self.kind == Kind::Run);
        let numbers = [
            ("index", self.has_right_index()),
            ("worker", self.kind.names_worker() == (self.worker != 0)),
            ("tenant", self.kind.names_tenant() == self.tenant.is_some()),
            ("agent", runs == self.agent.is_some()),
            ("run", runs == self.run.is_some()),
            ("root", self.which == Which::Live || self.kind.has_either_root()),
            ("pids", within(starts, &PIDS, &self.pids_max)),
            ("cpu", within(starts, &CPU_MILLIS, &self.cpu_millis)),
            ("memory", within(starts, &(MIN_MEMORY..=MAX_BYTES), &self.memory_max)),
            ("disk", within(self.kind == Kind::Prepare, &(MIN_DISK..=MAX_BYTES), &self.disk_max)),
        ];
        match numbers.iter().find(|(_, right)| !right) {
            Some((field, _)) => Err(Error::Record(field)),
            None => Ok(()),
        }
    }
}

/// In range where the kind uses the field, zero where it does not.
fn within<T: Default + PartialOrd>(
    used: bool,
    range: &std::ops::RangeInclusive<T>,
    value: &T,
) -> bool {
    if used { range.contains(value) } else { *value == T::default() }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done; the values are the answer.
    Done,
    /// A launch step failed: the payload is its name.
    Step,
    /// A system call failed: the payload says what it was for.
    Failed,
    /// Not done: the payload says why.
    Refused,
    /// Not done: the agent has no workspace.
    NoWorkspace,
}

/// The values of the answer to [`Kind::Kill`] for a process that is killed and not gone yet.
pub(crate) const DYING: [u64; 4] = [2, 0, 0, 0];

/// One answer: a fixed header and a bounded payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) verdict: Verdict,
    pub(crate) number: u64,
    pub(crate) values: [u64; 4],
    pub(crate) errno: i32,
    pub(crate) payload: Vec<u8>,
}

impl Reply {
    const HEADER: usize = 56;
    /// The most descriptors that come with one: a process, and its listener.
    pub(crate) const DESCRIPTORS: usize = 2;
    /// The most that a payload may hold: facts of a worker are a tenth of it.
    pub(crate) const MAX_PAYLOAD: usize = 64 << 10;
    /// The largest reply, in bytes.
    pub(crate) const MAX: usize = Self::HEADER + Self::MAX_PAYLOAD;

    pub(crate) fn done(values: [u64; 4]) -> Self {
        Self { verdict: Verdict::Done, number: 0, values, errno: 0, payload: Vec::new() }
    }

    pub(crate) fn payload(payload: Vec<u8>) -> Self {
        Self { payload, ..Self::done([0; 4]) }
    }

    pub(crate) fn other(verdict: Verdict, errno: i32, text: &str) -> Self {
        Self { verdict, errno, ..Self::payload(text.as_bytes().to_vec()) }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let verdict = match self.verdict {
            Verdict::Done => 0,
            Verdict::Step => 1,
            Verdict::Failed => 2,
            Verdict::Refused => 3,
            Verdict::NoWorkspace => 4,
        };
        let mut out = Writer::with_header(MAGIC, VERSION, verdict, self.number);
        for value in self.values {
            out.u64(value);
        }
        out.u32(self.errno.cast_unsigned());
        out.u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        let mut bytes = out.finish();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (header, payload) =
            bytes.split_at_checked(Self::HEADER).ok_or(Error::Record("size"))?;
        let mut from = Reader::new(header);
        let (verdict, number) = from.header(MAGIC, VERSION)?;
        let verdict = match verdict {
            0 => Verdict::Done,
            1 => Verdict::Step,
            2 => Verdict::Failed,
            3 => Verdict::Refused,
            4 => Verdict::NoWorkspace,
            _ => return Err(Error::Record("verdict")),
        };
        let values = [from.u64()?, from.u64()?, from.u64()?, from.u64()?];
        let errno = from.u32()?.cast_signed();
        let length = usize::try_from(from.u32()?).map_err(|_range| Error::Record("length"))?;
        if length != payload.len() || length > Self::MAX_PAYLOAD {
            return Err(Error::Record("length"));
        }
        from.end()?;
        Ok(Self { verdict, number, values, errno, payload: payload.to_vec() })
    }
}

#[cfg(test)]
mod tests;
