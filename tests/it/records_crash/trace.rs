//! What a writer did to its database file, call by call, as `strace` saw it; and the file as a
//! power cut may have left it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{program, until};

/// How much the kernel writes or keeps back as one.
const PAGE: usize = 4096;

/// Acknowledgements after which the writer is stopped.
const COMMITS: usize = 600;

/// The longest buffer that sled hands to the kernel is one segment.
const LONGEST: &str = "1048576";

/// One call on the database, in the order in which the calls began.
struct Call {
    what: What,
    began: usize,
    ended: usize,
}

enum What {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    /// The file gets this length: what is beyond it goes, what is missing is zeros.
    Resize(usize),
    Sync,
    /// A line that the writer printed, after it was told that its commit is durable.
    Acknowledge(String),
}

/// A writer's whole life. A moment is a line of it.
pub(super) struct Trace {
    /// Everything but the database file, as it was from the first acknowledgement on.
    dir: PathBuf,
    calls: Vec<Call>,
    first: usize,
    end: usize,
}

impl Trace {
    /// Runs a writer below `dir` until it has done enough.
    #[expect(clippy::disallowed_methods, reason = "starts the writer under a tracer")]
    pub(super) fn record(dir: &Path) -> Self {
        let dir = dir.canonicalize().unwrap();
        let (store, log, said) = (dir.join("store"), dir.join("log"), dir.join("said"));
        let mut tracer = Command::new("strace")
            .args(["-f", "-qq", "-xx", "-s", LONGEST])
            .args(["-e", "trace=pwrite64,ftruncate,fsync,fdatasync,write,rename"])
            .arg("-P")
            .arg(store.join("sled/db"))
            .arg("-P")
            .arg(&said)
            .arg("-o")
            .arg(&log)
            .arg(program("crash_writer"))
            .arg(&store)
            .stdout(fs::File::create(&said).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs strace (apt-get install strace)");
        until("the writer has done enough", || {
            assert!(tracer.try_wait().unwrap().is_none(), "the writer ended by itself");
            fs::read_to_string(&said).unwrap().lines().count() >= COMMITS
        });
        // At SIGTERM strace lets its writer go instead of ending it, so the writer goes first.
        let children = format!("/proc/{0}/task/{0}/children", tracer.id());
        for child in fs::read_to_string(children).unwrap().split_whitespace() {
            let child = nix::unistd::Pid::from_raw(child.parse().unwrap());
            nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        tracer.wait().unwrap();
        Self::parse(store, &fs::read_to_string(log).unwrap())
    }

    fn parse(dir: PathBuf, log: &str) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        let end = log.lines().count();
        for (line, text) in log.lines().enumerate() {
            let (thread, text) = text.split_once(' ').unwrap();
            let text = text.trim_start();
            if let Some(rest) = text.strip_prefix("<... ") {
                let (_, rest) = rest.split_once(" resumed>").unwrap();
                let open = calls.iter_mut().rev().find(|call| call.is_open(thread));
                if let (Some(call), true) = (open, rest.contains(" = ")) {
                    call.ended = line;
                }
            } else if let Some(what) = What::parse(text) {
                let unfinished = text.ends_with("<unfinished ...>");
                // Until it is resumed, an open call remembers its thread where its end will be.
                let ended = if unfinished { Call::open(thread) } else { line };
                calls.push(Call { what, began: line, ended });
            }
        }
        let first = |call: &&Call| matches!(call.what, What::Acknowledge(_));
        let first = calls.iter().find(first).unwrap().began;
        assert!(end - first > COMMITS, "the trace holds less than the writer did");
        Self { dir, calls, first, end }
    }

    /// How many moments there are to cut the power at.
    pub(super) fn moments(&self) -> usize {
        self.end - self.first
    }

    /// What the writer had said by then.
    pub(super) fn acknowledged(&self, moment: usize) -> String {
        let said = self.calls.iter().filter(|call| call.ended <= self.first + moment);
        said.filter_map(|call| match &call.what {
            What::Acknowledge(line) => Some(line.as_str()),
            What::Write { .. } | What::Resize(_) | What::Sync => None,
        })
        .collect()
    }

    /// The file with nothing in it but what a finished sync covers.
    pub(super) fn synced(&self, moment: usize) -> Vec<u8> {
        let mut image = Vec::new();
        let covered = self.covered(moment);
        for call in self.calls.iter().filter(|call| call.ended < covered) {
            call.what.lay(&mut image, 0..usize::MAX);
        }
        image
    }

    /// The same, and of each page written since then what it was at a moment of its own.
    pub(super) fn with_pages(&self, moment: usize, random: fn(usize) -> usize) -> Vec<u8> {
        let (mut image, covered) = (self.synced(moment), self.covered(moment));
        let later = self.calls.iter().filter(|call| call.ended >= covered);
        let later = later.filter(|call| call.began <= self.first + moment);
        let later: Vec<_> = later.map(|call| &call.what).filter(|what| what.end() > 0).collect();
        // The length is that of one moment, and what some page needs.
        let mut length = image.len();
        for what in later.iter().take(random(later.len() + 1)) {
            length = what.length_after(length);
        }
        let end = later.iter().map(|what| what.end()).max().unwrap_or(0);
        for page in (0..end).step_by(PAGE).map(|start| start..start + PAGE) {
            let mine: Vec<_> = later.iter().filter(|what| what.touches(&page)).collect();
            for what in mine.iter().take(random(mine.len() + 1)) {
                what.lay(&mut image, page.clone());
                if let What::Write { .. } = what {
                    length = length.max(what.end().min(page.end));
                }
            }
        }
        image.resize(length, 0);
        image
    }

    /// Makes the directory that is found after the cut.
    pub(super) fn put(&self, image: &[u8], to: &Path) {
        for folder in ["", "sled", "dumps"] {
            fs::create_dir_all(to.join(folder)).unwrap();
            for entry in fs::read_dir(self.dir.join(folder)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
                }
            }
        }
        fs::write(to.join("sled/db"), image).unwrap();
    }

    /// The moment up to which finished writes were on the disk: when the last sync that had ended
    /// by `moment` began.
    fn covered(&self, moment: usize) -> usize {
        let syncs = self.calls.iter().filter(|call| matches!(call.what, What::Sync));
        syncs.filter(|call| call.ended <= self.first + moment).map(|call| call.began).max().unwrap()
    }
}

impl Call {
    /// Beyond every line, and different for each thread.
    fn open(thread: &str) -> usize {
        usize::MAX - thread.parse::<usize>().unwrap()
    }

    fn is_open(&self, thread: &str) -> bool {
        self.ended == Self::open(thread)
    }
}

impl What {
    fn parse(text: &str) -> Option<Self> {
        let (name, arguments) = text.split_once('(')?;
        match name {
            "pwrite64" => {
                let (bytes, rest) = buffer(arguments);
                // `, LENGTH, OFFSET`, and then `) = …` or ` <unfinished ...>`.
                let mut numbers = rest.split([',', ')', ' ']).filter(|it| !it.is_empty());
                let length: usize = numbers.next()?.parse().unwrap();
                let offset = numbers.next()?.parse().unwrap();
                assert_eq!(length, bytes.len(), "strace cut a buffer short");
                Some(Self::Write { offset, bytes })
            }
            "write" => Some(Self::Acknowledge(String::from_utf8(buffer(arguments).0).unwrap())),
            "ftruncate" => {
                let (_, length) = arguments.split_once(", ").unwrap();
                let length = length.split([')', ' ']).next().unwrap();
                Some(Self::Resize(length.parse().unwrap()))
            }
            "fsync" | "fdatasync" => Some(Self::Sync),
            // The process was gone before strace had asked which call it was.
            "???" => None,
            other => panic!("a call that the model does not know: {other}"),
        }
    }

    /// Where it ends in the file; 0 where it does not change the file.
    fn end(&self) -> usize {
        match self {
            Self::Write { offset, bytes } => offset + bytes.len(),
            Self::Resize(length) => *length,
            Self::Sync | Self::Acknowledge(_) => 0,
        }
    }

    fn length_after(&self, before: usize) -> usize {
        if let Self::Resize(length) = self { *length } else { before.max(self.end()) }
    }

    fn touches(&self, page: &Range<usize>) -> bool {
        match self {
            Self::Write { offset, .. } => *offset < page.end && self.end() > page.start,
            Self::Resize(length) => *length < page.end,
            Self::Sync | Self::Acknowledge(_) => false,
        }
    }

    /// Does to this part of the file what the call did to the whole.
    fn lay(&self, image: &mut Vec<u8>, part: Range<usize>) {
        let whole = part.end == usize::MAX;
        match self {
            Self::Write { offset, bytes } => {
                let start = part.start.max(*offset);
                let end = part.end.min(self.end());
                let length = image.len().max(end);
                image.resize(length, 0);
                image[start..end].copy_from_slice(&bytes[start - offset..end - offset]);
            }
            Self::Resize(length) if whole => image.resize(*length, 0),
            Self::Resize(length) => {
                let end = part.end.min(image.len());
                let start = part.start.max(*length).min(end);
                image[start..end].fill(0);
            }
            Self::Sync | Self::Acknowledge(_) => {}
        }
    }
}

/// The bytes between quotes, each written as `\xNN`, and what comes after them.
fn buffer(arguments: &str) -> (Vec<u8>, &str) {
    let (_, rest) = arguments.split_once('"').unwrap();
    let (bytes, rest) = rest.split_once('"').unwrap();
    let bytes = bytes.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
    (bytes.collect(), rest)
}
