//! What is packed and unpacked again is the same, whatever it is; and what is changed on the way is
//! refused.

use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Something beneath a root: path, what it is, mode, seconds and nanoseconds.
type Seen = (PathBuf, String, u32, (i64, i64));

/// Everything beneath a root but the times of links, which not every file system keeps.
fn seen(root: &Path) -> Vec<Seen> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = open.pop() {
        for entry in root.join(&folder).read_dir().unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            let at = root.join(&path);
            let stat = at.symlink_metadata().unwrap();
            let what = if stat.is_dir() {
                open.push(path.clone());
                "directory".to_owned()
            } else if stat.is_symlink() {
                format!("{:?}", at.read_link().unwrap())
            } else {
                format!("{:?}", std::fs::read(&at).unwrap())
            };
            let time = (stat.mtime(), stat.mtime_nsec());
            found.push((path, what, stat.mode() & 0o7777, time));
        }
    }
    found.sort_unstable();
    found
}

fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = nix::sys::time::TimeSpec::new(seconds, nanoseconds.into());
    let flags = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, flags).unwrap();
}

/// Something with a name, a mode and a time.
type Named = (Vec<u8>, u32, (i64, u32), Made);

#[derive(Debug, Clone)]
enum Made {
    File(Vec<u8>),
    Folder(Vec<Named>),
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => b'a'..=b'e', 1 => any::<u8>()];
    prop::collection::vec(byte, 1..40).prop_filter("a name", |name| {
        !name.contains(&0) && !name.contains(&b'/') && name != b"." && name != b".."
    })
}

fn made() -> impl Strategy<Value = Made> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        (0_usize..20_000, any::<u8>()).prop_map(|(zeros, last)| {
            let mut bytes = vec![0; zeros];
            bytes.push(last);
            bytes.extend([0; 5000]);
            bytes
        }),
    ];
    let leaf = prop_oneof![content.prop_map(Made::File), name().prop_map(Made::Link)];
    leaf.prop_recursive(4, 30, 6, |inner| {
        let time = (-2_000_000_000_i64..4_000_000_000, 0_u32..1_000_000_000);
        let one = (name(), 0_u32..0o1000, time, inner);
        prop::collection::vec(one, 0..6).prop_map(Made::Folder)
    })
}

fn write(at: &Path, made: &Made) {
    match made {
        Made::File(content) => std::fs::write(at, content).unwrap(),
        Made::Link(target) => {
            let target = std::ffi::OsString::from_vec(target.clone());
            std::os::unix::fs::symlink(target, at).unwrap();
        }
        Made::Folder(members) => {
            if !at.exists() {
                std::fs::create_dir(at).unwrap();
            }
            for (name, mode, (seconds, nanoseconds), made) in members {
                let at = at.join(std::ffi::OsString::from_vec(name.clone()));
                if at.symlink_metadata().is_ok() {
                    continue;
                }
                write(&at, made);
                if !matches!(made, Made::Link(_)) {
                    let is_folder = matches!(made, Made::Folder(_));
                    let bits = *mode | if is_folder { 0o700 } else { 0o400 };
                    std::fs::set_permissions(&at, PermissionsExt::from_mode(bits)).unwrap();
                }
                set_time(&at, *seconds, *nanoseconds);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_unpacked_is_what_was_packed(made in made()) {
        let from = tempfile::tempdir().unwrap();
        write(&from.path().join("x"), &made);
        let (summary, bytes) = packed(from.path());
        let (result, to) = unpacked(&bytes, 1 << 30);
        prop_assert_eq!(result.unwrap().digest, summary.digest);
        prop_assert_eq!(seen(&to.path().join("root")), seen(from.path()));
    }
}

fn small() -> (tempfile::TempDir, Vec<u8>) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("a")).unwrap();
    std::fs::write(root.path().join("a/b"), "content").unwrap();
    std::os::unix::fs::symlink("b", root.path().join("a/c")).unwrap();
    let bytes = packed(root.path()).1;
    (root, bytes)
}

#[test]
fn no_byte_of_the_tar_can_be_changed_and_no_part_of_it_is_enough() {
    let (_root, bytes) = small();
    let tar = zstd::decode_all(bytes.as_slice()).unwrap();
    for at in (0..tar.len()).step_by(31) {
        let mut changed = tar.clone();
        changed[at] ^= 1 << (at % 8);
        let result = unpacked(&made::squeezed(&changed), 1 << 30).0;
        assert!(matches!(result, Err(Failure::Refused(_))), "byte {at}: {result:?}");
    }
    for length in (0..tar.len()).step_by(97) {
        let result = unpacked(&made::squeezed(&tar[..length]), 1 << 30).0;
        assert!(matches!(result, Err(Failure::Refused(_))), "{length} bytes: {result:?}");
    }
}

/// What its owner has closed to itself, and a mark that is the root's own.
#[test]
fn what_is_closed_to_its_owner_goes_along_and_is_closed_as_before() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let modes = [("deep/in", 0o000), ("deep/write", 0o200), ("none", 0o000), ("deep", 0o400)];
    std::fs::create_dir(path("deep")).unwrap();
    std::fs::write(path(RESTORED), "").unwrap();
    for (name, mode) in modes {
        if name != "deep" {
            std::fs::write(path(name), name).unwrap();
        }
        std::fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let before = seen(root.path());
    let (summary, bytes) = packed(root.path());
    assert_eq!((summary.files, summary.directories, summary.left_out), (3, 1, 0));
    assert_eq!(seen(root.path()), before);
    let (result, to) = unpacked(&bytes, 1 << 30);
    result.unwrap();
    let after = seen(&to.path().join("root"));
    let is_marked = |it: &Seen| it.0.as_os_str() == RESTORED;
    assert_eq!(after, before.into_iter().filter(|it| !is_marked(it)).collect::<Vec<_>>());
}

#[test]
fn a_mode_that_closes_is_opened_for_its_owner_alone() {
    let root = tempfile::tempdir().unwrap();
    let at = directory(root.path());
    let path = root.path().join("closed");
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o030)).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().mode() & 0o7777;
    let stat = walk::look(&at, b"closed").unwrap().unwrap();
    let (_, found, _) = walk::open_any(&at, b"closed", &stat).unwrap().unwrap();
    assert_eq!((mode(), walk::mode_of(&found)), (0o030, 0o030));
    std::fs::remove_file(&path).unwrap();
    assert!(walk::open_any(&at, b"closed", &stat).unwrap().is_none(), "it has gone");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o030)).unwrap();
    let stat = walk::look(&at, b"closed").unwrap().unwrap();
    let (folder, _, closed) = walk::open_any(&at, b"closed", &stat).unwrap().unwrap();
    assert_eq!(mode(), 0o530, "for as long as it is looked through");
    drop(walk::Level::closing(folder.into(), 0, closed).unwrap());
    assert_eq!(mode(), 0o030);
}

#[test]
fn what_cannot_be_taken_is_left_out_and_named() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    nix::unistd::mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    for (name, target) in [("out", "/etc/passwd"), ("up", "../x"), ("in", "file")] {
        std::os::unix::fs::symlink(target, path(name)).unwrap();
    }
    std::fs::write(path("file"), "x").unwrap();
    std::fs::hard_link(path("file"), path("again")).unwrap();
    std::fs::set_permissions(path("file"), PermissionsExt::from_mode(0o6755)).unwrap();
    std::fs::write(path(".openclawmu-index"), "mine").unwrap();
    std::fs::create_dir(path("memory")).unwrap();
    std::fs::write(path("memory/main.sqlite"), "index").unwrap();
    std::fs::File::create(path("holes")).unwrap().set_len(1 << 40).unwrap();
    let (summary, bytes) = packed(root.path());
    let mut left_out: Vec<_> =
        summary.first_left_out.iter().map(|(path, why)| (path.as_str(), *why)).collect();
    left_out.sort_unstable();
    let expected = [
        (".openclawmu-index", "reserved"),
        ("holes", "holes"),
        ("out", "leaving link"),
        ("pipe", "pipe"),
        ("socket", "socket"),
        ("up", "leaving link"),
    ];
    assert_eq!((left_out.as_slice(), summary.left_out), (&expected[..], 6));
    assert_eq!((summary.files, summary.links, summary.directories), (2, 1, 0));
    let (result, to) = unpacked(&bytes, 1 << 30);
    result.unwrap();
    let found = std::fs::metadata(to.path().join("root/file")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.nlink()), (0o755, 1));
}

#[test]
fn nothing_but_zeros_stays_small_and_has_no_bound_but_its_own() {
    let root = tempfile::tempdir().unwrap();
    let length = 160 << 20;
    std::fs::File::create(root.path().join("zeros")).unwrap().set_len(length).unwrap();
    let (_, bytes) = packed(root.path());
    assert!(bytes.len() < 2 << 20, "{} bytes", bytes.len());
    // Not one byte may be written, and none is.
    let (result, to) = unpacked(&bytes, 0);
    assert_eq!(result.unwrap().bytes, length);
    let found = std::fs::metadata(to.path().join("root/zeros")).unwrap();
    assert_eq!(found.len(), length);
    assert!(found.blocks() < 100, "{} blocks", found.blocks());
}

#[test]
fn what_does_not_fit_is_not_unpacked() {
    let (_root, bytes) = small();
    let result = unpacked(&bytes, 6).0;
    assert!(
        matches!(&result, Err(Failure::Io { source, .. })
            if source.kind() == std::io::ErrorKind::StorageFull),
        "{result:?}"
    );
    unpacked(&bytes, 7).0.unwrap();
}

#[test]
fn only_an_empty_root_is_filled() {
    let (root, bytes) = small();
    let result = unpack(directory(root.path()), bytes.as_slice(), 1 << 30);
    assert!(matches!(result, Err(Failure::Io { .. })), "{result:?}");
    assert_eq!(std::fs::read(root.path().join("a/b")).unwrap(), b"content");
}
