//! The records of the supervisor in a backup: lines of JSON before the archive, each of a table that is
//! known here. What follows the last line is the archive.

use records::portable::{MAX_PORTABLE, MAX_PORTABLES, Portable};
use serde::{Deserialize, Serialize};
use settings::MAX_SECRETS;
use types::{Secret, TenantId};
use zeroize::Zeroizing;

use crate::format::Broken;

/// The version of the section.
const VERSION: u32 = 1;

/// Bytes of the whole section: what all tables of one tenant may hold fits several times.
const MAX_SECTION: usize = 32 << 20;

/// What the first line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    records: u32,
    tenant: TenantId,
}

/// What the last line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: u64,
}

/// A secret on a line of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretLine {
    secret: String,
    value: Zeroizing<String>,
}

/// The records of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) rows: Vec<Portable>,
    /// By name.
    pub(crate) secrets: Vec<(String, Secret)>,
}

impl Section {
    /// So many lines are between the first and the last.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.rows.len().saturating_add(self.secrets.len())).unwrap_or(u64::MAX)
    }

    /// The lines, each with its end. Each is wiped when it is dropped: there are secrets in them.
    pub(crate) fn lines(
        &self,
        tenant: &TenantId,
    ) -> impl Iterator<Item = Result<Zeroizing<Vec<u8>>, Broken>> {
        let head = line(&Head { records: VERSION, tenant: tenant.clone() });
        let secret = |(name, value): &(String, Secret)| {
            let value = Zeroizing::new(value.expose().to_owned());
            line(&SecretLine { secret: name.clone(), value })
        };
        let end = line(&End { end: self.len() });
        let rows = self.rows.iter().map(line).chain(self.secrets.iter().map(secret));
        std::iter::once(head).chain(rows).chain(std::iter::once(end))
    }
}

fn line(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let mut line = serde_json::to_vec(value).map_err(|_unwritable| Broken::Records("no JSON"))?;
    line.push(b'\n');
    Ok(Zeroizing::new(line))
}

/// Reads a section out of pieces.
#[derive(Debug)]
pub(crate) struct Reading {
    tenant: TenantId,
    begun: bool,
    line: Zeroizing<Vec<u8>>,
    read: usize,
    section: Section,
}

impl Reading {
    /// The section of a backup of this tenant.
    pub(crate) fn new(tenant: &TenantId) -> Self {
        Self {
            tenant: tenant.clone(),
            begun: false,
            line: Zeroizing::default(),
            read: 0,
            section: Section::default(),
        }
    }

    /// Takes a piece; gives the section, and how many bytes of the piece were its, at its end.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Option<(Section, usize)>, Broken> {
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.read = self.read.saturating_add(part.len());
            if self.line.len().saturating_add(part.len()) > MAX_PORTABLE || self.read > MAX_SECTION
            {
                return Err(Broken::Records("too long"));
            }
            self.line.extend_from_slice(part);
            at = at.saturating_add(part.len());
            if end.is_none() {
                break;
            }
            at = at.saturating_add(1);
            if self.take()? {
                return Ok(Some((std::mem::take(&mut self.section), at)));
            }
        }
        Ok(None)
    }

    /// One whole line. True where it is the last.
    fn take(&mut self) -> Result<bool, Broken> {
        let line = std::mem::take(&mut self.line);
        if !self.begun {
            let head: Head = read(&line)?;
            if head.records != VERSION {
                return Err(Broken::Records("another version"));
            }
            if head.tenant != self.tenant {
                return Err(Broken::Records("another tenant's"));
            }
            self.begun = true;
            return Ok(false);
        }
        if line.starts_with(br#"{"end":"#) {
            let End { end } = read(&line)?;
            let whole = end == self.section.len();
            return if whole { Ok(true) } else { Err(Broken::Records("not all are there")) };
        }
        if line.starts_with(br#"{"secret":"#) {
            let SecretLine { secret, value } = read(&line)?;
            self.section.secrets.push((secret, Secret::from(String::clone(&value))));
        } else {
            let row = Portable::parse(&line).map_err(|err| {
                tracing::debug!(error = %types::Chain(&err), "a record of a backup");
                Broken::Records("a record is of no table that is known here")
            })?;
            self.section.rows.push(row);
        }
        let fits =
            self.section.rows.len() <= MAX_PORTABLES && self.section.secrets.len() <= MAX_SECRETS;
        if fits { Ok(false) } else { Err(Broken::Records("too many")) }
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Broken> {
    serde_json::from_slice(line).map_err(|_unreadable| Broken::Records("a line is not ours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        "acme".parse().unwrap()
    }

    fn text() -> Vec<u8> {
        let timer = br#"{"table":"timer","row":{"tenant":"acme","at":5}}"#;
        let section = Section {
            rows: vec![Portable::parse(timer).unwrap()],
            secrets: vec![("skill/a/apiKey".to_owned(), Secret::from("hunter2".to_owned()))],
        };
        let lines: Vec<_> = section.lines(&tenant()).map(Result::unwrap).collect();
        lines.iter().flat_map(|line| line.to_vec()).collect()
    }

    fn read_in(text: &[u8], piece: usize) -> Result<Option<(Section, usize)>, Broken> {
        let (mut reading, mut before) = (Reading::new(&tenant()), 0);
        for piece in text.chunks(piece) {
            if let Some((section, used)) = reading.push(piece)? {
                return Ok(Some((section, before + used)));
            }
            before += piece.len();
        }
        Ok(None)
    }

    #[test]
    fn a_section_is_read_as_it_was_written_and_not_a_byte_further() {
        let section = text();
        let all = [&section[..], b"\n{archive}\n"].concat();
        for piece in 1..all.len() {
            let (read, used) = read_in(&all, piece).unwrap().unwrap();
            assert_eq!(used, section.len(), "{piece}");
            assert_eq!(read.rows.len(), 1);
            let [(name, secret)] = &read.secrets[..] else { panic!("one") };
            assert_eq!((name.as_str(), secret.expose()), ("skill/a/apiKey", "hunter2"));
        }
        for length in 0..section.len() {
            assert!(read_in(&section[..length], 7).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_no_section_is_refused() {
        let text = String::from_utf8(text()).unwrap();
        let check = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            read_in(text.replacen(from, to, 1).as_bytes(), 50).unwrap_err();
        };
        check(r#""records":1"#, r#""records":2"#);
        check(r#""tenant":"acme"}"#, r#""tenant":"evil"}"#);
        check(r#"{"end":2}"#, r#"{"end":1}"#);
        check(r#"{"end":2}"#, r#"{"end":2,"more":1}"#);
        check(r#"{"table":"timer""#, r#"{"table":"tenant""#);
        check(r#"{"records":1"#, r#"{"x":1"#);
        check(r#"{"secret""#, r#"{"more":1,"secret""#);
        let endless =
            [&b"{\"records\":1,\"tenant\":\"acme\"}\n"[..], &vec![b'x'; 3 << 20]].concat();
        read_in(&endless, 1 << 16).unwrap_err();
        let row = br#"{"table":"timer","row":{"tenant":"acme","at":5}}"#;
        let many = [&row[..], b"\n"].concat().repeat(MAX_PORTABLES + 1);
        let many = [&b"{\"records\":1,\"tenant\":\"acme\"}\n"[..], &many].concat();
        assert_eq!(read_in(&many, 1 << 16).unwrap_err(), Broken::Records("too many"));
    }
}
