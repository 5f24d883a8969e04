//! `tenants terminal`: the operator's keys to a shell in a tenant's sandbox, and what it shows back.
//! Whatever happens, the operator's own terminal is left as it was found.

mod filter;
mod keys;

use std::io::{IsTerminal as _, Write as _};

use bytes::Bytes;
use control_api::{Deleted, OpenTerminal, OpenedTerminal, Terminal, TerminalSize, Typed};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use tokio::signal::unix::{Signal, SignalKind, signal};
use types::{AgentId, TenantId};

use crate::client::Client;
use crate::error::Error;
use crate::http::Answer;
use filter::Filter;
use keys::Keys;

/// The size where there is no terminal to ask: what programs expect.
const SIZE: (u16, u16) = (80, 24);

/// What puts a terminal's screen right: whatever the filter lets through that stays is taken back.
/// Pasting in brackets, cursor keys, other screens, drawing at once, colours the other way round, the
/// origin, side margins, keypad keys, wrapping, the cursor and its look, insertion, margins, colour.
const RESET: &[u8] =
    b"\x1b[?2004l\x1b[?1l\x1b[?47l\x1b[?1049l\x1b[?2026l\x1b[?5l\x1b[?6l\x1b[?69l\x1b>\
    \x1b[?7h\x1b[?12l\x1b[?25h\x1b[0 q\x1b[4l\x1b[r\x1b[0m";

/// The exit code where the shell had none.
const NO_CODE: u8 = 1;

/// Types into a new terminal until it ends; gives the shell's exit code.
pub(crate) async fn run(client: &Client, id: &TenantId, agent: AgentId) -> Result<u8, Error> {
    let (cols, rows) = now();
    let all = format!("/v1/tenants/{id}/terminals");
    let wish = OpenTerminal { cols, rows, agent: Some(agent) };
    let opened: OpenedTerminal = client.post(&all, &wish).await?;
    let path = format!("{all}/{}", opened.terminal_id);
    let session = Session { client, path: &path };
    let typed = session.run().await;
    let found: Result<Terminal, Error> = client.get(&path).await;
    match (typed, found) {
        (Ok(()), Ok(Terminal { open: false, exit_code, .. })) => {
            Ok(exit_code.map_or(NO_CODE, |code| u8::try_from(code).unwrap_or(NO_CODE)))
        }
        (typed, _) => {
            // Nobody sees it any more: it is not left behind.
            let closed: Result<Deleted, Error> = client.delete(&path).await;
            typed.and_then(|()| closed.map(|_closed| NO_CODE))
        }
    }
}

struct Session<'a> {
    client: &'a Client,
    path: &'a str,
}

impl Session<'_> {
    async fn run(&self) -> Result<(), Error> {
        let output = self.client.stream(&format!("{}/output", self.path)).await?;
        // Who types is one thing, and who reads another: keys may come from a pipe.
        let (typed, read) = (std::io::stdin().is_terminal(), std::io::stdout().is_terminal());
        let raw = if typed && read { Some(Raw::enter()?) } else { None };
        let shown = read.then_some(Shown);
        let mut ends = Ends::new()?;
        let outcome = tokio::select! {
            shown = show(output, Filter::of(read)) => shown,
            typed = self.types() => typed,
            resized = self.resizes() => resized,
            () = ends.any() => Ok(()),
        };
        drop((shown, raw));
        outcome
    }

    /// Types what comes; returns only when it fails.
    async fn types(&self) -> Result<(), Error> {
        let mut keys = Keys::open().map_err(Error::Terminal)?;
        let path = format!("{}/input", self.path);
        while let Some(bytes) = keys.next().await.map_err(Error::Terminal)? {
            let _typed: Typed = self.client.post_bytes(&path, bytes).await?;
        }
        // The end of a pipe is the end of the input for the shell as well.
        let _typed: Typed = self.client.post_bytes(&path, Bytes::from_static(b"\x04")).await?;
        std::future::pending().await
    }

    /// Tells of every new size; returns only when it fails.
    async fn resizes(&self) -> Result<(), Error> {
        let mut changed = signal(SignalKind::window_change()).map_err(Error::Terminal)?;
        let path = format!("{}/size", self.path);
        loop {
            changed.recv().await;
            let (cols, rows) = now();
            let _size: TerminalSize = self.client.post(&path, &TerminalSize { cols, rows }).await?;
        }
    }
}

/// Shows what comes until it ends.
async fn show(mut output: Answer, mut filter: Option<Filter>) -> Result<(), Error> {
    while let Some(piece) = output.part().await? {
        let shown = filter.as_mut().map_or_else(|| piece.to_vec(), |it| it.pass(&piece));
        let mut out = std::io::stdout().lock();
        out.write_all(&shown).and_then(|()| out.flush()).map_err(Error::Terminal)?;
    }
    Ok(())
}

fn now() -> (u32, u32) {
    let (cols, rows) = size().ok().filter(|it| it.0 > 0 && it.1 > 0).unwrap_or(SIZE);
    (u32::from(cols), u32::from(rows))
}

/// The operator's terminal passes on every key, until this is dropped.
struct Raw;

impl Raw {
    fn enter() -> Result<Self, Error> {
        enable_raw_mode().map_err(Error::Terminal)?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nothing left to do where the terminal itself is gone.
        disable_raw_mode().unwrap_or_default();
    }
}

/// The operator's terminal shows what a tenant's prints; its screen is put right when this is dropped.
struct Shown;

impl Drop for Shown {
    fn drop(&mut self) {
        let mut out = std::io::stdout().lock();
        // As above.
        out.write_all(RESET).and_then(|()| out.flush()).unwrap_or_default();
    }
}

/// What ends this program from outside: it then ends in order.
struct Ends([Signal; 3]);

impl Ends {
    fn new() -> Result<Self, Error> {
        let on = |kind| signal(kind).map_err(Error::Terminal);
        Ok(Self([
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
            on(SignalKind::interrupt())?,
        ]))
    }

    async fn any(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_filter_lets_through_is_taken_back() {
        let reset = RESET.escape_ascii().to_string();
        for mode in ["1", "5", "6", "12", "47", "69", "1049", "2004", "2026"] {
            assert!(reset.contains(&format!("\\x1b[?{mode}l")), "{mode}");
        }
        for rest in ["[?7h", "[?25h", "[4l", "[0 q", "[r", "[0m", ">"] {
            assert!(reset.contains(&format!("\\x1b{rest}")), "{rest}");
        }
    }
}
