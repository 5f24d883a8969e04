//! What a process leaves that is killed: its files as they are at the moment.

use std::path::Path;

use tempfile::TempDir;

/// A copy of all that is in `root` now.
pub(crate) fn left(root: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    copy(root, left.path());
    left
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
