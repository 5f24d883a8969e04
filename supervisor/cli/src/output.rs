//! The one place that prints: JSON for programs, tables and sentences for people.
//!
//! Text that a tenant may have written never reaches a terminal with its control characters.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{Cell, Color, Table};
use serde::Serialize;
use types::Chain;

use crate::error::Error;
use crate::options::Options;

/// Something that has a form for programs and one for people.
pub trait View: Serialize {
    /// The form for people.
    fn show(&self, output: &mut Output);
}

/// Where results and failures are printed.
#[derive(Debug)]
pub struct Output {
    json: bool,
    colour: bool,
    /// The first failure of the standard output: a closed pipe must not look like success.
    broken: Option<std::io::Error>,
}

impl Output {
    /// Prints as the options say.
    pub fn new(options: &Options) -> Self {
        let colour = !options.plain() && std::io::stdout().is_terminal();
        Self { json: options.json(), colour, broken: None }
    }

    /// Whether to print for programs.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result in the form that was asked for.
    ///
    /// # Errors
    /// When the standard output cannot be written.
    pub fn reply(&mut self, view: &impl View) -> Result<(), Error> {
        if self.json {
            return self.document(view);
        }
        view.show(self);
        self.end()
    }

    /// Prints one JSON document on one line.
    ///
    /// # Errors
    /// When the standard output cannot be written.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(value).map_err(|err| Error::Terminal(err.into()))?;
        line.push(b'\n');
        self.write(&line);
        self.end()
    }

    /// Prints a line for people.
    pub fn line(&mut self, text: &str) {
        let text = harmless(text);
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    /// Prints text for people without ending the line.
    pub fn text(&mut self, text: &str) {
        self.write(harmless(text).as_bytes());
    }

    /// Prints bytes as they are: for what is written by this program alone.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// Prints a table; the first row is its head.
    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        let mut table = self.empty_table();
        table.set_header(head.iter().map(|name| Cell::new(name).fg(Color::DarkGrey)));
        for row in rows {
            table.add_row(row.iter().map(|text| cell(text)));
        }
        self.print_table(&table);
    }

    /// Prints names and what belongs to them, below each other.
    pub fn pairs(&mut self, pairs: &[(&str, String)]) {
        let mut table = self.empty_table();
        for (name, text) in pairs {
            table.add_row([Cell::new(name).fg(Color::DarkGrey), cell(text)]);
        }
        self.print_table(&table);
    }

    /// Says why a command failed, on the standard error.
    pub fn failure(&self, error: &Error) {
        let mut errors = std::io::stderr().lock();
        let chain = harmless(&Chain(error).to_string());
        let written = if self.json {
            let problem = error.problem();
            let told = Told {
                code: error.code(),
                message: &chain,
                field: problem.and_then(|problem| problem.field.as_deref()),
                request_id: problem.map(|problem| problem.request_id.as_str()),
                hint: error.hint(),
            };
            let json = serde_json::to_string(&Failed { error: told }).unwrap_or_default();
            writeln!(errors, "{json}")
        } else {
            let hint = error.hint().map(|hint| format!("\n  next: {hint}")).unwrap_or_default();
            writeln!(errors, "error: {chain}{hint}")
        };
        // There is nowhere left to say that the standard error is gone.
        drop(written);
    }

    /// Whether everything that was printed has arrived.
    ///
    /// # Errors
    /// When it has not.
    pub fn end(&mut self) -> Result<(), Error> {
        if let Err(error) = std::io::stdout().lock().flush() {
            self.broken.get_or_insert(error);
        }
        self.broken.take().map_or(Ok(()), |error| Err(Error::Terminal(error)))
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = std::io::stdout().lock().write_all(bytes) {
            self.broken.get_or_insert(error);
        }
    }

    fn empty_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    fn print_table(&mut self, table: &Table) {
        for line in table.lines() {
            self.write(line.trim_end().as_bytes());
            self.write(b"\n");
        }
    }
}

/// A cell; words that say how a thing is have the colour of what they say.
fn cell(text: &str) -> Cell {
    let cell = Cell::new(harmless(text));
    match text {
        "ready" | "ok" | "yes" => cell.fg(Color::Green),
        "parked" | "suspended" | "warn" | "draining" | "starting" => cell.fg(Color::Yellow),
        "fail" | "NO" => cell.fg(Color::Red),
        _ => cell,
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// `text` without what steers a terminal: only line ends and tabs are left of the control
/// characters, and marks that change the direction of writing are gone as well.
fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_tenant_writes_steers_the_terminal() {
        let check = |text: &str, shown: &str| assert_eq!(harmless(text), shown);
        check("plain\ttext\n", "plain\ttext\n");
        check("\x1b[2Jgone", "\u{fffd}[2Jgone");
        check("a\rb\u{9b}c\u{202e}d", "a\u{fffd}b\u{fffd}c\u{fffd}d");
    }
}
