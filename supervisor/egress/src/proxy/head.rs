//! The head of a request as it came, before it is parsed: whether it tells its body's length once.
//! The parser chooses among lengths and says nothing; who sends two means them for two readers.

use std::io::{self, Cursor};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;

use super::{HEAD, MAX_HEAD};

/// A connection of which the head of its request was read, and is read again.
pub(super) struct Begun<T> {
    pub(super) stream: T,
    /// Whether the length of the body is told more than once.
    pub(super) told_twice: bool,
}

/// Waits for the head, or for as many bytes as one may have.
pub(super) async fn read(
    mut stream: TcpStream,
) -> io::Result<Begun<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>> {
    let mut bytes = Vec::new();
    let head = tokio::time::timeout(HEAD, until_end(&mut stream, &mut bytes)).await??;
    let told_twice = lengths(bytes.get(..head).unwrap_or(&bytes)) > 1;
    let (read, write) = stream.into_split();
    let stream = tokio::io::join(Cursor::new(bytes).chain(read), write);
    Ok(Begun { stream, told_twice })
}

/// Reads up to the end of the head and says where it is.
async fn until_end(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    while bytes.len() < MAX_HEAD {
        let known = bytes.len();
        if stream.read_buf(bytes).await? == 0 {
            break;
        }
        // The end may have begun in what was known.
        if let Some(end) = end(bytes, known.saturating_sub(3)) {
            return Ok(end);
        }
    }
    Ok(bytes.len())
}

/// Where the empty line ends, looked for from `from` on; lines may end without a carriage return.
fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    (0..rest.len()).find_map(|at| match rest.get(at..)? {
        [b'\n', b'\n', ..] => Some(from + at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// How often the length of the body is told.
fn lengths(head: &[u8]) -> usize {
    let tells = |line: &&[u8]| {
        let name = line.split(|it| *it == b':').next().unwrap_or_default().trim_ascii();
        [&b"content-length"[..], b"transfer-encoding"]
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it))
    };
    head.split(|it| *it == b'\n').filter(tells).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_head_ends() {
        let check = |text: &str, from: usize, expected: Option<usize>| {
            assert_eq!(end(text.as_bytes(), from), expected, "{text:?}");
        };
        check("GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n", 0, Some(24));
        check("a\n\nb", 0, Some(3));
        check("a\n\r\nb", 1, Some(4));
        check("a\r\nb\r\n", 0, None);
        check("", 0, None);
    }

    #[test]
    fn how_often_a_length_is_told() {
        let check = |text: &str, expected: usize| {
            assert_eq!(lengths(text.as_bytes()), expected, "{text:?}");
        };
        check("GET / HTTP/1.1\r\nHost: content-length\r\n\r\n", 0);
        check("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1);
        check("POST / HTTP/1.1\r\nContent-Length: 1\r\nCONTENT-LENGTH: 1\r\n\r\n", 2);
        check("POST / HTTP/1.1\nTransfer-Encoding : chunked\n content-length: 1\n\n", 2);
    }
}
