//! Files that the command line names and that somebody approved: read and compared, and the program
//! or the script among them executed from a sealed copy. See [`Bound`] for what that is worth.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::Refusal;
use crate::program::{Bound, Spec};
use crate::sealed::sealed;

mod script;

/// A script or a program that an agent wrote; compilers' output is rarely larger.
const MAX: u64 = 16 << 20;

/// The content of the one bound file that is executed.
#[derive(Debug)]
pub(super) struct Frozen {
    /// Which word of the command line it stands for.
    pub(super) argument: usize,
    pub(super) file: OwnedFd,
}

/// Compares all files that the command is bound to, and takes a copy of the one that is executed.
pub(super) fn freeze(spec: &Spec) -> Result<Option<Frozen>, Refusal> {
    let executed = executed(spec);
    let mut frozen = None;
    for bound in &spec.files {
        let (argument, content) = compared(spec, &spec.cwd, bound)?;
        if argument == 0 {
            sound(spec, &content)?;
        }
        if executed == Some(argument) {
            let copy = sealed(c"bound", &content, Mode::S_IRUSR | Mode::S_IXUSR);
            let refused = |err| Refusal::new(&format!("bound file {argument}"), number(&err));
            frozen = Some(Frozen { argument, file: copy.map_err(refused)? });
        }
    }
    Ok(frozen)
}

/// Compares the others once more, as the command itself will find them: in its directory, which it
/// is in, by their names.
pub(super) fn check_again(spec: &Spec, frozen: Option<&Frozen>) -> Result<(), Refusal> {
    let frozen = frozen.map(|it| it.argument);
    let mut others = spec.files.iter().filter(|bound| word(bound) != frozen);
    others.try_for_each(|bound| compared(spec, ".", bound).map(drop))
}

/// The word that is executed from a copy, if one is.
fn executed(spec: &Spec) -> Option<usize> {
    let first = spec.files.iter().filter_map(word).min()?;
    (first == 0 || script::is_at(&spec.argv, first)).then_some(first)
}

fn word(bound: &Bound) -> Option<usize> {
    usize::try_from(bound.argument).ok()
}

/// Whether what a bound program names beside itself is bound by its place.
fn sound(spec: &Spec, content: &[u8]) -> Result<(), Refusal> {
    if !spec.argv.first().is_some_and(|word| word.contains('/')) {
        return Err(Refusal::new("bound program without a path", Errno::EINVAL));
    }
    if script::interpreter(content).is_some_and(|it| !script::is_of_system(it)) {
        return Err(Refusal::new("interpreter of the bound program", Errno::EACCES));
    }
    Ok(())
}

/// Which word it is, and its content, which is what was approved.
fn compared(spec: &Spec, cwd: &str, bound: &Bound) -> Result<(usize, Vec<u8>), Refusal> {
    let argument = word(bound).unwrap_or(usize::MAX);
    let word = spec.argv.get(argument).ok_or_else(|| Refusal::new("bound file", Errno::EINVAL))?;
    let refused = |errno| Refusal::new(&format!("bound file {argument}"), errno);
    let content = content(cwd, word).map_err(refused)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
    if digest.as_ref() != bound.sha256 {
        return Err(Refusal::new(&format!("bound file {argument} has changed"), Errno::ESTALE));
    }
    Ok((argument, content))
}

/// What a name leads to, without a link on the way.
fn content(cwd: &str, name: &str) -> nix::Result<Vec<u8>> {
    let directory =
        open(cwd, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    // A pipe with a name would otherwise hold us up.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let file = openat2(&directory, name, OpenHow::new().flags(flags).resolve(resolve))?;
    let stat = fstat(&file)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    let mut content = Vec::new();
    let read = File::from(file).take(MAX + 1).read_to_end(&mut content);
    let length = u64::try_from(read.map_err(|err| number(&err))?).unwrap_or(u64::MAX);
    if length > MAX { Err(Errno::EFBIG) } else { Ok(content) }
}

fn number(err: &io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Class, Rlimits};

    /// `words` in `cwd`, of which those with a content are bound to it.
    fn spec(cwd: &str, words: &[(&str, Option<&[u8]>)]) -> Spec {
        let digest = |content| ring::digest::digest(&ring::digest::SHA256, content);
        let bound = words.iter().zip(0..).filter_map(|((_, content), argument)| {
            let sha256 = digest((*content)?).as_ref().try_into().unwrap();
            Some(Bound { argument, sha256 })
        });
        Spec {
            argv: words.iter().map(|(word, _)| (*word).to_owned()).collect(),
            env: Vec::new(),
            cwd: cwd.into(),
            terminal: None,
            files: bound.collect(),
            limits: Rlimits { cpu_seconds: 1, file_size: 1, open_files: 1, processes: 1 },
            class: Class::Command,
            egress: false,
        }
    }

    #[test]
    fn only_the_very_file_that_was_approved_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("good"), "echo good").unwrap();
        std::os::unix::fs::symlink("good", folder.path().join("link")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let bash = |word: &str, content: &[u8]| spec(cwd, &[("bash", None), (word, Some(content))]);
        let taken = freeze(&bash("good", b"echo good")).unwrap().unwrap();
        std::fs::write(folder.path().join("good"), "echo bad").unwrap();
        let mut kept = String::new();
        let file = File::from(taken.file);
        assert!(file.set_len(0).is_err());
        (&file).read_to_string(&mut kept).unwrap();
        assert_eq!(kept, "echo good");
        let check = |word: &str, content: &[u8], errno: i32| {
            let refused = freeze(&bash(word, content)).unwrap_err();
            assert_eq!(refused.errno, errno, "{word}: {}", refused.step);
        };
        check("good", b"echo good", libc::ESTALE);
        check("link", b"echo bad", libc::ELOOP);
        check("pipe", b"", libc::EINVAL);
        check(".", b"", libc::EINVAL);
        check("none", b"", libc::ENOENT);
        let large = File::create(folder.path().join("large")).unwrap();
        large.set_len(MAX + 1).unwrap();
        check("large", b"", libc::EFBIG);
    }

    #[test]
    fn a_program_or_a_script_is_frozen_and_the_rest_checked() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().to_str().unwrap();
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let check = |words: &[(&str, Option<&[u8]>)], wanted: Option<usize>| {
            let spec = spec(cwd, words);
            let frozen = freeze(&spec).unwrap();
            assert_eq!(frozen.as_ref().map(|it| it.argument), wanted, "{words:?}");
        };
        let (a, b): (Option<&[u8]>, Option<&[u8]>) = (Some(b"a"), Some(b"b"));
        check(&[("./a", a), ("b", b)], Some(0));
        check(&[("bash", None), ("a", a), ("b", b)], Some(1));
        check(&[("python3.11", None), ("-u", None), ("b", b)], Some(2));
        check(&[("gcc", None), ("a", a), ("b", b)], None);
        check(&[("rm", None), ("a", a)], None);
        check(&[("bash", None), ("-c", None)], None);
        let refused = |words: &[(&str, Option<&[u8]>)]| freeze(&spec(cwd, words)).unwrap_err();
        let changed = refused(&[("./a", a), ("b", a)]);
        assert_eq!(changed.errno, libc::ESTALE);
        assert_eq!(refused(&[("a", a)]).errno, libc::EINVAL);
        std::fs::write(folder.path().join("script"), "#!/workspace/sh\n").unwrap();
        let script: Option<&[u8]> = Some(b"#!/workspace/sh\n");
        assert_eq!(refused(&[("./script", script)]).errno, libc::EACCES);
    }

    #[test]
    fn what_is_only_checked_is_checked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "a").unwrap();
        let spec = spec("/", &[("rm", None), (path.to_str().unwrap(), Some(b"a"))]);
        assert!(freeze(&spec).unwrap().is_none());
        check_again(&spec, None).unwrap();
        std::fs::write(&path, "b").unwrap();
        assert_eq!(check_again(&spec, None).unwrap_err().errno, libc::ESTALE);
    }
}
