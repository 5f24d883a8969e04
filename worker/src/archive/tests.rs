//! A root, its archive, and the root that is made of it; and archives that nobody should make.

mod hostile;
mod made;
mod round;

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::*;

fn directory(path: &Path) -> OwnedFd {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).unwrap()
}

fn packed(from: &Path) -> (Summary, Vec<u8>) {
    let (tar, taken) = pipe::pipe();
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| {
            let (summary, tar) = pack::pack(directory(from), pin::Pinned::default(), tar).unwrap();
            tar.end().unwrap();
            summary
        });
        let archive = pipe::squeeze(taken, Vec::new()).unwrap();
        (packing.join().unwrap(), archive)
    })
}

/// Unpacks into a directory that has a neighbour, and makes sure that the neighbour is as it was.
fn unpacked(archive: &[u8], space: u64) -> (Result<Summary, Failure>, tempfile::TempDir) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(outer.path().join("neighbour"), "untouched").unwrap();
    let result = unpack(directory(&root), archive, space);
    let mut names: Vec<_> =
        outer.path().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["neighbour", "root"]);
    assert_eq!(std::fs::read(outer.path().join("neighbour")).unwrap(), b"untouched");
    (result, outer)
}
