//! The child that becomes the command: its session, terminal, limits and confinement, and then the
//! program itself. Nothing of init is ever returned to.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{chdir, execve, setsid, write};

use super::{Frozen, Refusal, files};
use crate::program::{Rlimits, Said, Spec, Told};
use crate::sys::{self, pty};
use crate::{Profile, confine, fds};

/// The copy of a bound file stays open in the command from here up, above what shells redirect.
const COPY: RawFd = 10;
/// Where programs are looked for when the environment does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a shell answers for a program that is not there, and for one that cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

/// Ends the process where code would otherwise unwind into init's frames.
struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        sys::end(NOT_RUN)
    }
}

/// Becomes the command, when init says so.
pub(super) fn run(
    spec: &Spec,
    frozen: Option<&Frozen>,
    slave: Option<&OwnedFd>,
    sync: &OwnedFd,
    profile: Profile,
) -> ! {
    let _guard = EndOnUnwind;
    let prepared = prepare(spec, frozen, slave, profile);
    let said = match &prepared {
        Ok(_words) => Said::Ready,
        Err(Refusal { step, errno }) => Said::Refused { step: step.clone(), errno: *errno },
    };
    let told = fds::send(sync, &said.encode(), &[]).and_then(|()| fds::receive(sync, Told::MAX, 0));
    let Ok((bytes, _)) = told else { sys::end(NOT_RUN) };
    let (Ok(prepared), Some(Told::Go)) = (prepared, Told::decode(&bytes)) else {
        sys::end(NOT_RUN)
    };
    if let Err(Refusal { step, errno }) = files::check_again(spec, frozen) {
        tell(spec, &format!("{step}: {}", Errno::from_raw(errno).desc()));
        sys::end(NOT_RUN);
    }
    let Err(errno) = execute(&prepared);
    let told = tell(spec, errno.desc());
    sys::end(if told && errno == Errno::ENOENT { NOT_FOUND } else { NOT_RUN })
}

/// Says why the command is not executed, as a shell would.
fn tell(spec: &Spec, why: &str) -> bool {
    let line = format!("{}: {why}\n", spec.argv.first().map_or("", String::as_str));
    write(std::io::stderr(), line.as_bytes()).is_ok()
}

/// What `execve` is given.
struct Prepared {
    /// Tried one after the other, as a shell does.
    programs: Vec<CString>,
    words: Vec<CString>,
    variables: Vec<CString>,
}

fn prepare(
    spec: &Spec,
    frozen: Option<&Frozen>,
    slave: Option<&OwnedFd>,
    profile: Profile,
) -> Result<Prepared, Refusal> {
    sys::reset_signals().map_err(Refusal::at("signals"))?;
    setsid().map_err(Refusal::at("session"))?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Refusal::at("death signal"))?;
    if let Some(slave) = slave {
        pty::control(slave).map_err(Refusal::at("controlling terminal"))?;
        for at in 0..3 {
            fds::place(slave, at).map_err(Refusal::at("terminal"))?;
        }
    }
    let prepared = command_line(spec, frozen)?;
    limit(spec.limits).map_err(Refusal::at("limits"))?;
    chdir(spec.cwd.as_str()).map_err(Refusal::at("directory"))?;
    confine::landlock_tools(spec.egress)?;
    confine::filter(profile)?;
    Ok(prepared)
}

fn limit(limits: Rlimits) -> nix::Result<()> {
    for (resource, max) in [
        (Resource::RLIMIT_CPU, limits.cpu_seconds),
        (Resource::RLIMIT_FSIZE, limits.file_size),
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_NPROC, limits.processes),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
    ] {
        let max = max.min(getrlimit(resource)?.1);
        setrlimit(resource, max, max)?;
    }
    Ok(())
}

/// The words to execute, with the copy in place of the file.
fn command_line(spec: &Spec, frozen: Option<&Frozen>) -> Result<Prepared, Refusal> {
    let failed = Refusal::at("command line");
    let mut words = spec.argv.clone();
    let mut program = None;
    if let Some(frozen) = frozen {
        let at = fcntl(&frozen.file, FcntlArg::F_DUPFD(COPY)).map_err(&failed)?;
        let path = format!("/proc/self/fd/{at}");
        if frozen.argument == 0 {
            // It keeps its name: only what is executed is the copy.
            program = Some(path);
        } else if let Some(word) = words.get_mut(frozen.argument) {
            *word = path;
        }
    }
    let programs = match (program, spec.argv.first()) {
        (Some(path), _) => vec![path],
        (None, Some(name)) => places(name, &spec.env),
        (None, None) => return Err(failed(Errno::ENOENT)),
    };
    let text = |it: String| CString::new(it).map_err(|_nul| failed(Errno::EINVAL));
    let variables = spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    Ok(Prepared {
        programs: programs.into_iter().map(text).collect::<Result<_, _>>()?,
        words: words.into_iter().map(text).collect::<Result<_, _>>()?,
        variables: variables.map(text).collect::<Result<_, _>>()?,
    })
}

/// Where a program may be: a name with a slash is a path, another one is looked for.
fn places(name: &str, env: &[(String, String)]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = env.iter().find(|(variable, _)| variable == "PATH");
    let path = path.map_or(PATH, |(_, value)| value.as_str());
    // An empty or relative part would mean whatever directory one is in.
    let parts = path.split(':').filter(|part| part.starts_with('/'));
    parts.map(|part| format!("{}/{name}", part.trim_end_matches('/'))).collect()
}

fn execute(prepared: &Prepared) -> nix::Result<Infallible> {
    let mut last = Errno::ENOENT;
    for program in &prepared.programs {
        match execve(program, &prepared.words, &prepared.variables) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            // A later one of the same name may be allowed.
            Err(Errno::EACCES) => last = Errno::EACCES,
            executed => return executed,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_absolute_places_only() {
        let check = |name: &str, path: Option<&str>, wanted: &[&str]| {
            let env: Vec<_> =
                path.map(|it| ("PATH".to_owned(), it.to_owned())).into_iter().collect();
            assert_eq!(places(name, &env), wanted, "{name} {path:?}");
        };
        check("./x", Some("/bin"), &["./x"]);
        check("x", Some("/a::b:.:/c/"), &["/a/x", "/c/x"]);
        check("x", None, &["/usr/local/bin/x", "/usr/bin/x", "/bin/x"]);
        check("x", Some(""), &[]);
    }
}
