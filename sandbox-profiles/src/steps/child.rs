//! The fork's own run through the steps, and what it says to the launcher on the way. It ends as
//! the worker binary or not at all: nothing of the launcher's code is ever returned to.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::execveat;

use super::{Context, Ordered, Parts, Step, What, bwrap, checks, identity};
use crate::{Backend, fds, sys};

/// What the launcher answers when the maps are written.
pub(crate) const SYNC_GO: &[u8] = b"g";

/// The worker's only argument.
const NAME: &str = "openclawmu-worker";

/// What the fork says to the launcher. That it has become a worker or an init is said by the
/// pair's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The user namespace is made and wants its maps.
    MapMe,
    /// Here is the sandbox's listener.
    Listener,
    /// Bubblewrap has started init.
    Started,
    /// A probe has ended.
    Probed {
        /// Whether by a signal.
        signaled: bool,
        /// Its exit code, or the signal.
        number: i32,
    },
    /// A step failed.
    Failed {
        /// Its name.
        step: String,
        /// Why.
        errno: i32,
    },
}

impl Message {
    /// The largest message, in bytes.
    pub(crate) const MAX: usize = 128;

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::MapMe => vec![0],
            Self::Listener => vec![2],
            Self::Started => vec![3],
            Self::Probed { signaled, number } => {
                [&[4, u8::from(*signaled)][..], &number.to_le_bytes()].concat()
            }
            Self::Failed { step, errno } => {
                [&[1][..], &errno.to_le_bytes(), step.as_bytes()].concat()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, []) => Some(Self::MapMe),
            (2, []) => Some(Self::Listener),
            (3, []) => Some(Self::Started),
            (4, rest) => {
                let (signaled, number) = rest.split_first()?;
                let number = i32::from_le_bytes(number.try_into().ok()?);
                (*signaled <= 1).then_some(Self::Probed { signaled: *signaled == 1, number })
            }
            (1, rest) => {
                let (errno, step) = rest.split_first_chunk()?;
                let step = String::from_utf8_lossy(step).into_owned();
                Some(Self::Failed { step, errno: i32::from_le_bytes(*errno) })
            }
            _ => None,
        }
    }
}

/// Why the fork did not become what it was to be.
enum Failure {
    /// Something failed.
    At(&'static str, Errno),
    /// The launcher is gone, or has no use for it.
    Dismissed,
}

/// Ends the process where code would otherwise unwind into the launcher's frames.
pub(super) struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        sys::end(125)
    }
}

/// Takes every step, waits for the order where one needs it, and becomes what was ordered.
pub(crate) fn run(parts: &Parts<'_>, steps: &[Step]) -> ! {
    let _guard = EndOnUnwind;
    match Context::new(parts) {
        Err(errno) => report(parts.sync, "descriptors of the fork", errno),
        Ok(mut context) => {
            let Err(failure) = become_ordered(&mut context, steps);
            if let Failure::At(step, errno) = failure {
                report(&context.sync, step, errno);
            }
        }
    }
    sys::end(125)
}

pub(super) fn report(sync: impl AsFd, step: &str, errno: Errno) {
    let message = Message::Failed { step: step.to_owned(), errno: number(errno) };
    if fds::send(sync, &message.encode(), &[]).is_err() {
        sys::end(124)
    }
}

fn number(errno: Errno) -> i32 {
    std::io::Error::from(errno).raw_os_error().unwrap_or(0)
}

fn become_ordered(context: &mut Context, steps: &[Step]) -> Result<Infallible, Failure> {
    let at = |step: &'static str| move |errno| Failure::At(step, errno);
    keep_own(context).map_err(at("descriptors of the fork"))?;
    if context.born & libc::CLONE_NEWUSER != 0 {
        identity::map_own(context.ids).map_err(at(Step::UserNamespace.name()))?;
    }
    let what = context.what;
    for step in steps.iter().filter(|step| step.is_for(what)) {
        if step.needs_order() && context.order.is_none() {
            context.order = Some(wait_for_order(context)?);
        }
        step.take(context).map_err(at(step.name()))?;
    }
    if context.order.is_none() {
        context.order = Some(wait_for_order(context)?);
    }
    if let Some(check) = checks::first_failed(context) {
        return Err(Failure::At(check, Errno::EPERM));
    }
    execute(context).map_err(at("exec"))
}

fn execute(context: &Context) -> nix::Result<Infallible> {
    let run = context.order.as_ref().and_then(|order| order.run);
    let plain = |words: &[&str]| {
        let words = words.iter().map(|word| CString::new(*word).map_err(|_nul| Errno::EINVAL));
        words.collect::<nix::Result<Vec<_>>>()
    };
    let (program, arguments) = match (context.what, run) {
        (What::Worker, _) => (&context.binary, plain(&[NAME])?),
        (What::Sandbox(Backend::Native), Some(run)) => {
            (&context.binary, plain(&bwrap::init_arguments(run))?)
        }
        (What::Sandbox(Backend::Bwrap), Some(run)) => {
            let bwrap = context.bwrap.as_ref().ok_or(Errno::ENOEXEC)?;
            (bwrap, bwrap::arguments(context, run)?)
        }
        (What::Sandbox(_), None) => return Err(Errno::EINVAL),
    };
    let empty: [CString; 0] = [];
    execveat(program, c"", &arguments, &empty, AtFlags::AT_EMPTY_PATH)
}

fn wait_for_order(context: &Context) -> Result<Ordered, Failure> {
    match fds::receive(&context.sync, Ordered::SIZE, Ordered::DESCRIPTORS) {
        Ok((bytes, fds)) => {
            Ordered::decode(&bytes, fds, context.what).ok_or(Failure::At("order", Errno::EPROTO))
        }
        Err(_gone) => Err(Failure::Dismissed),
    }
}

/// Closes whatever else of the launcher's the fork has a copy of.
fn keep_own(context: &Context) -> nix::Result<()> {
    let mut kept = vec![context.binary.as_fd(), context.null.as_fd(), context.sync.as_fd()];
    kept.extend(context.bwrap.as_ref().map(AsFd::as_fd));
    kept.extend(context.cgroups.iter().map(|fd| fd.as_fd()));
    fds::close_all_but(3, &kept)
}

/// Puts the ordered descriptors where they are looked for and closes all but what the steps to come
/// still need, which exec closes.
pub(super) fn place_descriptors(context: &Context) -> nix::Result<()> {
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    let mut placed: Vec<&OwnedFd> = order.inherited.iter().collect();
    match context.what {
        // In place of standard output, which a worker does not have.
        What::Worker => placed.insert(1, &context.null),
        What::Sandbox(Backend::Native) => {}
        What::Sandbox(Backend::Bwrap) => placed.extend([&context.binary, &context.sync]),
    }
    let first_free = RawFd::try_from(placed.len()).map_err(|_range| Errno::EMFILE)?;
    for (fd, at) in placed.into_iter().zip(0..) {
        fds::place(fd, at)?;
    }
    let mut kept = vec![context.binary.as_fd(), context.sync.as_fd()];
    kept.extend(context.root.as_ref().map(AsFd::as_fd));
    kept.extend(context.bwrap.as_ref().map(AsFd::as_fd));
    kept.extend(order.mounts.iter().map(AsFd::as_fd));
    fds::close_all_but(first_free, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cross() {
        let failed = Message::Failed { step: "pivot root".to_owned(), errno: 22 };
        let probed = Message::Probed { signaled: true, number: 31 };
        for message in [Message::MapMe, Message::Listener, Message::Started, probed, failed] {
            let bytes = message.encode();
            assert!(bytes.len() <= Message::MAX);
            assert_eq!(Message::decode(&bytes), Some(message));
        }
        assert_eq!(Message::decode(b""), None);
        assert_eq!(Message::decode(b"\x01"), None);
        assert_eq!(Message::decode(b"\0x"), None);
        assert_eq!(Message::decode(b"\x04\x02\0\0\0\0"), None);
        assert_eq!(Message::decode(b"\x04\x01\0\0\0"), None);
    }
}
