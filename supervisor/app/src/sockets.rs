//! The sockets of the gateway, from bound to served.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::Path;

use control::Control;
use front::Front;
use runtime::Tasks;
use tokio::net::{TcpListener, UnixListener};

use crate::app::{CONTROL_SOCKET, Listeners};
use crate::error::Error;

/// Every socket that the gateway listens on; there are no others.
pub(crate) struct Sockets {
    gateway: TcpListener,
    pub(crate) gateway_address: SocketAddr,
    control: TcpListener,
    pub(crate) control_address: SocketAddr,
    local: UnixListener,
}

impl Sockets {
    pub(crate) async fn open(listeners: Listeners) -> Result<Self, Error> {
        let (gateway, gateway_address) = listen(listeners.gateway, "the gateway's address")?;
        let (control, control_address) = listen(listeners.control, "the control plane's address")?;
        let local = control::bind(Path::new(CONTROL_SOCKET)).await.map_err(Error::Control)?;
        Ok(Self { gateway, gateway_address, control, control_address, local })
    }

    pub(crate) fn serve(self, front: &Front, plane: &Control, serving: &Tasks) {
        let (front, scope) = (front.clone(), serving.clone());
        drop(serving.spawn(async move { front.serve(self.gateway, &scope).await }));
        let (tcp, scope) = (plane.clone(), serving.clone());
        drop(serving.spawn(async move { control::serve_tcp(self.control, tcp, scope).await }));
        let (local, scope) = (plane.clone(), serving.clone());
        drop(serving.spawn(async move { control::serve_unix(self.local, local, scope).await }));
    }
}

fn listen(
    listener: StdTcpListener,
    what: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let listen = |source| Error::Listen { what, source };
    listener.set_nonblocking(true).map_err(listen)?;
    let listener = TcpListener::from_std(listener).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    Ok((listener, address))
}
