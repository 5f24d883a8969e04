//! How fast one sends: a place in time for each message, so far from the last in its conversation and over
//! its account as the network asks.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Conversations whose last message is remembered; those that may be written to at once are forgotten.
const MAX_ROOMS: usize = 4096;

/// When the next message may go, over one account.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    account: Option<Instant>,
    rooms: HashMap<String, Instant>,
}

impl Pace {
    /// Takes the next place in time for a message to `room`, unless that is farther away than `most`:
    /// then says how far, and takes none.
    pub(crate) fn take(
        &mut self,
        room: &str,
        pace: networks::Pace,
        (now, most): (Instant, Duration),
    ) -> Result<Instant, Duration> {
        let of_room = self.rooms.get(room).copied().unwrap_or(now);
        let at = of_room.max(self.account.unwrap_or(now)).max(now);
        let away = at.saturating_duration_since(now);
        if away > most {
            return Err(away);
        }
        if self.rooms.len() >= MAX_ROOMS && !self.rooms.contains_key(room) {
            self.rooms.retain(|_, next| *next > now);
        }
        self.account = Some(at + pace.account);
        if self.rooms.len() < MAX_ROOMS || self.rooms.contains_key(room) {
            self.rooms.insert(room.to_owned(), at + pace.conversation);
        }
        Ok(at)
    }

    /// The network has asked for a pause: of the conversation, and of the whole account.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.account = self.account.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn messages_keep_their_distance() {
        let ms = Duration::from_millis;
        let of = networks::Pace { conversation: ms(1000), account: ms(100) };
        let (mut pace, now, most) = (Pace::default(), Instant::now(), ms(2000));
        let mut take = |room, now| pace.take(room, of, (now, most));
        assert_eq!(take("a", now), Ok(now));
        assert_eq!(take("b", now), Ok(now + ms(100)), "the account's");
        assert_eq!(take("a", now), Ok(now + ms(1000)), "the conversation's");
        assert_eq!(take("c", now), Ok(now + ms(1100)));
        assert_eq!(take("a", now), Ok(now + ms(2000)));
        assert_eq!(take("a", now), Err(ms(3000)), "too far away");
        let later = now + ms(10_000);
        assert_eq!(take("a", later), Ok(later));
        pace.pause(later + ms(1500));
        assert_eq!(pace.take("z", of, (later, most)), Ok(later + ms(1500)));
        for n in 0..3 * MAX_ROOMS {
            let at = later + ms(10_000) * u32::try_from(n).unwrap();
            pace.take(&n.to_string(), of, (at, most)).unwrap();
        }
        assert!(pace.rooms.len() <= MAX_ROOMS);
    }
}
