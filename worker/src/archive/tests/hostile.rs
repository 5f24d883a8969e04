//! One archive for each thing that can be wrong with one. Each is refused with its own reason, and
//! nothing outside the new root is touched.

use super::made::{
    archive, blocks, extended, file, folder, head, indexed, link, own, records, squeezed,
};
use super::*;

type Case = (&'static str, Refusal, Vec<u8>);

/// An archive of one member that is made of these bytes.
fn of(name: &'static str, refusal: Refusal, members: &[Vec<u8>]) -> Case {
    (name, refusal, archive(members))
}

fn good() -> Vec<u8> {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("a")).unwrap();
    std::fs::write(root.path().join("a/b"), "content").unwrap();
    packed(root.path()).1
}

fn compression() -> Vec<Case> {
    use Refusal::{Compression, Ratio, Trailing, Truncated, Version};
    let good = good();
    let cut = |length: usize| good[..length].to_vec();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(27).unwrap();
    std::io::Write::write_all(&mut wide, &vec![1; 1 << 20]).unwrap();
    let zeros = vec![0; 80 << 20];
    vec![
        ("nothing at all", Truncated, Vec::new()),
        ("no compression", Compression, b"PK\x03\x04, as others have it".to_vec()),
        ("a tar that is not compressed", Compression, own(FORMAT, b"1\n")),
        ("cut in the middle", Truncated, cut(good.len() / 2)),
        ("cut before its checksum", Truncated, cut(good.len() - 4)),
        ("a wrong checksum", Compression, flipped),
        ("garbage behind it", Compression, [good.clone(), b"garbage".to_vec()].concat()),
        ("a second archive behind it", Trailing, [good.clone(), good.clone()].concat()),
        ("a window of 128 MiB", Compression, wide.finish().unwrap()),
        ("a bomb", Ratio, archive(&[head(b'0', b"zeros", zeros.len(), |_| {}), zeros])),
        ("only zeros", Version, squeezed(&[0; 1024])),
        ("one block of zeros", Truncated, squeezed(&[own(FORMAT, b"1\n"), vec![0; 512]].concat())),
        (
            "the end and then something",
            Trailing,
            squeezed(&[own(FORMAT, b"1\n"), vec![0; 512], vec![7; 512]].concat()),
        ),
    ]
}

fn headers() -> Vec<Case> {
    use Refusal::{BadHeader, Checksum, Magic, Mode, Number, Size};
    let with = |change: fn(&mut tar::Header)| vec![head(b'0', b"a", 0, change)];
    let mut flipped = file(b"a", b"");
    flipped[0] ^= 1;
    let mut unreadable = file(b"a", b"");
    unreadable[148] = b'x';
    vec![
        of("a wrong checksum of a header", Checksum, &[flipped]),
        of("a checksum that is no number", Checksum, &[unreadable]),
        of(
            "a header of before POSIX",
            Magic,
            &with(|it| it.as_ustar_mut().unwrap().magic = [0; 6]),
        ),
        of("a header of GNU's", Magic, &with(|it| it.as_ustar_mut().unwrap().magic = *b"ustar ")),
        of("another version", Magic, &with(|it| it.as_ustar_mut().unwrap().version = *b"01")),
        of("a size that is no number", Number, &with(|it| it.as_old_mut().size = *b"zzzzzzzzzzzz")),
        of("a size in base 256", Number, &with(|it| it.as_old_mut().size = [0x80; 12])),
        of("a negative size", Number, &with(|it| it.as_old_mut().size = [0xff; 12])),
        of("no size", Number, &with(|it| it.as_old_mut().size = [0; 12])),
        of("digits behind a size", Number, &with(|it| it.as_old_mut().size = *b"0 7         ")),
        of("a mode that is no number", Number, &with(|it| it.as_old_mut().mode = *b"rwxr-xr-")),
        of("a time that is no number", Number, &with(|it| it.as_old_mut().mtime = [b'9'; 12])),
        of("set-user-id", Mode, &with(|it| it.set_mode(0o4755))),
        of("set-group-id", Mode, &with(|it| it.set_mode(0o2755))),
        of("a file type in the mode", Mode, &with(|it| it.set_mode(0o100_644))),
        of("a directory with set-group-id", Mode, &[head(b'5', b"a", 0, |it| it.set_mode(0o2755))]),
        of("a directory with content", Size, &[head(b'5', b"a", 5, |_| {}), blocks(b"12345")]),
        of(
            "a link with content",
            Size,
            &[head(b'2', b"a", 5, |it| it.as_old_mut().linkname[0] = b'b')],
        ),
        of(
            "a path in two fields",
            BadHeader,
            &with(|it| it.as_ustar_mut().unwrap().prefix[0] = b'p'),
        ),
    ]
}

fn kinds() -> Vec<Case> {
    use Refusal::{
        Contiguous, Device, Fifo, GlobalHeader, GnuLongName, HardLink, Sparse, UnknownType,
    };
    let kind = |kind: u8| vec![head(kind, b"a", 0, |it| it.as_old_mut().linkname[0] = b'b')];
    vec![
        of("a hard link", HardLink, &[vec![file(b"b", b"")], kind(b'1')].concat()),
        of("a character device", Device, &kind(b'3')),
        of("a block device", Device, &kind(b'4')),
        of("a pipe", Fifo, &kind(b'6')),
        of("a file in one piece", Contiguous, &kind(b'7')),
        of("a global header", GlobalHeader, &kind(b'g')),
        of("GNU's long name", GnuLongName, &kind(b'L')),
        of("GNU's long link", GnuLongName, &kind(b'K')),
        of("a sparse file of GNU's", Sparse, &kind(b'S')),
        of("a sparse file by keyword", Sparse, &[records(&[("GNU.sparse.major", b"1")])]),
        of("a volume's name", UnknownType, &kind(b'V')),
        of("the rest of a file of another volume", UnknownType, &kind(b'M')),
        of("an access list", UnknownType, &kind(b'A')),
    ]
}

fn extended_headers() -> Vec<Case> {
    use Refusal::{BadHeader, Keyword, LongHeader, LongPath, Padding, StrayHeader, Time};
    let then = |extended: Vec<u8>| vec![extended, file(b"a", b"")];
    let bytes = |content: &[u8]| then(extended(content));
    let record = |key: &str, value: &[u8]| then(records(&[(key, value)]));
    let mut padded = extended(b"11 path=ab\n");
    *padded.last_mut().unwrap() = 1;
    vec![
        of("an extended header of 17 KiB", LongHeader, &bytes(&vec![b'a'; 17 << 10])),
        of("an extended header of 8 GiB", LongHeader, &[head(b'x', b"x", (1 << 33) - 1, |_| {})]),
        of("a record without a length", BadHeader, &bytes(b"path=a\n")),
        of("a record longer than its header", BadHeader, &bytes(b"99 path=a\n")),
        of("a record of no length", BadHeader, &bytes(b"0 path=a\n")),
        of("a record shorter than its length's digits", BadHeader, &bytes(b"2 path=a\n")),
        of("a record with a signed length", BadHeader, &bytes(b"+10 path=a\n")),
        of("a record without an end", BadHeader, &bytes(b"9 path=ab")),
        of("a record without a value", BadHeader, &bytes(b"7 path\n")),
        of("an attribute", Keyword, &record("SCHILY.xattr.security.capability", b"x")),
        of("an owner", Keyword, &record("uid", b"0")),
        of("a path twice", Keyword, &then(records(&[("path", b"a"), ("path", b"b")]))),
        of("a size that is no number", BadHeader, &record("size", b"-1")),
        of("a time that is none", Time, &record("mtime", b"yesterday")),
        of("a time with too many digits", Time, &record("mtime", b"1.0000000001")),
        of("a time beyond all", Time, &record("mtime", b"99999999999999999999.000000000")),
        of("two extended headers", StrayHeader, &then([records(&[]), records(&[])].concat())),
        of("an extended header of nothing", StrayHeader, &[records(&[("path", b"a")])]),
        of("something in its padding", Padding, &then(padded)),
        of("a path of 4097 bytes", LongPath, &record("path", &[b'a'; 4097])),
        of("a target of 4097 bytes", LongPath, &record("linkpath", &[b'a'; 4097])),
    ]
}

fn paths() -> Vec<Case> {
    use Refusal::{
        Absolute, Depth, Dots, Duplicate, EmptyName, LongName, NoDirectory, Nul, Reserved,
    };
    let plain = |name: &[u8]| vec![file(name, b"")];
    let record = |value: &[u8]| vec![records(&[("path", value)]), file(b"a", b"")];
    let two = |one: Vec<u8>, other: Vec<u8>| vec![one, other];
    let deep: Vec<_> = (1..=101)
        .map(|depth| {
            let path = vec!["d"; depth].join("/");
            [records(&[("path", path.as_bytes())]), folder(b"d")].concat()
        })
        .collect();
    vec![
        of("an absolute path", Absolute, &plain(b"/etc/passwd")),
        of("a path that climbs", Dots, &plain(b"../a")),
        of("a path that climbs inside", Dots, &plain(b"a/../../b")),
        of("a path from here", Dots, &plain(b"./a")),
        of("the root itself", Dots, &[folder(b".")]),
        of("no name", EmptyName, &plain(b"")),
        of("an empty name inside", EmptyName, &plain(b"a//b")),
        of("a file with a slash", EmptyName, &plain(b"a/")),
        of("a directory with two slashes", EmptyName, &[folder(b"a//")]),
        of("a zero byte", Nul, &record(b"a\0b")),
        of("a name of 256 bytes", LongName, &record(&[b'a'; 256])),
        of("a hundred and one directories", Depth, &deep),
        of("the version twice", Reserved, &plain(FORMAT)),
        of("the index as a directory", Reserved, &[folder(INDEX)]),
        of("a file in no directory", NoDirectory, &plain(b"a/b")),
        of(
            "a file in a directory that was left",
            NoDirectory,
            &[folder(b"a"), folder(b"b"), file(b"a/c", b"")],
        ),
        of("a file through a link", NoDirectory, &two(link(b"a", b"b"), file(b"a/c", b""))),
        of(
            "a file through a link to its directory",
            NoDirectory,
            &[folder(b"a"), link(b"l", b"a"), file(b"l/c", b"")],
        ),
        of("a file in a file", NoDirectory, &two(file(b"a", b""), file(b"a/b", b""))),
        of("a file twice", Duplicate, &two(file(b"a", b"1"), file(b"a", b"2"))),
        of("a directory twice", Duplicate, &two(folder(b"a"), folder(b"a"))),
        of("a file in place of a directory", Duplicate, &two(folder(b"a"), file(b"a", b""))),
        of("a directory in place of a file", Duplicate, &two(file(b"a", b""), folder(b"a"))),
        of("a file in place of a link", Duplicate, &two(link(b"a", b"b"), file(b"a", b"x"))),
        of("a directory in place of a link", Duplicate, &two(link(b"a", b"b"), folder(b"a"))),
        of("a link in place of a file", Duplicate, &two(file(b"a", b""), link(b"a", b"b"))),
        of("a link in place of a directory", Duplicate, &two(folder(b"a"), link(b"a", b"b"))),
    ]
}

fn links() -> Vec<Case> {
    use Refusal::{AbsoluteLink, EmptyLink, LeavingLink, LongName, Nul};
    let one = |target: &[u8]| vec![link(b"a", target)];
    let record = |target: &[u8]| vec![records(&[("linkpath", target)]), link(b"a", b"")];
    vec![
        of("a link to nothing", EmptyLink, &one(b"")),
        of("an absolute link", AbsoluteLink, &one(b"/etc")),
        of("a link above", LeavingLink, &one(b"..")),
        of("a link beside the root", LeavingLink, &one(b"../neighbour")),
        of("a link too far above", LeavingLink, &[folder(b"d"), link(b"d/a", b"../../x")]),
        of(
            "a link that climbs by another",
            LeavingLink,
            &[folder(b"d"), folder(b"d/e"), link(b"d/e/up", b"../.."), link(b"d/a", b"e/up/../x")],
        ),
        of("a link that descends and climbs", LeavingLink, &one(b"b/../../neighbour")),
        of("a link with a zero byte", Nul, &record(b"b\0c")),
        of("a link with a name of 256 bytes", LongName, &record(&[b'b'; 256])),
    ]
}

fn wholes() -> Vec<Case> {
    use Refusal::{Index, LargeFile, NoIndex, Padding, Truncated, Version};
    let huge = records(&[("size", b"1125899906842624")]);
    let mut padded = file(b"a", b"content");
    *padded.last_mut().unwrap() = 1;
    let short = [own(FORMAT, b"1\n"), head(b'0', b"a", 5000, |_| {}), blocks(b"content")].concat();
    let cut = [own(FORMAT, b"1\n"), extended(b"11 path=ab\n")[..600].to_vec()].concat();
    let raw = |members: &[Vec<u8>]| squeezed(&[members.concat(), vec![0; 1024]].concat());
    let line = b"{\"path\":\"a\",\"kind\":\"file\"}\n";
    vec![
        of("a file of a pebibyte", LargeFile, &[huge, file(b"a", b"")]),
        of("something in a file's padding", Padding, &[padded]),
        ("a file shorter than it says", Truncated, squeezed(&short)),
        ("an extended header that is cut", Truncated, squeezed(&cut)),
        ("no version", Version, raw(&[file(b"a", b"")])),
        ("a version with another mode", Version, raw(&[file(FORMAT, b"1\n")])),
        of("an index with another mode", Index, &[file(INDEX, b"")]),
        ("another version", Version, raw(&[own(FORMAT, b"2\n")])),
        ("a longer version", Version, raw(&[own(FORMAT, b"1\n1\n")])),
        ("a version that is a directory", Version, raw(&[folder(FORMAT)])),
        of("no index", NoIndex, &[file(b"a", b"")]),
        ("an index without the file", Index, indexed(&[file(b"a", b"")], b"")),
        ("an index with something else", Index, indexed(&[file(b"a", b"")], line)),
        ("an index with a file that is not there", Index, indexed(&[], line)),
        of("a file behind the index", NoIndex, &[own(INDEX, b""), file(b"a", b"")]),
    ]
}

#[test]
fn each_is_refused_for_what_it_is() {
    let cases = [compression(), headers(), kinds(), extended_headers(), paths(), links(), wholes()]
        .concat();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    for (name, expected, bytes) in cases {
        match unpacked(&bytes, 1 << 30).0 {
            Err(Failure::Refused(found)) => assert_eq!(found, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
