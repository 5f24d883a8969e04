//! The fork's own run through the steps, and what it says to the launcher on the way. It ends as
//! the worker binary or not at all: nothing of the launcher's code is ever returned to.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::execveat;

use super::{Context, Ordered, Parts, Step, checks, identity};
use crate::{fds, sys};

/// What the launcher answers when the maps are written.
pub(crate) const SYNC_GO: &[u8] = b"g";

/// The worker's only argument.
const NAME: &std::ffi::CStr = c"openclawmu-worker";

/// What the fork says to the launcher. That it has become the worker is said by the pair's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The user namespace is made and wants its maps.
    MapMe,
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
            Self::Failed { step, errno } => {
                [&[1][..], &errno.to_le_bytes(), step.as_bytes()].concat()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, []) => Some(Self::MapMe),
            (1, rest) => {
                let (errno, step) = rest.split_first_chunk()?;
                let step = String::from_utf8_lossy(step).into_owned();
                Some(Self::Failed { step, errno: i32::from_le_bytes(*errno) })
            }
            _ => None,
        }
    }
}

/// Why the fork did not become a worker.
enum Failure {
    /// Something failed.
    At(&'static str, Errno),
    /// The launcher is gone, or has no use for it.
    Dismissed,
}

/// Ends the process where code would otherwise unwind into the launcher's frames.
struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        sys::end(125)
    }
}

/// Takes every step, waits for the order where one needs it, and becomes the worker.
pub(crate) fn run(parts: &Parts<'_>, steps: &[Step]) -> ! {
    let _guard = EndOnUnwind;
    match Context::new(parts) {
        Err(errno) => report(parts.sync, "descriptors of the fork", errno),
        Ok(mut context) => {
            let Err(failure) = become_worker(&mut context, steps);
            if let Failure::At(step, errno) = failure {
                report(&context.sync, step, errno);
            }
        }
    }
    sys::end(125)
}

fn report(sync: impl AsFd, step: &str, errno: Errno) {
    let message = Message::Failed { step: step.to_owned(), errno: number(errno) };
    if fds::send(sync, &message.encode(), &[]).is_err() {
        sys::end(124)
    }
}

fn number(errno: Errno) -> i32 {
    std::io::Error::from(errno).raw_os_error().unwrap_or(0)
}

fn become_worker(context: &mut Context, steps: &[Step]) -> Result<Infallible, Failure> {
    let at = |step: &'static str| move |errno| Failure::At(step, errno);
    keep_own(context).map_err(at("descriptors of the fork"))?;
    if context.born & libc::CLONE_NEWUSER != 0 {
        identity::map_own(context.ids).map_err(at(Step::UserNamespace.name()))?;
    }
    for step in steps {
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
    let empty: [CString; 0] = [];
    execveat(&context.binary, c"", &[NAME], &empty, AtFlags::AT_EMPTY_PATH).map_err(at("exec"))
}

fn wait_for_order(context: &Context) -> Result<Ordered, Failure> {
    match fds::receive(&context.sync, Ordered::SIZE, 4) {
        Ok((bytes, fds)) => Ordered::decode(&bytes, fds).ok_or(Failure::At("order", Errno::EPROTO)),
        Err(_gone) => Err(Failure::Dismissed),
    }
}

/// Closes whatever else of the launcher's the fork has a copy of.
fn keep_own(context: &Context) -> nix::Result<()> {
    let mut kept = vec![context.binary.as_fd(), context.null.as_fd(), context.sync.as_fd()];
    kept.extend(context.cgroups.iter().map(|fd| fd.as_fd()));
    fds::close_all_but(3, &kept)
}

/// Puts the worker's four descriptors where it looks for them and closes all but what the steps
/// to come still need, which exec closes.
pub(super) fn place_descriptors(context: &Context) -> nix::Result<()> {
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    for (fd, at) in [(&order.serve, 0), (&context.null, 1), (&order.log, 2), (&order.host, 3)] {
        fds::place(fd, at)?;
    }
    let mut kept = vec![context.binary.as_fd(), context.sync.as_fd()];
    kept.extend(context.root.as_ref().map(|fd| fd.as_fd()));
    kept.extend(order.mount.as_ref().map(|fd| fd.as_fd()));
    fds::close_all_but(4, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cross() {
        let failed = Message::Failed { step: "pivot root".to_owned(), errno: 22 };
        for message in [Message::MapMe, failed] {
            let bytes = message.encode();
            assert!(bytes.len() <= Message::MAX);
            assert_eq!(Message::decode(&bytes), Some(message));
        }
        assert_eq!(Message::decode(b""), None);
        assert_eq!(Message::decode(b"\x01"), None);
        assert_eq!(Message::decode(b"\0x"), None);
    }
}
