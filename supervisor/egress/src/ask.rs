//! Requests and sockets of the gateway's own, for an account of a tenant at a network: by the tenant's
//! rules, or to where the operator has said; to an address that was checked, and told apart by whether
//! anything can have arrived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use types::Chain;

use crate::exchange::{self, Held};
use crate::line::Io;
use crate::metrics::Way;
use crate::outlet::{Outlet, UNREADABLE};
use crate::refused::Refused;
use crate::rule::Ask;
use crate::rules::Grant;
use crate::target::Target;

/// How long a connection may be silent: longer than any network lets a question wait.
const IDLE: Duration = Duration::from_secs(75);

/// How long a held socket may be silent: networks ask at least once a minute whether one is there.
const IDLE_SOCKET: Duration = Duration::from_mins(3);

/// By whose leave something goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The rules of whoever asks.
    Rules,
    /// The operator has named this very host for it, as it names a provider's: whatever its address is.
    Operator,
}

/// What is asked.
#[derive(Debug)]
pub struct Wanted {
    /// How.
    pub method: Method,
    /// Where, with what proves who asks: it is never written down.
    pub url: String,
    /// With what; the host is added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// By whose leave.
    pub leave: Leave,
    /// Bytes of the answer that are read.
    pub most: usize,
    /// How long it may take.
    pub time: Duration,
}

/// What came of it.
#[derive(Debug)]
pub enum Asked {
    /// The far end has answered.
    Answered {
        /// The status.
        status: u16,
        /// The headers.
        headers: HeaderMap,
        /// The body, as far as it was read.
        body: Vec<u8>,
    },
    /// No rule allows it, or the address is none: nothing was sent.
    Forbidden(String),
    /// Nothing was sent.
    Unsent(String),
    /// Nobody knows whether it arrived.
    Unknown(String),
}

/// A connection that is open, over which whoever has it speaks.
pub type Stream = Box<dyn Io>;

impl Outlet {
    /// Asks once. Follows no redirect.
    pub async fn ask(self: &Arc<Self>, wanted: Wanted) -> Asked {
        let mut origin = UNREADABLE.to_owned();
        let time = wanted.time;
        let asked = tokio::time::timeout(time, self.try_ask(wanted, &mut origin)).await;
        let (asked, refused) = match asked {
            Ok(asked) => asked,
            Err(_elapsed) => (Asked::Unknown("it took too long".to_owned()), Some(Refused::Slow)),
        };
        self.ended(Way::Fetch, &origin, refused.as_ref().map_or(Ok(()), Err));
        asked
    }

    /// Opens a connection to `url`, whose path is not looked at.
    ///
    /// # Errors
    /// When there is none, with why.
    pub async fn line(self: &Arc<Self>, url: &str, leave: Leave) -> Result<Stream, String> {
        let mut origin = UNREADABLE.to_owned();
        let line = self.try_line(url, leave, &mut origin).await;
        self.ended(Way::Fetch, &origin, line.as_ref().map(drop));
        line.map_err(|refused| Chain(&refused).to_string())
    }

    async fn try_line(
        self: &Arc<Self>,
        url: &str,
        leave: Leave,
        origin: &mut String,
    ) -> Result<Stream, Refused> {
        let target = Target::parse(url)?;
        *origin = target.origin();
        let ask = Ask::request(&Method::GET, &target);
        let grant = self.granted(&ask, leave)?;
        self.broker.dialler.open(&ask, grant, self, IDLE_SOCKET).await
    }

    fn granted(&self, ask: &Ask<'_>, leave: Leave) -> Result<Grant, Refused> {
        match leave {
            Leave::Rules => self.rules().check(ask),
            Leave::Operator => Ok(Grant { named: true, own: true }),
        }
    }

    async fn try_ask(
        self: &Arc<Self>,
        wanted: Wanted,
        origin: &mut String,
    ) -> (Asked, Option<Refused>) {
        let forbidden = |err: Refused| (Asked::Forbidden(Chain(&err).to_string()), Some(err));
        let target = match Target::parse(&wanted.url) {
            Ok(target) => target,
            Err(err) => return forbidden(err.into()),
        };
        *origin = target.origin();
        let ask = Ask::request(&wanted.method, &target);
        let grant = match self.granted(&ask, wanted.leave) {
            Ok(grant) => grant,
            Err(err) => return forbidden(err),
        };
        let most = wanted.most;
        let line = match self.broker.dialler.open(&ask, grant, self, IDLE).await {
            Ok(line) => line,
            Err(err) => return (Asked::Unsent(Chain(&err).to_string()), Some(err)),
        };
        let request = match request(&target, wanted) {
            Ok(request) => request,
            Err(err) => return forbidden(err),
        };
        let unknown = |err| {
            let err = self.broken(err);
            (Asked::Unknown(Chain(&err).to_string()), Some(err))
        };
        let response = match exchange::send(line, request, &self.broker.tasks).await {
            Ok(response) => response,
            Err(err) => return unknown(err),
        };
        let (head, body) = response.into_parts();
        match read(body, most).await {
            Ok(body) => {
                let (status, headers) = (head.status.as_u16(), head.headers);
                (Asked::Answered { status, headers, body }, None)
            }
            Err(err) => unknown(err),
        }
    }
}

async fn read(mut body: Held, most: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let left = most.saturating_sub(whole.len());
        whole.extend_from_slice(data.get(..left).unwrap_or(&data));
        if whole.len() >= most {
            break;
        }
    }
    Ok(whole)
}

fn request(target: &Target, wanted: Wanted) -> Result<Request<Full<Bytes>>, Refused> {
    let mut request = Request::new(Full::new(wanted.body));
    *request.method_mut() = wanted.method;
    let path = target.path_and_query();
    *request.uri_mut() = path.parse().map_err(|_bad| Refused::Malformed("the path is no path"))?;
    let host = HeaderValue::from_str(&target.authority());
    let host = host.map_err(|_bad| Refused::Malformed("the host is no host"))?;
    *request.headers_mut() = wanted.headers;
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::House;

    fn wanted(url: String, leave: Leave) -> Wanted {
        Wanted {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            leave,
            most: 4,
            time: Duration::from_secs(10),
        }
    }

    #[tokio::test]
    async fn this_machine_is_reached_where_the_operator_has_named_it_and_nowhere_else() {
        let house = House::closed(|_: &str, _| Vec::new()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a?b=c", listener.local_addr().unwrap());
        let refused = house.outlet.ask(wanted(url.clone(), Leave::Rules)).await;
        assert!(matches!(refused, Asked::Forbidden(_)), "{refused:?}");
        house.outlet.line(&url, Leave::Rules).await.err().unwrap();
        let far = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 15];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"POST /a?b=c HTT");
            stream.write_all(b"HTTP/1.1 429 x\r\nretry-after: 3\r\n\r\nlonger").await.unwrap();
        };
        let (asked, ()) = tokio::join!(house.outlet.ask(wanted(url.clone(), Leave::Operator)), far);
        let Asked::Answered { status, headers, body } = asked else { panic!("{asked:?}") };
        assert_eq!((status, &*body), (429, &b"long"[..]), "as much as is wanted");
        assert_eq!(headers["retry-after"], "3");
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (asked, ()) =
            tokio::join!(house.outlet.ask(wanted(url.clone(), Leave::Operator)), hang_up);
        assert!(matches!(asked, Asked::Unknown(_)), "{asked:?}");
        drop(listener);
        let asked = house.outlet.ask(wanted(url, Leave::Operator)).await;
        assert!(matches!(asked, Asked::Unsent(_)), "{asked:?}");
    }
}
