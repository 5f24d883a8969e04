//! The words of the command line, as what is to be run.

use std::path::PathBuf;

use sandbox::{Backend, Class};

use crate::Failure;

/// What is to be run, and how.
pub(crate) struct Order {
    pub(crate) state: PathBuf,
    pub(crate) backend: Backend,
    pub(crate) class: Class,
    pub(crate) egress: bool,
    pub(crate) terminal: Option<(u16, u16)>,
    pub(crate) memory_max: u64,
    pub(crate) pids_max: u32,
    pub(crate) cwd: String,
    pub(crate) copies: Vec<PathBuf>,
    pub(crate) bound: Vec<u32>,
    pub(crate) without: Option<String>,
    pub(crate) times: u32,
    pub(crate) pause: u16,
    pub(crate) signal: Option<i32>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) argv: Vec<String>,
}

impl Order {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let state = words.next().ok_or("usage: run STATE_DIR [NAME=VALUE...] COMMAND...")?;
        let mut order = Self::plain(state.into());
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if order.argv.is_empty() => order.set(name, value)?,
                _ => order.argv.push(word),
            }
        }
        if order.argv.is_empty() { Err("no command".into()) } else { Ok(order) }
    }

    /// Whether the commands come later, line by line.
    pub(crate) fn by_line(&self) -> bool {
        self.argv == ["-"]
    }

    fn plain(state: PathBuf) -> Self {
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/home/agent")];
        Self {
            state,
            backend: Backend::Native,
            class: Class::Command,
            egress: false,
            terminal: None,
            memory_max: 256 << 20,
            pids_max: 64,
            cwd: "/workspace".to_owned(),
            copies: Vec::new(),
            bound: Vec::new(),
            without: None,
            times: 1,
            pause: 0,
            signal: None,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            argv: Vec::new(),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match (name, value) {
            ("BACKEND", "native") => self.backend = Backend::Native,
            ("BACKEND", "bwrap") => self.backend = Backend::Bwrap,
            ("CLASS", "command") => self.class = Class::Command,
            ("CLASS", "terminal") => self.class = Class::Terminal,
            ("NET", "egress") => self.egress = true,
            ("PTY", size) => {
                let (cols, rows) = size.split_once('x').ok_or("PTY=COLSxROWS")?;
                self.terminal = Some((cols.parse()?, rows.parse()?));
            }
            ("MEMORY", mib) => self.memory_max = mib.parse::<u64>()? << 20,
            ("PIDS", pids) => self.pids_max = pids.parse()?,
            ("CWD", cwd) => cwd.clone_into(&mut self.cwd),
            ("COPY", file) => self.copies.push(file.into()),
            ("BOUND", word) => self.bound.push(word.parse()?),
            ("WITHOUT", step) => self.without = Some(step.to_owned()),
            ("TIMES", times) => self.times = times.parse()?,
            ("SIGNAL", number) => self.signal = Some(number.parse()?),
            ("PAUSE", millis) => self.pause = millis.parse()?,
            ("BACKEND" | "CLASS" | "NET", _) => return Err(format!("{name}={value}?").into()),
            _ => self.env.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}
