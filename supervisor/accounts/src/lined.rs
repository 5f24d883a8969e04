//! Lines over a connection that was checked.

use async_trait::async_trait;
use channels::{Heard, Wire};
use egress::Stream;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};

/// Bytes of one line: what IRC allows with tags before it.
const MAX_LINE: usize = 8704;

/// A connection on which each frame is a line.
pub(crate) struct Lined {
    reader: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    /// What has come of the next line.
    begun: Vec<u8>,
}

impl std::fmt::Debug for Lined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lined(..)")
    }
}

impl Lined {
    pub(crate) fn new(stream: Stream) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: BufReader::new(reader), writer, begun: Vec::new() }
    }

    /// Takes what has come; gives whether the line is whole, `None` where there will be no more.
    async fn more(&mut self) -> Option<bool> {
        let came = self.reader.fill_buf().await.ok().filter(|came| !came.is_empty())?;
        let end = came.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(came.len(), |end| end + 1);
        self.begun.extend_from_slice(came.get(..taken).unwrap_or_default());
        self.reader.consume(taken);
        (self.begun.len() <= MAX_LINE).then_some(end.is_some())
    }
}

#[async_trait]
impl Wire for Lined {
    async fn next(&mut self) -> Heard {
        loop {
            match self.more().await {
                Some(true) => return Heard::Frame(std::mem::take(&mut self.begun)),
                Some(false) => {}
                None => return Heard::Ended(None),
            }
        }
    }

    async fn say(&mut self, mut frame: Vec<u8>) {
        frame.extend_from_slice(b"\r\n");
        if let Err(err) = self.writer.write_all(&frame).await {
            tracing::debug!(%err, "a line was not sent");
        }
    }

    async fn end(&mut self, _code: u16) {
        if let Err(err) = self.writer.shutdown().await {
            tracing::debug!(%err, "a connection was ended already");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_are_cut() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut lined = Lined::new(Box::new(near));
        far.write_all(b"one\r\ntw").await.unwrap();
        assert_eq!(lined.next().await, Heard::Frame(b"one\r\n".to_vec()));
        // Given up in its middle, nothing of it is lost.
        let half = tokio::time::timeout(std::time::Duration::from_millis(20), lined.next()).await;
        half.unwrap_err();
        far.write_all(b"o\n").await.unwrap();
        assert_eq!(lined.next().await, Heard::Frame(b"two\n".to_vec()));
        lined.say(b"three".to_vec()).await;
        let mut said = [0; 7];
        tokio::io::AsyncReadExt::read_exact(&mut far, &mut said).await.unwrap();
        assert_eq!(&said, b"three\r\n");
        drop(far);
        assert_eq!(lined.next().await, Heard::Ended(None));
    }

    #[tokio::test]
    async fn a_line_without_end_ends_the_connection() {
        let (mut far, near) = tokio::io::duplex(64 << 10);
        far.write_all(&vec![b'x'; MAX_LINE + 1]).await.unwrap();
        assert_eq!(Lined::new(Box::new(near)).next().await, Heard::Ended(None));
    }
}
