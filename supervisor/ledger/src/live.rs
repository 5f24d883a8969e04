//! The requests of clients that are under way or have just been, by the id under which the supervisor
//! passed them on: whose token a model call counts for is found here, never in what a worker says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use types::UnixMillis;

use crate::window::MINUTE;

/// How long a request's id counts after the request, or after the last model call in its name: a run
/// may go on after the method that began it has answered, and its tools may take a while.
const LINGER: u64 = 60 * MINUTE;

/// Requests of one tenant that are over and whose runs may go on, and as many of which model calls are
/// known. Beyond, the oldest is forgotten and the rest of its run counts for no token.
const MAX_LINGERING: usize = 4096;

/// How long a request that is over still pays for its first model call.
const PAYS: u64 = MINUTE;

/// What the supervisor called a request: `req_` and these bits in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallId(u128);

impl CallId {
    pub(crate) fn read(id: &str) -> Option<Self> {
        let digits = id.strip_prefix("req_").filter(|it| it.len() == 32)?;
        let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let digits = digits.bytes().all(plain).then_some(digits)?;
        u128::from_str_radix(digits, 16).ok().map(Self)
    }
}

/// Requests by their ids.
#[derive(Debug, Default)]
pub(crate) struct Live {
    asked: HashMap<CallId, Asked>,
    /// Those that are over, in the order in which they ended.
    over: VecDeque<(CallId, UnixMillis)>,
    /// Those of them that were found to have made model calls, in the order of the latest. Kept apart,
    /// so that requests that make none, and may be many, do not push them out.
    working: VecDeque<(CallId, UnixMillis)>,
}

#[derive(Debug)]
struct Asked {
    token: Option<Arc<str>>,
    /// Whether a model call was made in its name: it pays for the first.
    called: bool,
    under_way: bool,
    /// When it ended or a model call was last made in its name.
    last: UnixMillis,
}

/// Whose a model call is.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    pub(crate) token: Option<Arc<str>>,
    /// Whether a request has paid for it.
    pub(crate) paid: bool,
}

impl Live {
    pub(crate) fn begin(&mut self, id: CallId, token: Option<&Arc<str>>, now: UnixMillis) {
        let token = token.cloned();
        let asked = Asked { token, called: false, under_way: true, last: now };
        self.asked.insert(id, asked);
    }

    /// The request is over, and where `lingers`, a run may go on in its name.
    pub(crate) fn end(&mut self, id: CallId, lingers: bool, now: UnixMillis) {
        if !lingers {
            self.asked.remove(&id);
            return;
        }
        let Some(asked) = self.asked.get_mut(&id) else { return };
        (asked.under_way, asked.last) = (false, now);
        self.over.push_back((id, now));
        self.forget(now);
        self.forget_working(now);
    }

    /// Whose a model call in the name of `id` is; nobody's where there is no such request.
    pub(crate) fn call(&mut self, id: Option<CallId>, now: UnixMillis) -> Asker {
        let Some(asked) = id.and_then(|id| self.asked.get_mut(&id)) else {
            return Asker::default();
        };
        let waits = now.saturating_sub(asked.last);
        if !asked.under_way && waits > LINGER {
            return Asker::default();
        }
        let paid = !asked.called && (asked.under_way || waits <= PAYS);
        asked.last = now;
        Asker { token: asked.token.clone(), paid }
    }

    /// A call in the name of `id` is made.
    pub(crate) fn made(&mut self, id: Option<CallId>) {
        if let Some(asked) = id.and_then(|id| self.asked.get_mut(&id)) {
            asked.called = true;
        }
    }

    /// Forgets what has ended long ago or is too much, for each that ends two at most, so that this
    /// takes no longer than what it follows.
    fn forget(&mut self, now: UnixMillis) {
        for _ in 0..2 {
            let full = self.over.len() > MAX_LINGERING;
            let Some((id, _)) = due(&mut self.over, full, now) else { return };
            match self.asked.get(&id) {
                Some(asked) if asked.under_way => {}
                Some(asked) if asked.called => self.working.push_back((id, asked.last)),
                _ => {
                    self.asked.remove(&id);
                }
            }
        }
    }

    /// The same for those that have made model calls. One that has made another since waits again.
    fn forget_working(&mut self, now: UnixMillis) {
        for look in 0..2 {
            let full = self.working.len() > MAX_LINGERING;
            let Some((id, since)) = due(&mut self.working, full, now) else { return };
            let Some(asked) = self.asked.get(&id).filter(|it| !it.under_way) else { continue };
            let used = asked.last > since && now.saturating_sub(asked.last) <= LINGER;
            // Where all are in use, the second one goes: the map does not grow.
            if used && !(full && look > 0) {
                self.working.push_back((id, asked.last));
            } else {
                self.asked.remove(&id);
            }
        }
    }
}

/// Takes the first of a queue, if it has waited long enough or the queue is full.
fn due(
    queue: &mut VecDeque<(CallId, UnixMillis)>,
    full: bool,
    now: UnixMillis,
) -> Option<(CallId, UnixMillis)> {
    let (_, since) = queue.front()?;
    let old = now.saturating_sub(*since) > LINGER;
    if full || old { queue.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> CallId {
        CallId(number)
    }

    fn token(live: &mut Live, number: u128, now: UnixMillis) -> Option<Arc<str>> {
        live.call(Some(id(number)), now).token
    }

    #[test]
    fn what_is_an_id() {
        let check = |text: &str, ok: bool| assert_eq!(CallId::read(text).is_some(), ok, "{text:?}");
        check(&format!("req_{:032x}", 7), true);
        check(&format!("req_{:031x}", 7), false);
        check(&format!("req_{:033x}", 7), false);
        check(&format!("req_+{:031x}", 7), false);
        check(&format!("req_{:032X}", 10), false);
        check("req_", false);
        check("", false);
    }

    #[test]
    fn a_request_pays_once_and_counts_for_an_hour_after_its_last_call() {
        let mut live = Live::default();
        let name: Arc<str> = "tok_1".into();
        live.begin(id(1), Some(&name), 0);
        assert!(live.call(Some(id(1)), 0).paid);
        live.made(Some(id(1)));
        assert!(!live.call(Some(id(1)), 0).paid);
        assert_eq!(token(&mut live, 2, 0), None);
        live.end(id(1), true, 5);
        assert_eq!(token(&mut live, 1, 5 + LINGER), Some(Arc::clone(&name)));
        assert_eq!(token(&mut live, 1, 5 + 2 * LINGER), Some(name));
        assert_eq!(token(&mut live, 1, 6 + 3 * LINGER), None);
    }

    #[test]
    fn what_is_over_pays_for_a_minute_and_is_forgotten_at_once_where_nothing_goes_on() {
        let mut live = Live::default();
        live.begin(id(1), None, 0);
        live.end(id(1), true, 0);
        assert!(live.call(Some(id(1)), PAYS).paid);
        live.begin(id(2), None, 0);
        live.end(id(2), true, 0);
        assert!(!live.call(Some(id(2)), PAYS + 1).paid);
        live.begin(id(3), None, 0);
        live.end(id(3), false, 0);
        assert!(!live.call(Some(id(3)), 0).paid);
        assert_eq!(live.asked.len(), 2);
    }

    #[test]
    fn the_map_is_bounded() {
        let mut live = Live::default();
        let name: Arc<str> = "tok_1".into();
        for number in 0..20_000 {
            live.begin(id(number), Some(&name), 0);
            live.end(id(number), true, 0);
        }
        assert!(live.asked.len() <= MAX_LINGERING + 1 && live.over.len() <= MAX_LINGERING + 1);
        assert_eq!(token(&mut live, 0, 0), None);
        assert!(token(&mut live, 19_999, 0).is_some());
        for number in 20_000..40_000 {
            live.begin(id(number), None, 2 * LINGER);
            live.end(id(number), true, 2 * LINGER);
        }
        assert!(live.asked.len() <= MAX_LINGERING + 1);
    }

    #[test]
    fn a_run_is_not_pushed_out_by_requests_that_make_no_model_calls() {
        let mut live = Live::default();
        let name: Arc<str> = "tok_1".into();
        live.begin(id(0), Some(&name), 0);
        live.end(id(0), true, 0);
        assert!(token(&mut live, 0, 0).is_some());
        live.made(Some(id(0)));
        for number in 1..20_000 {
            live.begin(id(number), None, 0);
            live.end(id(number), true, 0);
        }
        assert!(token(&mut live, 0, 0).is_some());
        for number in 20_000..40_000 {
            live.begin(id(number), Some(&name), 0);
            live.made(Some(id(number)));
            live.end(id(number), true, 0);
        }
        assert!(live.asked.len() <= 2 * (MAX_LINGERING + 1), "{}", live.asked.len());
        assert!(live.working.len() <= MAX_LINGERING + 1);
    }
}
