//! The smallest worker: it confines itself, says so with one byte, and waits for its descriptor 0
//! to close. It serves nothing; `cycle` launches it.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn main() -> ExitCode {
    if let Err(err) = sandbox::confine::worker() {
        let text = format!("{}\n", types::Chain(&err));
        return ExitCode::from(if std::io::stderr().write_all(text.as_bytes()).is_ok() {
            3
        } else {
            4
        });
    }
    match wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_closed) => ExitCode::FAILURE,
    }
}

fn wait() -> std::io::Result<()> {
    // Standard input is the pair on which a worker serves.
    let stdin = std::io::stdin();
    let fd = std::os::fd::AsFd::as_fd(&stdin);
    nix::unistd::write(fd, b"r")?;
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::try_from(Duration::from_mins(10)).unwrap_or(PollTimeout::MAX))?;
    Ok(())
}
