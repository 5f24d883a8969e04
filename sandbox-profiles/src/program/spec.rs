//! A command as bytes: lengths and fields, every one of them bounded, in a file that nobody can
//! change. It does not know what any of it means.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use nix::sys::stat::Mode;

use super::{Bound, Class, Rlimits, Spec};
use crate::cursor::{Reader, Writer};
use crate::sealed::sealed;

const MAGIC: u32 = 0x5350_4543;
/// The largest spec, in bytes: words and variables are bounded to less where they come from.
pub(crate) const MAX: usize = 1 << 20;
/// More words than this the kernel would take, but no person approves.
const MAX_WORDS: usize = 1024;
/// More variables than this nobody sets.
const MAX_VARIABLES: usize = 512;
/// Each is read and copied before the command is run.
const MAX_FILES: usize = 16;

/// Why a command cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command's {0} is out of bounds")]
pub struct InvalidSpec(pub &'static str);

/// The command as a sealed file in memory.
///
/// # Errors
/// `InvalidInput` with [`InvalidSpec`] where the command is out of bounds; otherwise when the
/// machine is out of memory or descriptors.
pub fn seal(spec: &Spec) -> io::Result<OwnedFd> {
    let bytes = encode(spec);
    decode(&bytes).map_err(|err| io::Error::new(io::ErrorKind::InvalidInput, err))?;
    sealed(c"openclawmu-spec", &bytes, Mode::S_IRUSR)
}

/// The bytes of a sealed spec, wherever the position of its descriptor is.
pub(crate) fn read(spec: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let file = File::from(spec.try_clone_to_owned()?);
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn encode(spec: &Spec) -> Vec<u8> {
    let mut out = Writer::default();
    out.u32(MAGIC);
    out.u32(u32::from(spec.class == Class::Terminal));
    out.u32(u32::from(spec.egress));
    let (columns, rows) = spec.terminal.unwrap_or((0, 0));
    out.u32(u32::from(spec.terminal.is_some()));
    out.u32(u32::from(columns));
    out.u32(u32::from(rows));
    let Rlimits { cpu_seconds, file_size, open_files, processes } = spec.limits;
    for limit in [cpu_seconds, file_size, open_files, processes] {
        out.u64(limit);
    }
    out.word(&spec.cwd);
    out.count(spec.argv.len());
    for word in &spec.argv {
        out.word(word);
    }
    out.count(spec.env.len());
    for (name, value) in &spec.env {
        out.word(name);
        out.word(value);
    }
    out.count(spec.files.len());
    for file in &spec.files {
        out.u32(file.argument);
        out.bytes(&file.sha256);
    }
    out.finish()
}

/// Reads what [`encode`] wrote and refuses whatever is not exactly of its form.
pub(crate) fn decode(bytes: &[u8]) -> Result<Spec, InvalidSpec> {
    if bytes.len() > MAX {
        return Err(InvalidSpec("size"));
    }
    let spec = fields(bytes)?;
    check(&spec)?;
    Ok(spec)
}

fn fields(bytes: &[u8]) -> Result<Spec, InvalidSpec> {
    let form = |_record| InvalidSpec("form");
    let mut from = Reader::new(bytes);
    if from.u32().map_err(form)? != MAGIC {
        return Err(InvalidSpec("form"));
    }
    let class = if flag(&mut from)? { Class::Terminal } else { Class::Command };
    let egress = flag(&mut from)?;
    let has_terminal = flag(&mut from)?;
    let mut size = || {
        u16::try_from(from.u32().map_err(form)?)
            .map_err(|_range| InvalidSpec("size of the terminal"))
    };
    let (columns, rows) = (size()?, size()?);
    let mut number = || from.u64().map_err(form);
    let limits = Rlimits {
        cpu_seconds: number()?,
        file_size: number()?,
        open_files: number()?,
        processes: number()?,
    };
    let cwd = word(&mut from)?;
    let argv = list(&mut from, MAX_WORDS, "number of words", word)?;
    let env = list(&mut from, MAX_VARIABLES, "number of variables", |from| {
        Ok((word(from)?, word(from)?))
    })?;
    let files = list(&mut from, MAX_FILES, "number of files", |from| {
        let argument = from.u32().map_err(form)?;
        Ok(Bound { argument, sha256: from.array().map_err(form)? })
    })?;
    from.end().map_err(form)?;
    let terminal = has_terminal.then_some((columns, rows));
    Ok(Spec { argv, env, cwd, terminal, files, limits, class, egress })
}

fn check(spec: &Spec) -> Result<(), InvalidSpec> {
    let named = |name: &str| !name.is_empty() && !name.contains('=');
    let is_word = |argument: u32| usize::try_from(argument).is_ok_and(|it| it < spec.argv.len());
    let rules = [
        ("program", spec.argv.first().is_some_and(|program| !program.is_empty())),
        ("directory", spec.cwd.starts_with('/')),
        ("name of a variable", spec.env.iter().all(|(name, _)| named(name))),
        ("file", spec.files.iter().all(|file| is_word(file.argument))),
        ("second file of a word", are_of_one_word_each(spec)),
    ];
    match rules.iter().find(|(_, right)| !right) {
        Some((what, _)) => Err(InvalidSpec(what)),
        None => Ok(()),
    }
}

/// Two digests for one word would be two files, of which only one can be meant.
fn are_of_one_word_each(spec: &Spec) -> bool {
    let words: BTreeSet<u32> = spec.files.iter().map(|file| file.argument).collect();
    words.len() == spec.files.len()
}

fn flag(from: &mut Reader<'_>) -> Result<bool, InvalidSpec> {
    match from.u32() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        _ => Err(InvalidSpec("form")),
    }
}

/// Text that can be a word of a command line: the kernel ends words at a zero byte.
fn word(from: &mut Reader<'_>) -> Result<String, InvalidSpec> {
    let text = from.word().map_err(|_record| InvalidSpec("form"))?;
    if text.contains('\0') { Err(InvalidSpec("text")) } else { Ok(text.to_owned()) }
}

fn list<T>(
    from: &mut Reader<'_>,
    max: usize,
    what: &'static str,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, InvalidSpec>,
) -> Result<Vec<T>, InvalidSpec> {
    let count = from.u32().map_err(|_record| InvalidSpec("form"))?;
    let count = usize::try_from(count).ok().filter(|it| *it <= max).ok_or(InvalidSpec(what))?;
    (0..count).map(|_| one(from)).collect()
}
