//! An archive of a tenant's root made and unpacked by confined workers, beside `tar` and `zstd` at
//! the same level on the same files and the same kind of disk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

/// Bytes of a tenant's disk.
const DISK: u64 = 8 << 30;

/// The processes of the example `roots`.
struct House {
    state: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// Measures many small files and one large one, `rounds` times each.
pub fn measure(rounds: usize, mebibytes: usize) -> Value {
    let state = tempfile::tempdir().unwrap();
    let mut house = House::start(state.path());
    let small = house.compare("small", rounds, |root| many(root, mebibytes));
    let large = house.compare("large", rounds, |root| one(root, mebibytes));
    house.end();
    json!({"manySmallFiles": small, "oneLargeFile": large})
}

impl House {
    fn start(state: &Path) -> Self {
        let here = std::env::current_exe().unwrap();
        let beside = here.parent().unwrap();
        let mut child = Command::new(beside.join("examples/roots"))
            .arg(state)
            .arg(beside.join("openclawmu-worker"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut house = Self { state: state.to_owned(), child, input, output };
        house.line();
        house
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn run(&mut self, command: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let said = self.line();
        said.get("gave").unwrap_or_else(|| panic!("{command}: {said}")).clone()
    }

    /// A tenant whose workspace has what `fill` makes.
    fn compare(&mut self, id: &str, rounds: usize, fill: impl FnOnce(&Path)) -> Value {
        for name in [id.to_owned(), format!("{id}-by-tar")] {
            self.run(&format!("create {name} {DISK}"));
            self.run(&format!("call {name} sessions.list {{}}"));
        }
        let root = self.state.join("tenants").join(id);
        let other = self.state.join(format!("tenants/{id}-by-tar/unpacked"));
        fill(&root.join("agents/main/workspace"));
        let owner = std::fs::metadata(&root).unwrap();
        shell(&format!("chown -R {}:{} {}", owner.uid(), owner.gid(), root.display()));
        chown(&root, Some(owner.uid()), Some(owner.gid())).unwrap();
        let (ours, theirs) = (format!("{id}.ours"), self.state.join(format!("{id}.theirs")));
        let (root, theirs, other) = (root.display(), theirs.display(), other.display());
        let mut found = [const { Vec::new() }; 4];
        let mut summary = Value::Null;
        for _ in 0..=rounds {
            let packed =
                shell(&format!("tar -C {root} -cf - . | zstd -3 -T1 -qfo {theirs}; sync {theirs}"));
            summary = self.run(&format!("export {id} {ours}"));
            shell(&format!("rm -rf {other}; mkdir {other}; sync -f {other}"));
            let unpacked =
                shell(&format!("zstd -dcq {theirs} | tar -C {other} -xpf -; sync -f {other}"));
            let staged = self.run(&format!("stage {id} {ours} discard"));
            let seconds = |gave: &Value| gave["micros"].as_f64().unwrap() / 1e6;
            let times = [packed, seconds(&summary), unpacked, seconds(&staged)];
            found.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
        // The first round has read what the others find in memory.
        let [packed, exported, unpacked, staged] = found.map(|all| median(&all[1..]));
        json!({
            "files": summary["files"],
            "bytes": summary["bytes"],
            "archiveBytes": summary["archiveBytes"],
            "theirBytes": std::fs::metadata(theirs.to_string()).unwrap().len(),
            "heldMicros": summary["heldMicros"],
            "tarSeconds": packed,
            "exportSeconds": exported,
            "exportOverTarThroughput": packed / exported,
            "untarSeconds": unpacked,
            "importSeconds": staged,
            "importOverUntarThroughput": unpacked / staged,
        })
    }

    fn end(mut self) {
        drop(self.input.take());
        self.child.wait().unwrap();
    }
}

/// Seconds that it takes.
pub(crate) fn shell(line: &str) -> f64 {
    let begun = Instant::now();
    let line = format!("set -o pipefail; {line}");
    let status = Command::new("bash").args(["-c", &line]).status().unwrap();
    assert!(status.success(), "{line}");
    begun.elapsed().as_secs_f64()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Files of 16 KiB in directories of 100.
pub(crate) fn many(root: &Path, mebibytes: usize) {
    for folder in 0..mebibytes * 64 / 100 {
        let path = root.join(format!("folder-{folder}"));
        std::fs::create_dir(&path).unwrap();
        for file in 0..100 {
            let text = text(folder * 100 + file, 16 << 10);
            std::fs::write(path.join(format!("file-{file}.txt")), text).unwrap();
        }
    }
}

pub(crate) fn one(root: &Path, mebibytes: usize) {
    let mut file = std::fs::File::create(root.join("file.txt")).unwrap();
    for piece in 0..mebibytes {
        file.write_all(text(piece, 1 << 20).as_bytes()).unwrap();
    }
}

/// Text that compresses as notes and sources do, to a third or so.
fn text(seed: usize, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "tenant", "worker", "the", "of", "archive", "a", "is", "session", "and", "file", "to",
        "root", "in", "disk", "that", "by",
    ];
    let mut state = u64::try_from(seed).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(length + 32);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[usize::try_from(state % 16).unwrap()]);
        if state & 0xf0 == 0 {
            text.push(' ');
            text.push_str(&(state >> 40).to_string());
        }
        text.push(if state & 0xf00 == 0 { '\n' } else { ' ' });
    }
    text.truncate(length);
    text
}
