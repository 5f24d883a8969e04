//! A farm of web hosts on networks that this machine has for the test alone, with a name server of its
//! own: hosts that may be reached, and hosts that nobody may reach, which count who knocks.
//!
//! Needs root and `ip`: two addresses of 198.18.0.0/15 are added to the loopback interface and taken
//! away again.

mod names;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_stream::wrappers::ReceiverStream;

pub use names::Names;

/// What every host of the farm says to `/ok`.
pub const FINE: &str = "the farm is fine";

/// A certificate for `farm.test` and `other.test`, and who vouches for it.
const CERTIFICATE: &[u8] = include_bytes!("../../supervisor/egress/src/testing/server.pem");
const KEY: &[u8] = include_bytes!("../../supervisor/egress/src/testing/server.key");
const AUTHORITY: &[u8] = include_bytes!("../../supervisor/egress/src/testing/authority.pem");

/// Pieces of 1 MiB of the body that is too long for anybody.
const HUGE: usize = 200;
/// Networks of 198.18.0.0/16 that farms have.
const NETWORKS: u32 = 250;
/// How long the slow body waits between two of its bytes.
const SLOW: Duration = Duration::from_millis(500);

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// A farm; dropped, its addresses are gone.
#[derive(Debug)]
pub struct Farm {
    open: Ipv4Addr,
    shut: Ipv4Addr,
    http: u16,
    https: u16,
    names: Names,
    knocks: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl Farm {
    /// Starts one: a host that may be reached, and the same port on an address that may not and on
    /// this machine's own.
    pub async fn start() -> Self {
        let [open, shut] = claim();
        let knocks = Arc::new(AtomicUsize::new(0));
        let plain = TcpListener::bind((open, 0)).await.unwrap();
        let http = plain.local_addr().unwrap().port();
        for address in [shut, Ipv4Addr::LOCALHOST] {
            let closed = TcpListener::bind((address, http)).await.unwrap();
            drop(tokio::spawn(serve(closed, None, Some(Arc::clone(&knocks)))));
        }
        let secret = TcpListener::bind((open, 0)).await.unwrap();
        let https = secret.local_addr().unwrap().port();
        drop(tokio::spawn(serve(plain, None, None)));
        drop(tokio::spawn(serve(secret, Some(acceptor()), None)));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authority.pem"), AUTHORITY).unwrap();
        let names = Names::start().await;
        Self { open, shut, http, https, names, knocks, folder }
    }

    /// The address that may be reached.
    pub const fn open(&self) -> IpAddr {
        IpAddr::V4(self.open)
    }

    /// The address of the same kind that may not.
    pub const fn shut(&self) -> IpAddr {
        IpAddr::V4(self.shut)
    }

    /// The port of plain HTTP on all addresses.
    pub const fn http(&self) -> u16 {
        self.http
    }

    /// The port of TLS on the address that may be reached.
    pub const fn https(&self) -> u16 {
        self.https
    }

    /// The name server.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// How often somebody came to where nobody may.
    pub fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }

    /// `egress` of a configuration that reaches the farm by these rules.
    pub fn config(&self, allow: &[String]) -> Value {
        json!({
            "allow": allow,
            "resolver": self.names.address(),
            "privateNetworks": [format!("{}/32", self.open)],
            "caFile": self.folder.path().join("authority.pem"),
            "timeoutSeconds": 4,
        })
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        for address in [self.open, self.shut] {
            assert!(loopback("del", address), "{address} is not ours any more");
        }
    }
}

/// Two addresses that no other farm has: who adds the first of a network has the network.
fn claim() -> [Ipv4Addr; 2] {
    let first = std::process::id();
    for part in (0..NETWORKS).map(|it| u8::try_from((first + it) % NETWORKS).unwrap()) {
        let [open, shut] = [1, 2].map(|last| Ipv4Addr::new(198, 18, part, last));
        if loopback("add", open) {
            // It may be left of one that was killed.
            assert!(loopback("replace", shut), "no {shut}");
            return [open, shut];
        }
    }
    panic!("each of {NETWORKS} networks is somebody's, or this machine gives nobody an address");
}

/// Whether the loopback interface got, or lost, that address.
fn loopback(what: &str, address: Ipv4Addr) -> bool {
    let network = format!("{address}/32");
    let output = Command::new("ip").args(["address", what, &network, "dev", "lo"]).output();
    output.unwrap().status.success()
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, knocks: Option<Arc<AtomicUsize>>) {
    while let Ok((stream, _)) = listener.accept().await {
        if let Some(knocks) = &knocks {
            knocks.fetch_add(1, Ordering::SeqCst);
        }
        let tls = tls.clone();
        drop(tokio::spawn(async move {
            match tls {
                None => talk(stream).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        talk(stream).await;
                    }
                }
            }
        }));
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service =
        hyper::service::service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A caller that goes away in the middle is what some tests are about.
    connection.await.unwrap_or_default();
}

/// `/ok`, `/to?URL` (a redirect), `/round` (a redirect to itself), `/slow` and `/huge`.
fn answer(request: &Request<Incoming>) -> Response<Body> {
    let uri = request.uri();
    let answer = Response::builder().header("content-type", "text/plain");
    match uri.path() {
        path @ ("/to" | "/round") => {
            let target = uri.query().unwrap_or(path);
            let answer = answer.status(302).header("location", target);
            answer.body(stream(1, None, || Bytes::from_static(b"elsewhere"))).unwrap()
        }
        "/slow" => {
            answer.body(stream(usize::MAX, Some(SLOW), || Bytes::from_static(b"."))).unwrap()
        }
        "/huge" => answer.body(stream(HUGE, None, || Bytes::from(vec![b'x'; 1 << 20]))).unwrap(),
        _ => answer.body(stream(1, None, || Bytes::from_static(FINE.as_bytes()))).unwrap(),
    }
}

fn stream(count: usize, pause: Option<Duration>, piece: fn() -> Bytes) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(tokio::spawn(async move {
        for _ in 0..count {
            if sender.send(Ok(Frame::data(piece()))).await.is_err() {
                return;
            }
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
        }
    }));
    StreamBody::new(ReceiverStream::new(receiver))
}
