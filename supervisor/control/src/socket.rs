//! The Unix socket: where it is, and who may use it.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use crate::error::Error;

/// Whoever gets through the directory is root, the gateway's user, or in the gateway's group; whom
/// of them the socket serves is decided by their credentials.
const DIRECTORY_MODE: u32 = 0o700;
const SOCKET_MODE: u32 = 0o600;

/// Listens at `path`, in a directory that only its owner can enter. A socket that nobody serves any
/// more is replaced.
///
/// # Errors
/// When another gateway answers there, or the directory or the socket cannot be made.
pub async fn bind(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    match UnixStream::connect(path).await {
        Ok(_) => return Err(Error::SocketInUse(path.to_owned())),
        Err(err) if err.kind() == ErrorKind::NotFound => {}
        Err(err) if err.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Err(err) => return Err(failed(err)),
    }
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
        made.map_err(failed)?;
        std::fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
            .map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
    Ok(listener)
}

/// The uid at the far end of `stream`, if it may use the control plane.
pub(crate) fn peer(stream: &UnixStream, allowed: &[u32]) -> Option<u32> {
    let uid = stream.peer_cred().ok()?.uid();
    may(uid, nix::unistd::geteuid().as_raw(), allowed).then_some(uid)
}

fn may(uid: u32, own: u32, allowed: &[u32]) -> bool {
    uid == 0 || uid == own || allowed.contains(&uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run").join("control.sock");
        let first = bind(&path).await.unwrap();
        assert!(matches!(bind(&path).await, Err(Error::SocketInUse(_))));
        drop(first);
        let second = bind(&path).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(second);
    }

    #[tokio::test]
    async fn who_is_let_in() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer(&one, &[]), Some(nix::unistd::geteuid().as_raw()));
        let check = |uid: u32, allowed: &[u32], ok: bool| assert_eq!(may(uid, 500, allowed), ok);
        check(0, &[], true);
        check(500, &[], true);
        check(501, &[], false);
        check(501, &[7, 501], true);
        check(502, &[7, 501], false);
    }
}
