//! Answers by idempotency key: kept for a day, and never more than a fixed number of them. A queue
//! in the order of arrival says which goes next.

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::store::{MAX_KEY, Op};
use crate::{Error, IdempotencyRow, Records, TRIES, contended, json, unchanged};

/// How long an answer is kept, in milliseconds.
const KEPT: u64 = 24 * 60 * 60 * 1000;

/// Answers that are kept at once. The oldest goes when another one comes.
const MAX_ANSWERS: u64 = 4096;

/// The largest body that is kept, in bytes.
const MAX_BODY: usize = 8 << 10;

const PREFIX: &str = "idempotency/answer/";
const QUEUE: &str = "idempotency/queue/";

/// The place of the next answer.
const NEXT_PLACE: &str = "meta/next-answer";

/// Old answers removed when a new one comes: two, so that the queue shrinks.
const REMOVED: usize = 2;

#[derive(Serialize, Deserialize)]
struct Stored {
    expires_at: UnixMillis,
    /// Its place in the queue.
    place: u64,
    answer: IdempotencyRow,
}

#[derive(Serialize, Deserialize)]
struct Place {
    key: String,
    expires_at: UnixMillis,
}

impl Records {
    /// The answer that was given to `key` in the last 24 hours. The caller scopes the key, so that
    /// two callers' keys do not meet.
    pub async fn idempotent(
        &self,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRow>, Error> {
        let Some(item) = self.item(&format!("{PREFIX}{key}")).await? else { return Ok(None) };
        let stored: Stored = json::decode(&item.key, &item.value)?;
        Ok((stored.expires_at > now).then_some(stored.answer))
    }

    /// Keeps the answer to `key` for 24 hours; refused with [`Error::Exists`] while there is one.
    pub async fn put_idempotent(
        &self,
        key: &str,
        answer: &IdempotencyRow,
        now: UnixMillis,
    ) -> Result<(), Error> {
        if answer.body.len() > MAX_BODY {
            return Err(Error::TooLarge { what: "a kept answer", max: MAX_BODY });
        }
        if key.len() + PREFIX.len() > MAX_KEY {
            return Err(Error::TooLarge { what: "an idempotency key", max: MAX_KEY });
        }
        let answer_key = format!("{PREFIX}{key}");
        for _ in 0..TRIES {
            let next = self.item(NEXT_PLACE).await?;
            let place = next.as_ref().map(|next| json::number(&next.key, &next.value));
            let place = place.transpose()?.unwrap_or(0);
            let before = self.item(&answer_key).await?;
            let mut ops = self.make_room(place, now).await?;
            if let Some(item) = &before {
                let stored: Stored = json::decode(&item.key, &item.value)?;
                if stored.expires_at > now {
                    return Err(Error::Exists);
                }
                ops.push(Op::Delete(place_key(stored.place).into()));
            }
            let expires_at = now.saturating_add(KEPT);
            let stored = Stored { expires_at, place, answer: answer.clone() };
            let waiting = Place { key: key.to_owned(), expires_at };
            ops.push(Op::put(answer_key.clone(), json::encode(&stored, None)?));
            ops.push(Op::put(place_key(place), json::encode(&waiting, None)?));
            ops.push(Op::put(NEXT_PLACE, (place + 1).to_string().into_bytes()));
            // Every answer moves the queue's end, so this one guard keeps writers apart.
            if self.try_commit(vec![unchanged(NEXT_PLACE, next.as_ref())], ops).await? {
                return Ok(());
            }
        }
        Err(contended(answer_key))
    }

    /// Removes answers at the head of the queue that have expired or are too many.
    async fn make_room(&self, end: u64, now: UnixMillis) -> Result<Vec<Op>, Error> {
        let (places, _) = self.store.range(QUEUE.as_bytes(), None, REMOVED).await?;
        let mut ops = Vec::new();
        for item in places {
            let place: Place = json::decode(&item.key, &item.value)?;
            let too_many = *item.key < *place_key(end.saturating_sub(MAX_ANSWERS - 1)).as_bytes();
            if place.expires_at > now && !too_many {
                break;
            }
            ops.push(Op::Delete(item.key));
            ops.push(Op::Delete(format!("{PREFIX}{}", place.key).into()));
        }
        Ok(ops)
    }
}

/// Places sort as numbers do.
fn place_key(place: u64) -> String {
    format!("{QUEUE}{place:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> IdempotencyRow {
        IdempotencyRow { fingerprint: [7; 32], status: 201, body: body.to_owned() }
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_a_day() {
        let records = Records::in_memory();
        assert_eq!(records.idempotent("k", 5).await.unwrap(), None);
        records.put_idempotent("k", &answer("one"), 5).await.unwrap();
        assert_eq!(records.idempotent("k", 5 + KEPT - 1).await.unwrap(), Some(answer("one")));
        let again = records.put_idempotent("k", &answer("two"), 6).await;
        assert!(matches!(again, Err(Error::Exists)));
        assert_eq!(records.idempotent("k", 5 + KEPT).await.unwrap(), None);
        records.put_idempotent("k", &answer("two"), 5 + KEPT).await.unwrap();
        assert_eq!(records.idempotent("k", 5 + KEPT).await.unwrap(), Some(answer("two")));
        let large = answer(&"x".repeat(MAX_BODY + 1));
        assert!(matches!(
            records.put_idempotent("l", &large, 5).await,
            Err(Error::TooLarge { .. })
        ));
    }

    #[tokio::test]
    async fn answers_are_bounded_and_the_oldest_goes_first() {
        let records = Records::in_memory();
        for number in 0..MAX_ANSWERS + 10 {
            records.put_idempotent(&number.to_string(), &answer("x"), 0).await.unwrap();
        }
        let count = |prefix: &'static str| {
            let records = records.clone();
            async move { records.every::<serde_json::Value>(prefix).await.unwrap().len() }
        };
        assert_eq!(count(PREFIX).await, 4096);
        assert_eq!(count(QUEUE).await, 4096);
        assert_eq!(records.idempotent("9", 1).await.unwrap(), None);
        assert_eq!(records.idempotent("10", 1).await.unwrap(), Some(answer("x")));
        for number in 0..4096 {
            records.put_idempotent(&format!("later-{number}"), &answer("y"), KEPT).await.unwrap();
        }
        assert_eq!(count(PREFIX).await, 4096);
        assert_eq!(records.idempotent("later-0", KEPT).await.unwrap(), Some(answer("y")));
    }
}
