//! Server-sent events out of bytes as they come from a network: a line, an event or a character may
//! be cut anywhere. Knows nothing of what the events mean.

#[cfg(test)]
mod tests;

/// The longest line and the longest event, in bytes. No provider sends a thousandth of it.
pub(crate) const MAX_EVENT: usize = 1 << 20;

/// A line or an event is longer than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {MAX_EVENT} bytes")]
pub(crate) struct TooLong;

/// What has arrived of a stream and is not yet an event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The data lines of an event whose end has not arrived, each with a line feed after it.
    data: Vec<u8>,
    /// The last byte was a carriage return, and a line feed that follows belongs to it.
    after_cr: bool,
    /// The first line was seen, and with it the byte order mark if there was one.
    begun: bool,
}

impl Parser {
    /// Takes what arrived and gives the data of each event that it completes to `take`.
    ///
    /// # Errors
    /// When a line or an event is too long, or `take` fails; the parser is of no use afterwards.
    pub(crate) fn feed<E: From<TooLong>>(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !input.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                input = input.strip_prefix(b"\n").unwrap_or(input);
                continue;
            }
            let Some(end) = input.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                return Ok(keep(&mut self.line, input)?);
            };
            let (head, tail) = input.split_at(end);
            self.after_cr = tail.starts_with(b"\r");
            input = tail.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.line(head, &mut take)?;
            } else {
                keep(&mut self.line, head)?;
                let mut line = std::mem::take(&mut self.line);
                self.line(&line, &mut take)?;
                line.clear();
                self.line = line;
            }
        }
        Ok(())
    }

    /// The stream has ended: an event that lacks only its empty line counts as complete.
    ///
    /// # Errors
    /// As [`Parser::feed`].
    pub(crate) fn end<E: From<TooLong>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line(&line, &mut take)?;
        }
        self.line(b"", &mut take)
    }

    fn line<E: From<TooLong>>(
        &mut self,
        mut line: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            // An event without a data line is none.
            let taken = self.data.split_last().map_or(Ok(()), |(_, data)| take(data));
            self.data.clear();
            return taken;
        }
        let Some(value) = line.strip_prefix(b"data") else { return Ok(()) };
        // `data` alone is an empty data line; `database: x` is another field.
        let value = match value.split_first() {
            None => value,
            Some((b':', value)) => value.strip_prefix(b" ").unwrap_or(value),
            Some(_) => return Ok(()),
        };
        keep(&mut self.data, value)?;
        Ok(keep(&mut self.data, b"\n")?)
    }
}

fn keep(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TooLong> {
    if buffer.len() + bytes.len() > MAX_EVENT {
        return Err(TooLong);
    }
    buffer.extend_from_slice(bytes);
    Ok(())
}
