//! Holds and settles until it is killed, and says on standard output what was acknowledged. The crash
//! tests start it; it never ends by itself, and it checks nothing.
//!
//! `open N` is said once the books are open and no number up to `N` will be given out; `hold N` once
//! the hold `N` is written, and `refused N` where it cannot be. A hold sets [`held`] aside, and what is
//! settled is [`used`]: whoever knows the number knows what must be in the books.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use books::Books;
use futures_util::future::try_join_all;
use ledger::{Amount, Entry, Journal as _, Kind};
use prometheus_client::registry::Registry;
use types::{Clock as _, SystemClock};

/// Writers at once, so that entries share a block.
const WRITERS: u64 = 4;

/// How often it is tried again after a refusal.
const AGAIN: Duration = Duration::from_millis(20);

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let dir = std::env::args_os().nth(1).ok_or("usage: books_writer DIR")?;
    let books = Books::open(Path::new(&dir), Arc::new(SystemClock), &mut Registry::default())?;
    say("open", books.next_id())?;
    try_join_all((0..WRITERS).map(|writer| work(&books, writer))).await?;
    Ok(())
}

async fn work(books: &Books, writer: u64) -> Outcome {
    let tenant: types::TenantId = format!("t{writer}").parse()?;
    let mut again = tokio::time::interval(AGAIN);
    loop {
        let id = books.next_id();
        let entry = |kind, cost_micros| Entry {
            agent: Some("main".into()),
            amount: Amount { cost_micros, ..Amount::ZERO },
            ..Entry::new(kind, id, SystemClock.now(), tenant.clone())
        };
        if books.write(entry(Kind::Hold, held(id))).await.is_err() {
            say("refused", id)?;
            again.tick().await;
            continue;
        }
        say("hold", id)?;
        match id % 8 {
            // Left open, as if its worker were still at it.
            0 => {}
            1 => books.post(entry(Kind::Release, 0)),
            2 => {
                // Not every addition is there when the end comes.
                drop(books.write(entry(Kind::TopUp, 1000)));
                books.post(entry(Kind::Settle, used(id)));
            }
            _ => books.post(entry(Kind::Settle, used(id))),
        }
    }
}

/// What a hold sets aside.
const fn held(id: u64) -> u64 {
    100 + id % 7
}

/// What is settled.
const fn used(id: u64) -> u64 {
    id % 90
}

fn say(what: &str, id: u64) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(format!("{what} {id}\n").as_bytes())
}
