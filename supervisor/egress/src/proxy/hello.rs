//! The greeting of TLS: which host a client means to speak with, read before anything is passed on.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::host::Host;
use crate::refused::Refused;

/// Bytes of a greeting: one record of TLS.
const MAX_HELLO: usize = 16 << 10;

/// How long a greeting may take to arrive.
const HELLO: Duration = Duration::from_secs(10);

/// The byte with which a handshake of TLS begins.
const HANDSHAKE: u8 = 22;

/// Reads a greeting that names `host` and gives all bytes read.
pub(super) async fn read(client: impl AsyncRead + Unpin, host: &Host) -> Result<Vec<u8>, Refused> {
    match tokio::time::timeout(HELLO, read_patiently(client, host)).await {
        Ok(read) => read,
        Err(_elapsed) => Err(Refused::Slow),
    }
}

async fn read_patiently(
    mut client: impl AsyncRead + Unpin,
    host: &Host,
) -> Result<Vec<u8>, Refused> {
    let mut acceptor = Acceptor::default();
    let mut read = Vec::new();
    let mut chunk = [0; 2048];
    while read.len() < MAX_HELLO {
        let length = client.read(&mut chunk).await.map_err(|_gone| Refused::NotTls)?;
        let mut new = chunk.get(..length).unwrap_or_default();
        read.extend_from_slice(new);
        if new.is_empty() || read.first() != Some(&HANDSHAKE) {
            return Err(Refused::NotTls);
        }
        feed(&mut acceptor, &mut new)?;
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let named = accepted.client_hello().server_name().map(str::to_owned);
                return if names(named.as_deref(), host) {
                    Ok(read)
                } else {
                    Err(Refused::ServerName)
                };
            }
            Err((err, _alert)) => {
                tracing::debug!(error = %types::Chain(&err), "no greeting of TLS");
                return Err(Refused::NotTls);
            }
        }
    }
    Err(Refused::NotTls)
}

fn feed(acceptor: &mut Acceptor, new: &mut &[u8]) -> Result<(), Refused> {
    while !new.is_empty() {
        let before = new.len();
        let fed: io::Result<usize> = acceptor.read_tls(new);
        if fed.is_err() || new.len() == before {
            return Err(Refused::NotTls);
        }
    }
    Ok(())
}

/// Whether a greeting with this name is for `host`. No greeting names an address.
fn names(named: Option<&str>, host: &Host) -> bool {
    match (named, host) {
        (Some(named), Host::Name(name)) => named.eq_ignore_ascii_case(name),
        (None, Host::Address(_)) => true,
        (None, Host::Name(_)) | (Some(_), Host::Address(_)) => false,
    }
}
