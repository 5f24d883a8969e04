//! Whether bubblewrap works on this host: it runs one command in a sandbox that it made, with the
//! ids of nobody, and that command says which version it is.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, getegid, geteuid, pipe2, read};

use super::resources::Resources;
use super::spare::{self, Order};
use super::workers::Dying;
use crate::cgroup::Limits;
use crate::mode::Mode;
use crate::process::complain;
use crate::program::{self, Class, Rlimits, Said, Spec};
use crate::record::Run;
use crate::steps::What;
use crate::{Backend, Error, fds};

/// It takes some milliseconds; a host where it takes longer is better off without.
const DEADLINE: Duration = Duration::from_secs(3);
/// `bubblewrap 0.8.0` and a little more.
const ANSWER_MAX: usize = 64;
/// Enough for bubblewrap, init and one small program.
const LIMITS: Limits = Limits { memory_max: 64 << 20, pids_max: 16, cpu_millis: 1000 };

/// The version of a bubblewrap that works; none, with a word in the log, where it does not.
pub(super) fn version(resources: &Resources, id: u64, dying: &mut Dying) -> Option<String> {
    resources.bwrap.as_ref()?;
    match try_out(resources, id, dying) {
        Ok(version) => Some(version),
        Err(err) => {
            complain(&format!("bubblewrap is of no use here: {}", types::Chain(&err)));
            None
        }
    }
}

fn try_out(resources: &Resources, id: u64, dying: &mut Dying) -> Result<String, Error> {
    let (status, far_status) = program::status_pair()?;
    let (output, far_output) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::Io(errno.into()))?;
    let null = fds::null().map_err(|errno| Error::Io(errno.into()))?;
    let stderr = null.try_clone()?;
    let inherited = vec![null, far_output, stderr, far_status, program::seal(&spec())?];
    let order = Order {
        tenant: "trial",
        sandbox: Some((
            "trial",
            Run { backend: Backend::Bwrap, class: Class::Command, egress: false },
        )),
        ids: ids(resources),
        limits: LIMITS,
        found: Vec::new(),
        inherited,
        mounts: Vec::new(),
        within: DEADLINE,
    };
    let spare = spare::make(resources, id, What::Sandbox(Backend::Bwrap))?;
    let finished = spare.finish(resources, &order, dying)?;
    // Ours must be gone for the output to end.
    drop(order);
    let answer = listen(&status, &output);
    dying.discard(&resources.cgroups, (finished.child, finished.leaf));
    answer
}

/// The second of the gateway's own two ids, which nobody has.
fn ids(resources: &Resources) -> (Uid, Gid) {
    match resources.mode {
        Mode::Root => {
            let id = resources.ids.base.saturating_add(1);
            (Uid::from_raw(id), Gid::from_raw(id))
        }
        Mode::Rootless => (geteuid(), getegid()),
    }
}

fn spec() -> Spec {
    Spec {
        argv: vec!["/usr/bin/bwrap".to_owned(), "--version".to_owned()],
        env: Vec::new(),
        cwd: "/".to_owned(),
        terminal: None,
        files: Vec::new(),
        limits: Rlimits { cpu_seconds: 2, file_size: 0, open_files: 32, processes: 16 },
        class: Class::Command,
        egress: false,
    }
}

fn listen(status: &OwnedFd, output: &OwnedFd) -> Result<String, Error> {
    let deadline = Instant::now() + DEADLINE;
    if hear(status, deadline)? != Said::Ready {
        return Err(unusable("its init is not ready"));
    }
    program::go(status)?;
    if hear(status, deadline)? != (Said::Ended { code: 0, signal: None }) {
        return Err(unusable("a command in it fails"));
    }
    let text = written(output, deadline)?;
    let version =
        text.trim().strip_prefix("bubblewrap ").ok_or_else(|| unusable("it has no version"))?;
    Ok(version.to_owned())
}

/// What the command has written, to its end.
fn written(output: &OwnedFd, deadline: Instant) -> Result<String, Error> {
    let mut text = Vec::new();
    loop {
        wait(output, deadline)?;
        let mut bytes = [0; ANSWER_MAX];
        let count = read(output, &mut bytes).map_err(|errno| Error::Io(errno.into()))?;
        text.extend(bytes.iter().take(count));
        if count == 0 || text.len() >= ANSWER_MAX {
            return String::from_utf8(text).map_err(|_err| unusable("its version is not text"));
        }
    }
}

fn hear(status: &OwnedFd, deadline: Instant) -> Result<Said, Error> {
    wait(status, deadline)?;
    match program::receive(status)? {
        Some((Said::Refused { step, errno }, _)) => Err(Error::Step { step, errno }),
        Some((said, _)) => Ok(said),
        None => Err(unusable("its init ends without a word")),
    }
}

fn wait(fd: &OwnedFd, deadline: Instant) -> Result<(), Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    match fds::readable(fd, left) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unusable("it is too slow")),
        Err(errno) => Err(Error::Io(errno.into())),
    }
}

fn unusable(reason: &str) -> Error {
    Error::Refused { reason: reason.to_owned() }
}
