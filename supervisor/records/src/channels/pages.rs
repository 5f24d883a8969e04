//! What the pages of an account show: the messages of each visitor's conversation, in their order and up to
//! a bound. A message may come in the place of an earlier one; the same message again changes nothing.
//!
//! Content is stored as it is given; whoever gives it has sealed it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use super::peers::digest_name;
use crate::store::{MAX_RANGE, Op};
use crate::{Error, Records, TRIES, contended, json, unchanged};

const PAGES: &str = "channel/page/";

/// Messages of one conversation: more than anybody scrolls through.
pub const MAX_SHOWN: usize = 200;

/// Bytes of them: a conversation of long answers, or of some files.
pub const MAX_SHOWN_BYTES: usize = 2 << 20;

/// Bytes of one: an answer of which every line is escaped, or a file with what base64 adds to it.
pub const MAX_SHOWN_ITEM: usize = 1 << 20;

/// Bytes of one part: it fits a value of the store.
const PART: usize = 15 << 10;

/// The conversation of one visitor.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// Whose account it is.
    pub tenant: &'a TenantId,
    /// The account.
    pub account: &'a str,
    /// The visitor.
    pub room: &'a str,
}

/// A message to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Showing<'a> {
    /// What is unique of it in the conversation.
    pub key: &'a str,
    /// The message in whose place it comes, by any of the keys that that had.
    pub over: Option<&'a str>,
    /// When.
    pub at: UnixMillis,
}

/// One message that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownRow {
    /// Its place in the conversation.
    pub seq: u64,
    /// The change of the conversation that it is as it is since: each is higher than the one before.
    pub rev: u64,
    /// The key under which it came first.
    pub key: String,
    /// The key of what is shown in its place by now.
    #[serde(default)]
    pub over: Option<String>,
    /// When it came first.
    pub at: UnixMillis,
    /// Bytes of its content.
    pub bytes: usize,
}

/// What is known of a conversation as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageHead {
    /// What names it among the account's.
    pub name: String,
    /// The highest place.
    pub seq: u64,
    /// The latest change.
    pub rev: u64,
    /// Bytes of all that is shown.
    pub bytes: usize,
    /// When it last changed.
    pub at: UnixMillis,
}

/// What came of showing a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It is kept: the conversation's head now, and its own row.
    Kept(PageHead, ShownRow),
    /// It was there before.
    Known(ShownRow),
}

pub(super) fn prefix(tenant: &TenantId) -> String {
    format!("{PAGES}{tenant}/")
}

pub(super) fn of_account(tenant: &TenantId, account: &str) -> String {
    format!("{}{account}/", prefix(tenant))
}

impl Pages<'_> {
    /// What names the conversation among the account's.
    pub fn name(&self) -> String {
        digest_name(&[self.room])
    }

    fn all(&self, what: &str) -> String {
        format!("{}{what}/{}", of_account(self.tenant, self.account), self.name())
    }

    fn row(&self, seq: u64) -> String {
        format!("{}/{seq:020}", self.all("row"))
    }

    fn parts(&self, seq: u64) -> String {
        format!("{}/{seq:020}/", self.all("part"))
    }
}

impl Records {
    /// Keeps a message of a conversation, durably. Where there are too many, the oldest go.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such account, [`Error::TooLarge`] for what is too long.
    pub async fn show_page(
        &self,
        of: Pages<'_>,
        showing: Showing<'_>,
        content: &Bytes,
    ) -> Result<Shown, Error> {
        if content.len() > MAX_SHOWN_ITEM {
            return Err(Error::TooLarge { what: "what a page shows", max: MAX_SHOWN_ITEM });
        }
        let head_key = of.all("head");
        for _ in 0..TRIES {
            let account = self.account_guard(of.tenant, of.account).await?;
            let before = self.item(&head_key).await?;
            let head: Option<PageHead> =
                before.as_ref().map(|it| json::decode(&it.key, &it.value)).transpose()?;
            let rows: Vec<ShownRow> = self.every(&format!("{}/", of.all("row"))).await?;
            let is = |row: &&ShownRow, key: &str| {
                row.key == key || row.over.as_deref().is_some_and(|over| over == key)
            };
            if let Some(known) = rows.iter().find(|row| is(row, showing.key)) {
                return Ok(Shown::Known(known.clone()));
            }
            let earlier = showing.over.and_then(|over| rows.iter().find(|row| is(row, over)));
            let (head, row) =
                next(&head.unwrap_or_default(), earlier, (of.name(), showing, content.len()));
            let mut head = PageHead {
                bytes: head.bytes.saturating_sub(earlier.map_or(0, |it| it.bytes)),
                ..head
            };
            let mut ops = vec![Op::DeletePrefix(of.parts(row.seq).into())];
            let others = rows.iter().filter(|it| it.seq != row.seq);
            ops.extend(make_room(&of, &mut head, others.collect()));
            ops.push(Op::put(head_key.clone(), json::encode(&head, None)?));
            ops.push(Op::put(of.row(row.seq), json::encode(&row, None)?));
            for (n, part) in content.chunks(PART).enumerate() {
                let name = format!("{}{n:03}", of.parts(row.seq));
                ops.push(Op::put(name, content.slice_ref(part)));
            }
            let guards = vec![account, unchanged(&head_key, before.as_ref())];
            if self.try_commit(guards, ops).await? {
                return Ok(Shown::Kept(head, row));
            }
        }
        Err(contended(head_key))
    }

    /// The latest change of a conversation, and what has changed in it since another, in the order of places: all
    /// of it where there has been no such change yet.
    pub async fn page_since(
        &self,
        of: Pages<'_>,
        rev: u64,
    ) -> Result<(u64, Vec<(ShownRow, Vec<u8>)>), Error> {
        // Before the rows: where one of them is replaced meanwhile, the conversation is no shorter for that.
        let head = self.item(&of.all("head")).await?;
        let head: Option<PageHead> =
            head.as_ref().map(|it| json::decode(&it.key, &it.value)).transpose()?;
        let latest = head.map_or(0, |it| it.rev);
        let rows: Vec<ShownRow> = self.every(&format!("{}/", of.all("row"))).await?;
        let mut shown = Vec::new();
        for row in rows.into_iter().filter(|row| rev > latest || row.rev > rev) {
            let prefix = of.parts(row.seq);
            let (items, _) = self.store.range(prefix.as_bytes(), None, MAX_RANGE).await?;
            let content: Vec<u8> = items.iter().flat_map(|it| it.value.iter().copied()).collect();
            // Whoever was faster has another length, and says so to whoever looks on.
            if content.len() == row.bytes {
                shown.push((row, content));
            }
        }
        Ok((latest, shown))
    }

    /// The conversations of an account.
    pub async fn page_heads(
        &self,
        tenant: &TenantId,
        account: &str,
    ) -> Result<Vec<PageHead>, Error> {
        self.every(&format!("{}head/", of_account(tenant, account))).await
    }

    /// Forgets conversations of an account, by their names.
    pub async fn forget_pages(
        &self,
        tenant: &TenantId,
        account: &str,
        names: &[String],
    ) -> Result<(), Error> {
        let prefix = of_account(tenant, account);
        let of = |name: &String| {
            [
                Op::Delete(format!("{prefix}head/{name}").into()),
                Op::DeletePrefix(format!("{prefix}row/{name}/").into()),
                Op::DeletePrefix(format!("{prefix}part/{name}/").into()),
            ]
        };
        self.store.commit(Vec::new(), names.iter().flat_map(of).collect()).await?;
        Ok(())
    }
}

/// The head and the row after a message: in a place of its own, or in that of an earlier one.
fn next(
    head: &PageHead,
    earlier: Option<&ShownRow>,
    (name, showing, bytes): (String, Showing<'_>, usize),
) -> (PageHead, ShownRow) {
    let rev = head.rev.saturating_add(1);
    let seq = earlier.map_or_else(|| head.seq.saturating_add(1), |it| it.seq);
    let row = match earlier {
        Some(it) => ShownRow { rev, over: Some(showing.key.to_owned()), bytes, ..it.clone() },
        None => {
            ShownRow { seq, rev, key: showing.key.to_owned(), over: None, at: showing.at, bytes }
        }
    };
    let bytes = head.bytes.saturating_add(bytes);
    (PageHead { name, seq: seq.max(head.seq), rev, bytes, at: showing.at }, row)
}

/// Removes the oldest of those that are there, as many as are too many.
fn make_room(of: &Pages<'_>, head: &mut PageHead, others: Vec<&ShownRow>) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut count = others.len().saturating_add(1);
    for row in others {
        if count <= MAX_SHOWN && head.bytes <= MAX_SHOWN_BYTES {
            break;
        }
        head.bytes = head.bytes.saturating_sub(row.bytes);
        count -= 1;
        ops.push(Op::Delete(of.row(row.seq).into()));
        ops.push(Op::DeletePrefix(of.parts(row.seq).into()));
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::tests::{account, house, id};

    const OF: &str = "cha_0000000000000001";

    async fn with_account() -> Records {
        let records = house().await;
        records.put_account(&account(Some("a"), 1), None).await.unwrap();
        records
    }

    async fn say(
        records: &Records,
        room: &str,
        key: &str,
        over: Option<&str>,
        text: &str,
    ) -> Shown {
        let tenant = id("a");
        let of = Pages { tenant: &tenant, account: OF, room };
        let showing = Showing { key, over, at: 7 };
        records.show_page(of, showing, &Bytes::from(text.to_owned())).await.unwrap()
    }

    async fn seen(records: &Records, room: &str, rev: u64) -> Vec<(u64, String)> {
        let tenant = id("a");
        let of = Pages { tenant: &tenant, account: OF, room };
        let (_, rows) = records.page_since(of, rev).await.unwrap();
        rows.into_iter().map(|(row, it)| (row.seq, String::from_utf8(it).unwrap())).collect()
    }

    #[tokio::test]
    async fn a_message_is_there_once_and_may_be_replaced_in_its_place() {
        let records = with_account().await;
        for _ in 0..2 {
            say(&records, "v1", "k1", None, "one").await;
            say(&records, "v1", "k2", None, "two").await;
        }
        assert_eq!(seen(&records, "v1", 0).await, [(1, "one".into()), (2, "two".into())]);
        assert!(matches!(say(&records, "v1", "k1", None, "other").await, Shown::Known(_)));
        for (key, over) in [("k1-a", "k1"), ("k1-b", "k1"), ("k1-c", "k1-b")] {
            let long = format!("{key} {}", "x".repeat(40_000));
            let Shown::Kept(head, row) = say(&records, "v1", key, Some(over), &long).await else {
                panic!("{key}");
            };
            assert_eq!((row.seq, head.seq, row.key.as_str()), (1, 2, "k1"), "{key}");
            assert_eq!(head.bytes, long.len() + 3, "what was replaced is not counted");
        }
        let again = say(&records, "v1", "k1-c", Some("k1"), "again").await;
        assert!(matches!(again, Shown::Known(_)), "{again:?}");
        let since = seen(&records, "v1", 2).await;
        assert_eq!(since.len(), 1, "only what has changed");
        assert!(since[0].1.starts_with("k1-c "));
        say(&records, "v1", "k3", Some("gone"), "three").await;
        assert_eq!(seen(&records, "v1", 0).await.last().unwrap(), &(3, "three".to_owned()));
        assert_eq!(seen(&records, "v2", 0).await, [], "another visitor's is another");
    }

    #[tokio::test]
    async fn what_is_replaced_while_it_is_read_makes_the_conversation_no_other() {
        let records = with_account().await;
        say(&records, "v1", "k1", None, "one").await;
        say(&records, "v1", "k2", None, "two").await;
        let tenant = id("a");
        let of = Pages { tenant: &tenant, account: OF, room: "v1" };
        // The content of what comes in its place, of which the row is read before.
        let longer = Op::put(format!("{}000", of.parts(2)), "two, and more");
        records.store.commit(Vec::new(), vec![longer]).await.unwrap();
        let (latest, rows) = records.page_since(of, 0).await.unwrap();
        assert_eq!((latest, rows.len()), (2, 1));
        let (latest, rows) = records.page_since(of, 2).await.unwrap();
        assert_eq!((latest, rows.len()), (2, 0), "a page that has seen it has seen no other");
        let (latest, rows) = records.page_since(of, 3).await.unwrap();
        assert_eq!((latest, rows.len()), (2, 1), "and one that has seen more has");
    }

    #[tokio::test]
    async fn a_conversation_has_a_bound_and_the_oldest_go() {
        let records = with_account().await;
        for n in 0..MAX_SHOWN + 5 {
            say(&records, "v1", &format!("k{n}"), None, "text").await;
        }
        let all = seen(&records, "v1", 0).await;
        assert_eq!((all.len(), all[0].0), (MAX_SHOWN, 6));
        let large = "x".repeat(MAX_SHOWN_ITEM);
        for key in ["l1", "l2", "l3"] {
            say(&records, "v1", key, None, &large).await;
        }
        let all = seen(&records, "v1", 0).await;
        assert_eq!(all.len(), 2, "{:?}", all.iter().map(|it| it.0).collect::<Vec<_>>());
        let tenant = id("a");
        let of = Pages { tenant: &tenant, account: OF, room: "v1" };
        let showing = Showing { key: "l4", over: None, at: 7 };
        let longer = Bytes::from(vec![0; MAX_SHOWN_ITEM + 1]);
        records.show_page(of, showing, &longer).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_is_shown_goes_with_its_account_and_can_be_forgotten() {
        let records = with_account().await;
        for room in ["v1", "v2"] {
            say(&records, room, "k", None, "text").await;
        }
        let heads = records.page_heads(&id("a"), OF).await.unwrap();
        assert_eq!(heads.len(), 2);
        let v1 = Pages { tenant: &id("a"), account: OF, room: "v1" }.name();
        records.forget_pages(&id("a"), OF, &[v1]).await.unwrap();
        assert_eq!(seen(&records, "v1", 0).await, []);
        assert_eq!(seen(&records, "v2", 0).await.len(), 1);
        records.remove_account(&account(Some("a"), 1)).await.unwrap();
        assert_eq!(records.page_heads(&id("a"), OF).await.unwrap(), []);
        let tenant = id("a");
        let of = Pages { tenant: &tenant, account: OF, room: "v1" };
        let showing = Showing { key: "k", over: None, at: 7 };
        let err = records.show_page(of, showing, &Bytes::new()).await.unwrap_err();
        assert!(matches!(err, Error::NotFound), "nobody has the account: {err}");
    }
}
