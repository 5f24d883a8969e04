//! The control of the probes: one of them made by an ordinary process, where it can succeed. What
//! fails even here says nothing about a boundary.
//!
//! `unconfined_probe --list` prints the names; `unconfined_probe INDEX FILE ROOT OWN SOCKET NAME
//! SCRATCH SUPERVISOR FOREIGN PORT` exits as a probe does.

use std::io::Write as _;
use std::process::ExitCode;

use sandbox::probes::{Outside, PROBES};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [index, file, root, own, socket, name, scratch, supervisor, foreign, port] =
        words.as_slice()
    else {
        let mut out = std::io::stdout().lock();
        for probe in PROBES {
            writeln!(out, "{}", probe.name)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let outside = Outside {
        foreign_file: file.clone(),
        foreign_root: root.clone(),
        supervisor_file: own.clone(),
        socket: socket.clone(),
        abstract_name: name.clone(),
        scratch: scratch.clone(),
        supervisor: supervisor.parse()?,
        foreign: foreign.parse()?,
        port: port.parse()?,
    };
    let probe = PROBES.get(index.parse::<usize>()?).ok_or("there is no such probe")?;
    Ok(ExitCode::from(probe.make(&outside)))
}
