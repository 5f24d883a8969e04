//! Holds a socket of one account: does what its session says, one act after the other, and opens another
//! when it has ended.

use std::collections::HashMap;
use std::time::Duration;

use records::{AccountRow, CursorRow, Records};
use runtime::Tasks;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use crate::adapter::{Adapter, Answer, Outcome};
use crate::inbound::Inbound;
use crate::lines::{Called, Heard, Said, Wire, shut};
use crate::source::{Act, After, Dial, Session};

/// The code that ends a socket over which something came that could not be kept: the network is to bring it
/// again.
const NOT_KEPT: u16 = 4000;

/// How long the socket is not read because of a call for whose answer nobody waits: Discord wants its first
/// answer within that time.
const CALLING: Duration = Duration::from_secs(3);

/// How long one waits to say something where the socket is not there, in milliseconds.
const AWAY_MS: u64 = 2_000;

/// One account whose socket is held.
#[derive(Debug)]
pub struct Holder {
    adapter: &'static dyn Adapter,
    account: AccountRow,
    inbound: Inbound,
    records: Records,
    chance: u16,
    /// What is to be said over the socket. Nobody but the one task that holds it waits for it.
    mouth: Mutex<mpsc::Receiver<Said>>,
}

/// Who waits for what came of what was said, by its key.
type Waiting = HashMap<String, oneshot::Sender<Outcome>>;

impl Holder {
    /// Of an account that is to be connected.
    pub fn new(
        adapter: &'static dyn Adapter,
        account: AccountRow,
        inbound: Inbound,
        records: Records,
        chance: u16,
    ) -> Self {
        let (_none, mouth) = mpsc::channel(1);
        Self { adapter, account, inbound, records, chance, mouth: Mutex::new(mouth) }
    }

    /// The same, over whose socket is said what comes from `mouth`.
    #[must_use]
    pub fn saying(self, mouth: mpsc::Receiver<Said>) -> Self {
        Self { mouth: Mutex::new(mouth), ..self }
    }

    /// Holds one socket after the other until `tasks` stops, or the network does not want the account.
    pub async fn run(self, tasks: Tasks) {
        let owner = self.account.owner.as_ref();
        let mark = match self.records.cursor(owner, &self.account.id).await {
            Ok(mark) => mark,
            Err(err) => {
                let error = types::Chain(&err);
                return tracing::error!(%error, "a socket cannot be taken up");
            }
        };
        let mark = mark.as_ref().map(|it| it.cursor.as_str());
        let Some(mut session) = self.adapter.session(mark, self.chance) else { return };
        session.of(&self.account);
        while !tasks.is_stopping() {
            let after = tokio::select! {
                () = tasks.stopping() => return,
                after = self.one(&mut *session) => after,
            };
            match after {
                After::Again(wait) => {
                    let until = Instant::now() + Duration::from_millis(wait);
                    tokio::select! {
                        () = tasks.stopping() => return,
                        () = self.away(tokio::time::sleep_until(until)) => {}
                    }
                }
                After::Never(why) => {
                    let (watcher, now) = (self.inbound.watcher(), self.inbound.clock().now());
                    return shut(&self.records, watcher, now, &self.account, &why).await;
                }
            }
        }
    }

    /// One socket, from its address to its end.
    pub(crate) async fn one(&self, session: &mut dyn Session) -> After {
        let address = match session.dial() {
            Dial::At(address) => address,
            Dial::Server => String::new(),
            Dial::Ask(call) => {
                let called = self.away(self.inbound.lines().call(&self.account, call)).await;
                let (why, located) = located(session, called);
                match located {
                    Ok(address) => address,
                    Err(after) => {
                        self.inbound.watcher().away(&self.account, &why);
                        return after;
                    }
                }
            }
        };
        let opened = self.away(self.inbound.lines().open(&self.account, &address)).await;
        let code = match opened {
            Ok(mut wire) => self.hold(session, &mut *wire).await,
            Err(why) => {
                self.inbound.watcher().away(&self.account, &why);
                None
            }
        };
        session.ended(code, self.inbound.clock().now())
    }

    /// Something that is done while no socket is held: what is to be said meanwhile certainly is not.
    async fn away<T>(&self, done: impl Future<Output = T>) -> T {
        let mut mouth = self.mouth.lock().await;
        let mut done = std::pin::pin!(done);
        loop {
            tokio::select! {
                biased;
                done = &mut done => return done,
                // Who does not wait any more looks for it otherwise.
                Some(said) = mouth.recv() => drop(said.told.send(Outcome::Wait(AWAY_MS))),
            }
        }
    }

    /// Until the socket has ended; gives the code with which it did.
    async fn hold(&self, session: &mut dyn Session, wire: &mut dyn Wire) -> Option<u16> {
        let (mut mouth, mut waiting) = (self.mouth.lock().await, Waiting::new());
        let acts = session.opened(self.inbound.clock().now());
        if let Err(code) = self.act(session, (wire, &mut waiting), acts).await {
            wire.end(code).await;
            return Some(code);
        }
        loop {
            let now = self.inbound.clock().now();
            let wait = session.wakes().map(|at| at.saturating_sub(now));
            let due = async {
                match wait {
                    Some(wait) => {
                        let until = Instant::now() + Duration::from_millis(wait);
                        tokio::time::sleep_until(until).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                biased;
                heard = wire.next() => Next::Heard(heard),
                Some(said) = mouth.recv() => Next::Said(said),
                () = due => Next::Due,
            };
            let now = self.inbound.clock().now();
            let acts = match next {
                Next::Heard(Heard::Ended(code)) => return code,
                Next::Heard(Heard::Pulse) => {
                    session.pulse(now);
                    continue;
                }
                Next::Heard(Heard::Frame(frame)) => session.frame(&frame, now),
                Next::Said(Said { key, frame, told }) => {
                    let acts = session.say(&key, &frame);
                    waiting.insert(key, told);
                    Ok(acts)
                }
                Next::Due => Ok(session.due(now)),
            };
            let acts = match acts {
                Ok(acts) => acts,
                Err(err) => {
                    self.inbound.watcher().away(&self.account, &types::Chain(&err).to_string());
                    vec![Act::End(NOT_KEPT)]
                }
            };
            if let Err(code) = self.act(session, (wire, &mut waiting), acts).await {
                wire.end(code).await;
                return Some(code);
            }
        }
    }

    /// Does what is to be done, in its order.
    ///
    /// # Errors
    /// With the code with which the socket is to be ended.
    async fn act(
        &self,
        session: &mut dyn Session,
        (wire, waiting): (&mut dyn Wire, &mut Waiting),
        acts: Vec<Act>,
    ) -> Result<(), u16> {
        let mut acts = std::collections::VecDeque::from(acts);
        while let Some(act) = acts.pop_front() {
            match act {
                Act::Say(frame) => wire.say(frame).await,
                Act::Prove(frame, pointer) => {
                    let proven = self.inbound.lines().prove(&self.account, &frame, pointer).await;
                    wire.say(proven.map_err(|why| self.failed(&why))?).await;
                }
                Act::Keep(number, event) => {
                    let taken = self.inbound.take(self.adapter, &self.account, event).await;
                    taken.map_err(|why| self.failed(&why))?;
                    for act in session.kept(number).into_iter().rev() {
                        acts.push_front(act);
                    }
                }
                Act::Call(call) => {
                    let called = self.inbound.lines().call(&self.account, call);
                    // Nothing hangs on it: what it tells of is kept.
                    drop(tokio::time::timeout(CALLING, called).await);
                }
                Act::Mark(cursor) => {
                    let row = CursorRow { cursor, at: self.inbound.clock().now() };
                    let owner = self.account.owner.as_ref();
                    let put = self.records.put_cursor(owner, &self.account.id, Some(&row)).await;
                    put.map_err(|err| self.failed(&types::Chain(&err).to_string()))?;
                }
                Act::Told(key, outcome) => {
                    if let Some(told) = waiting.remove(&key) {
                        // Who does not wait any more looks for it otherwise.
                        drop(told.send(outcome));
                    }
                }
                Act::End(code) => return Err(code),
            }
        }
        Ok(())
    }

    fn failed(&self, why: &str) -> u16 {
        self.inbound.watcher().away(&self.account, why);
        NOT_KEPT
    }
}

/// Where the socket is, and why not where nobody says it.
/// What a socket is held for.
enum Next {
    Heard(Heard),
    Said(Said),
    Due,
}

fn located(session: &mut dyn Session, called: Called) -> (String, Result<String, After>) {
    let (status, retry_after, body, why) = match called {
        Called::Answered { status, retry_after, body } => {
            (status, retry_after, body, format!("answered {status}"))
        }
        // As if somebody on the way had answered.
        Called::Unsent(why) | Called::Unknown(why) => (503, None, Vec::new(), why),
    };
    let answer = Answer { status, retry_after: retry_after.as_deref(), body: &body };
    (format!("nobody says where the socket is: {why}"), session.located(answer))
}

#[cfg(test)]
mod tests;
