//! A tunnel for TLS: opened to the host that is named, and begun only with a greeting to that very
//! host. What is said inside is not seen; who it is said to is.

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::{Arc, PoisonError};
use tokio::io::AsyncWriteExt as _;

use super::{Agreed, IDLE, Proxy, Reply, hello};
use crate::host::Host;
use crate::line::Line;
use crate::metrics::Way;
use crate::outlet::Outlet;
use crate::refused::Refused;
use crate::rule::Ask;
use crate::target::{self, BadTarget};

/// A tunnel whose client has not greeted yet.
#[derive(Debug)]
pub(super) struct Tunnel {
    host: Host,
    origin: String,
    line: Line,
    client: OnUpgrade,
}

impl Proxy {
    /// Connects to whom the request names. `origin` is set to where that is.
    pub(super) async fn tunnel(
        &self,
        request: Request<Incoming>,
        origin: &mut String,
        agreed: &Agreed,
    ) -> Result<Reply, Refused> {
        let (host, port) = destination(&request)?;
        let ask = Ask::tunnel(&host, port);
        *origin = ask.origin();
        let grant = self.outlet.rules().check(&ask)?;
        let line = self.outlet.broker.dialler.dial(&ask, grant, &self.outlet, IDLE).await?;
        let client = hyper::upgrade::on(request);
        let tunnel = Tunnel { host, origin: origin.clone(), line, client };
        *agreed.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
        let mut reply = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
        *reply.status_mut() = StatusCode::OK;
        Ok(reply)
    }
}

fn destination(request: &Request<Incoming>) -> Result<(Host, u16), Refused> {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let authority = authority.ok_or(Refused::Malformed("CONNECT names HOST:PORT"))?;
    let (host, port) = target::split_authority(authority)?;
    let host = host.parse().map_err(BadTarget::Host)?;
    Ok((host, port.ok_or(BadTarget::Port)?))
}

impl Tunnel {
    /// Passes bytes both ways until one side ends, after a greeting to the right host.
    pub(super) async fn run(self, outlet: &Arc<Outlet>) {
        let Self { host, origin, mut line, client } = self;
        let mut client = match client.await {
            Ok(client) => TokioIo::new(client),
            Err(err) => {
                return tracing::debug!(error = %types::Chain(&err), "a tunnel was not begun");
            }
        };
        let hello = match hello::read(&mut client, &host).await {
            Ok(hello) => hello,
            Err(refused) => return outlet.ended(Way::Tunnel, &origin, Err(&refused)),
        };
        let relayed = async {
            line.write_all(&hello).await?;
            tokio::io::copy_bidirectional(&mut client, &mut line).await
        };
        let Err(err) = relayed.await else { return };
        // Either side may end a tunnel as it likes; what we ended is told.
        if let Some(refused) = outlet.ended_by_us(&err) {
            outlet.note(&origin, &refused);
        } else {
            tracing::debug!(error = %types::Chain(&err), "a tunnel broke");
        }
    }
}
