//! A probe that the launcher is asked to make in the boundary of a running worker.

use std::os::fd::OwnedFd;

use super::Launcher;
use crate::Error;
use crate::probes::{Chosen, Depth, Outcome};
use crate::record::{Kind, Request};

impl Launcher {
    /// Has the probe `index` of [`crate::probes::PROBES`] made in the boundary of the running worker `worker`.
    /// The launcher answers nobody else meanwhile; it takes milliseconds and never more than a
    /// second.
    ///
    /// # Errors
    /// [`Error::Step`] names what kept the process from entering the boundary.
    pub fn probe(
        &self,
        worker: u64,
        (index, depth): (usize, Depth),
        outside: &OwnedFd,
    ) -> Result<Outcome, Error> {
        let number = Chosen { index, depth }.number().ok_or(Error::Record("probe"))?;
        let request = Request { index: number, ..Request::about(Kind::Probe, worker) };
        let (reply, _) = self.ask(request, &[outside])?;
        let [signaled, number, ..] = reply.values;
        let number = i32::try_from(number).map_err(|_range| Error::Record("outcome"))?;
        match signaled {
            0 => Ok(Outcome::of(false, number)),
            1 => Ok(Outcome::of(true, number)),
            _ => Err(Error::Record("outcome")),
        }
    }
}
