//! What becomes of a message of a visitor's.

use channels::Taken;
use channels::policy::Why;
use channels::webchat;
use types::Chain;

use super::Session;
use crate::pages::WEBCHAT;
use crate::pages::frames::{Message, Told};

/// Messages of one visitor in a minute: more than anybody types. And those from one address.
pub(super) const OF_VISITOR: u32 = 20;
const OF_PEER: u32 = 300;

/// A minute, in milliseconds: after it there is room again.
const MINUTE_MS: u64 = 60_000;

/// When a message that could not be kept is to come again, in milliseconds.
const AGAIN_MS: u64 = 3_000;

impl Session<'_> {
    /// Takes a message, and says what became of it.
    pub(super) async fn say(&mut self, said: Message<'_>) -> String {
        let (inner, account) = (&self.accounts.0, &self.page.0);
        let (id, now) = (said.id.clone(), inner.clock.now());
        let (visitor, peer) = (format!("{}/{}", account.id, self.visitor.id), self.peer);
        let (pages, id) = (&inner.pages, id.as_str());
        let later = |ms: u64| {
            pages.postponed.put_off(&visitor, id, ms, now);
            Told::Later { id, ms }.text()
        };
        let may = pages.visitors.take(&visitor, Some(OF_VISITOR), now)
            && pages.peers.take(&format!("{}/{peer}", account.id), Some(OF_PEER), now);
        if !may {
            self.strikes += 1;
            return later(MINUTE_MS - now % MINUTE_MS);
        }
        if let Some(ms) = pages.postponed.behind(&visitor, id, now) {
            return Told::Later { id, ms }.text();
        }
        match self.take(said).await {
            Ok(taken) => {
                pages.postponed.come(&visitor, id);
                told(id, taken)
            }
            Err(why) => {
                tracing::debug!(account = account.id, why, "a visitor's message is not kept yet");
                later(AGAIN_MS)
            }
        }
    }

    async fn take(&self, said: Message<'_>) -> Result<Taken, String> {
        let (inner, account) = (&self.accounts.0, &self.page.0);
        let event = match webchat::event(self.visitor.clone(), said.message, said.files) {
            Ok(event) => event,
            Err(err) => return Ok(Taken::Lost(format!("message: {}", Chain(&err)))),
        };
        let adapter = channels::adapter(WEBCHAT).ok_or_else(|| "no such network".to_owned())?;
        inner.inbound.take(adapter, account, event).await
    }
}

fn told(id: &str, taken: Taken) -> String {
    let why = match taken {
        Taken::Kept | Taken::Code => return Told::Kept { id }.text(),
        Taken::Asked | Taken::Nothing(Why::NotListed) => "you are not known here yet".to_owned(),
        Taken::Nothing(_) => "nobody reads this here".to_owned(),
        Taken::Lost(why) => why,
    };
    Told::Refused { id, why: &why }.text()
}
