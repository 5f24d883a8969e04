//! A fork of the launcher that enters a running worker's boundary and makes one attempt from there.
//!
//! Two processes, for a process never changes its own process namespace: the first enters every
//! namespace of the worker at once and is then worth no more than the worker; its child takes the
//! steps that a worker takes after its namespaces, the same functions in the same order, and executes
//! the worker's program as a probe. The first waits and tells how it ended.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{execveat, setgroups, setsid};

use super::child::{EndOnUnwind, report};
use super::{Context, Message, Ordered, Parts, Step, checks};
use crate::mode::Mode;
use crate::sys::{self, Child, End, Side};
use crate::{fds, probes};

/// Every namespace that a worker has for itself; the launcher's filter lets no other set pass.
const WHOLE: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWCGROUP)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUSER)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET);

/// How long an attempt may take: all are single calls that do not wait.
const DEADLINE: Duration = Duration::from_millis(500);

/// What the first process does while it still sees the host.
const BEFORE: [Step; 2] = [Step::Session, Step::Cgroup];
/// What the second does where the worker sees nothing else.
const AFTER: [Step; 10] = [
    Step::Descriptors,
    Step::BoundingSet,
    Step::SecureBits,
    Step::Ids,
    Step::Capabilities,
    Step::ParentDeath,
    Step::NoNewPrivs,
    Step::Umask,
    Step::Keyring,
    Step::ResourceLimits,
];

/// Whose boundary, and what is attempted there.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    /// The worker.
    pub(crate) process: BorrowedFd<'a>,
    pub(crate) pids_max: u32,
    /// What the probe inherits: the descriptors of a worker, with nobody at their far ends, and what
    /// there is to reach for.
    pub(crate) inherited: [BorrowedFd<'a>; 4],
    /// What it is told.
    pub(crate) words: [String; 2],
}

/// Where it went wrong.
type Failure = (&'static str, Errno);

/// Enters, attempts, tells, and ends.
pub(crate) fn join(parts: &Parts<'_>, steps: &[Step], joined: &Joined<'_>) -> ! {
    let _guard = EndOnUnwind;
    let told = prepare(parts, joined).and_then(|(mut context, process)| {
        let ended = enter(&mut context, steps, &process, &joined.words)?;
        fds::send(&context.sync, &ended.encode(), &[]).map_err(|_gone| ("answer", Errno::EPIPE))
    });
    if let Err((step, errno)) = told {
        report(parts.sync, step, errno);
        sys::end(125)
    }
    sys::end(0)
}

/// Takes copies of what is needed, and closes whatever else of the launcher's the fork has.
fn prepare(parts: &Parts<'_>, joined: &Joined<'_>) -> Result<(Context, OwnedFd), Failure> {
    let at = |errno| ("descriptors of the fork", errno);
    let mut context = Context::new(parts).map_err(at)?;
    let process = fds::lifted(joined.process).map_err(at)?;
    let inherited = joined.inherited.iter().map(fds::lifted).collect::<nix::Result<Vec<_>>>();
    let order = Ordered {
        tenant: String::new(),
        agent: None,
        run: None,
        pids_max: joined.pids_max,
        found: Vec::new(),
        inherited: inherited.map_err(at)?,
        mounts: Vec::new(),
    };
    let mut kept = vec![context.binary.as_fd(), context.null.as_fd(), context.sync.as_fd()];
    kept.push(process.as_fd());
    kept.push(parts.sync);
    kept.extend(order.inherited.iter().map(|fd| fd.as_fd()));
    kept.extend(context.cgroups.iter().map(|fd| fd.as_fd()));
    fds::close_all_but(3, &kept).map_err(at)?;
    context.order = Some(order);
    Ok((context, process))
}

fn enter(
    context: &mut Context,
    steps: &[Step],
    process: &OwnedFd,
    words: &[String; 2],
) -> Result<Message, Failure> {
    take(context, steps, &BEFORE)?;
    if context.mode == Mode::Root {
        setgroups(&[]).map_err(|errno| ("groups", errno))?;
    }
    setns(process, WHOLE).map_err(|errno| ("entering the namespaces", errno))?;
    // A change of powers has undone it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| ("parent death signal", errno))?;
    match sys::clone3(0).map_err(|errno| ("clone", errno))? {
        Side::Child => {
            let _guard = EndOnUnwind;
            let Err((step, errno)) = become_probe(context, steps, words);
            report(&context.sync, step, errno);
            sys::end(125)
        }
        Side::Parent(child) => wait(&child).map_err(|errno| ("wait", errno)),
    }
}

fn wait(child: &Child) -> nix::Result<Message> {
    if !fds::readable(&child.pidfd, DEADLINE)? {
        sys::kill(&child.pidfd, libc::SIGKILL)?;
    }
    Ok(match sys::reap(&child.pidfd)? {
        End::Exited(number) => Message::Probed { signaled: false, number },
        End::Signaled(number) => Message::Probed { signaled: true, number },
    })
}

fn become_probe(
    context: &mut Context,
    steps: &[Step],
    words: &[String; 2],
) -> Result<Infallible, Failure> {
    setsid().map_err(|errno| ("session", errno))?;
    take(context, steps, &AFTER)?;
    if let Some(check) = checks::first_failed(context) {
        return Err((check, Errno::EPERM));
    }
    let at = |errno| ("exec", errno);
    let [index, depth] = words;
    let all = [probes::NAME, index.as_str(), depth.as_str()].into_iter();
    let arguments: Result<Vec<_>, _> = all.map(CString::new).collect();
    let arguments = arguments.map_err(|_nul| at(Errno::EINVAL))?;
    let empty: [CString; 0] = [];
    execveat(&context.binary, c"", &arguments, &empty, AtFlags::AT_EMPTY_PATH).map_err(at)
}

/// Those of the steps that the launcher takes with its workers: a probe is confined as they are, and
/// no better.
fn take(context: &mut Context, steps: &[Step], which: &[Step]) -> Result<(), Failure> {
    for step in steps.iter().filter(|step| which.contains(step)) {
        step.take(context).map_err(|errno| (step.name(), errno))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STEPS;
    use crate::facts::NAMESPACES;

    /// A new step of a worker's that changes the process itself must be a probe's as well.
    #[test]
    fn a_probe_takes_every_step_that_is_not_a_namespace_or_a_mount() {
        let of_the_place = [
            Step::MountNamespace,
            Step::PidNamespace,
            Step::NetNamespace,
            Step::IpcNamespace,
            Step::UtsNamespace,
            Step::CgroupNamespace,
            Step::PrivateMounts,
            Step::Root,
            Step::Devices,
            Step::PivotRoot,
            Step::HostName,
            Step::Tenant,
            Step::ReadOnlyRoot,
            Step::UserNamespace,
        ];
        for step in STEPS.iter().filter(|step| step.is_for_workers()) {
            let own = BEFORE.contains(step) || AFTER.contains(step);
            assert_ne!(own, of_the_place.contains(step), "{step:?}");
        }
        assert_eq!(WHOLE.bits().count_ones(), u32::try_from(NAMESPACES.len()).unwrap());
    }
}
