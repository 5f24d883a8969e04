//! Connections that stay, as a bot's to a chat server and a page's to its gateway. What a connection has
//! lost of what was said it has lost: it is never whole again, and ends when one side does.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Fate, Inner, Side};

/// Bytes that are passed on at once.
const PIECE: usize = 16 << 10;

/// Passes on what both sides say, until one has gone or nobody is let in any more.
pub(super) async fn pass(mut near: TcpStream, inner: &Inner, from: Side) -> io::Result<()> {
    let mut fates = inner.fate.subscribe();
    if *fates.borrow_and_update() == Fate::PutOff {
        inner.meets();
        return Ok(());
    }
    let mut far = TcpStream::connect(inner.to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    // Messages are held back on their way, and on the other nobody hears of them.
    let (to_far, to_near) = match from {
        Side::Near => (Fate::Held, Fate::Unanswered),
        Side::Far => (Fate::Unanswered, Fate::Held),
    };
    let ((mut near_says, mut near_hears), (mut far_says, mut far_hears)) =
        (near.split(), far.split());
    let shut = async { drop(fates.wait_for(|fate| *fate == Fate::PutOff).await) };
    tokio::select! {
        () = shut => Ok(()),
        done = one_way(inner, &mut near_says, &mut far_hears, to_far) => done,
        done = one_way(inner, &mut far_says, &mut near_hears, to_near) => done,
    }
}

/// Passes on what one side says. From when that fate is its, nothing.
async fn one_way(
    inner: &Inner,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    lost: Fate,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut held = Vec::new();
    let mut is_lost = false;
    loop {
        let count = from.read(&mut piece).await?;
        let Some(said) = piece.get(..count).filter(|it| !it.is_empty()) else { return Ok(()) };
        is_lost |= inner.fate() == lost;
        if !is_lost {
            to.write_all(said).await?;
        } else if lost == Fate::Held {
            held.extend_from_slice(said);
            count_of(inner, &mut held);
        }
    }
}

/// Counts the messages in what was held back, of which the beginning of one more may be left.
fn count_of(inner: &Inner, held: &mut Vec<u8>) {
    let kind = inner.kind().as_bytes();
    while let Some(at) = held.windows(kind.len()).position(|it| it == kind) {
        inner.meets();
        held.drain(..at + kind.len());
    }
    let rest = held.len().saturating_sub(kind.len());
    held.drain(..rest);
}
