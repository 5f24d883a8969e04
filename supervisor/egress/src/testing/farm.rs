//! A host that answers as a test tells it and remembers what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime::Tasks;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::line::Io;
use crate::tls;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What a farm was asked: the head of a request, and its body as text.
pub(crate) type Asked = (http::request::Parts, String);

#[derive(Debug)]
pub(crate) struct Farm {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// An answer with this text.
pub(crate) fn text(text: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(text.into()).boxed_unsync())
}

/// `ok` to everything.
pub(crate) fn ok(_: &Request<()>) -> Answer {
    text("ok")
}

/// A client that trusts the authority of the tests.
pub(crate) fn client_config() -> Arc<ClientConfig> {
    tls::client(include_bytes!("authority.pem")).unwrap()
}

impl Farm {
    pub(crate) async fn plain(
        tasks: &Tasks,
        answer: impl Fn(&Request<()>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(tasks, None, answer).await
    }

    /// With a certificate for `farm.test` and `other.test`.
    pub(crate) async fn secure(
        tasks: &Tasks,
        answer: impl Fn(&Request<()>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let chain = CertificateDer::pem_slice_iter(include_bytes!("server.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        Self::serve(tasks, Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn serve(
        tasks: &Tasks,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request<()>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let (seen, scope) = (Arc::clone(&asked), tasks.clone());
        tasks.spawn_until_stopped(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, answer, seen) = (tls.clone(), Arc::clone(&answer), Arc::clone(&seen));
                scope.spawn_until_stopped(async move {
                    converse(secured(stream, tls).await, &*answer, &seen).await;
                });
            }
        });
        Self { port, asked }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The connection, with TLS where there is some; none where the client does not like it.
async fn secured(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Io>> {
    match tls {
        None => Some(Box::new(stream)),
        Some(tls) => Some(Box::new(tls.accept(stream).await.ok()?)),
    }
}

async fn converse(
    io: Option<Box<dyn Io>>,
    answer: &(impl Fn(&Request<()>) -> Answer + Sync),
    seen: &Mutex<Vec<Asked>>,
) {
    let Some(io) = io else { return };
    let service = service_fn(|request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        let shown = Request::from_parts(head.clone(), ());
        seen.lock().unwrap().push((head, body));
        Ok::<_, hyper::Error>(answer(&shown))
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    // Who hangs up on a farm has a reason that its test knows.
    drop(served.await);
}
