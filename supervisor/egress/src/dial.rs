//! From a leave to a connection: resolve, check every address, connect to the very one that was
//! checked. The only place of this crate that connects to a host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use crate::address::Networks;
use crate::host::Host;
use crate::line::{Io, Line};
use crate::outlet::Outlet;
use crate::refused::Refused;
use crate::resolve::Resolver;
use crate::rule::Ask;
use crate::rules::Grant;
use crate::target::Scheme;

/// Addresses of one name that are looked at; no host needs more, and all must be checked.
const MAX_ADDRESSES: usize = 64;

/// Addresses of one name that are tried.
const TRIED: usize = 4;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// How long TLS may take to be agreed on.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What connects.
#[derive(Debug)]
pub(crate) struct Dialler {
    resolver: Resolver,
    networks: Networks,
    tls: Arc<ClientConfig>,
}

impl Dialler {
    pub(crate) const fn new(
        resolver: Resolver,
        networks: Networks,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Self { resolver, networks, tls }
    }

    /// A counted connection to whom `ask` names, for which the rules have given leave.
    pub(crate) async fn dial(
        &self,
        ask: &Ask<'_>,
        grant: Grant,
        outlet: &Arc<Outlet>,
        idle: Duration,
    ) -> Result<Line, Refused> {
        outlet.check_budget()?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in self.checked(ask.host, grant, outlet).await?.into_iter().take(TRIED) {
            let connect = self.connect(SocketAddr::new(address, ask.port), grant);
            match tokio::time::timeout(CONNECT, connect).await {
                Ok(Ok(stream)) => return Ok(Line::new(stream, outlet, idle)),
                Ok(Err(Refused::Connect(err))) => last = err,
                Ok(Err(refused)) => return Err(refused),
                Err(elapsed) => last = elapsed.into(),
            }
        }
        Err(Refused::Connect(last))
    }

    /// As [`Dialler::dial`], and TLS over it where the scheme has it.
    pub(crate) async fn open(
        &self,
        ask: &Ask<'_>,
        grant: Grant,
        outlet: &Arc<Outlet>,
        idle: Duration,
    ) -> Result<Box<dyn Io>, Refused> {
        let line = self.dial(ask, grant, outlet, idle).await?;
        if ask.scheme == Scheme::Http {
            return Ok(Box::new(line));
        }
        let name = match ask.host {
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|err| Refused::Tls(io::Error::other(err)))?,
            Host::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, line);
        match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(stream) => Ok(Box::new(stream.map_err(Refused::tls)?)),
            Err(_elapsed) => Err(Refused::Slow),
        }
    }

    /// All addresses of `host`, each of which may be connected to. One that may not, and none may: an
    /// answer that mixes them wants something.
    async fn checked(
        &self,
        host: &Host,
        grant: Grant,
        outlet: &Outlet,
    ) -> Result<Vec<IpAddr>, Refused> {
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let found = self.resolver.addresses(name, &outlet.lookups).await;
                found.map_err(Refused::Names)?
            }
        };
        if addresses.len() > MAX_ADDRESSES {
            return Err(Refused::Addresses);
        }
        for address in &addresses {
            if !grant.own {
                let checked = self.networks.check(*address, grant.named);
                checked.map_err(|class| Refused::Address { class })?;
            }
        }
        Ok(addresses)
    }

    async fn connect(&self, address: SocketAddr, grant: Grant) -> Result<TcpStream, Refused> {
        // A public address can be one of this machine's, behind which its own services listen. They
        // are not to see a connection even.
        if !grant.own {
            let near = near(address).await.map_err(Refused::Connect)?;
            if near == address.ip() && !self.networks.has(address.ip()) {
                return Err(Refused::Own);
            }
        }
        let stream = TcpStream::connect(address).await.map_err(Refused::Connect)?;
        stream.set_nodelay(true).map_err(Refused::Connect)?;
        Ok(stream)
    }
}

/// From which address one would connect: of a datagram socket, which sends nothing for it.
async fn near(address: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests;
