//! An archive, as a tar that is compressed here: bytes that are compressed already would hardly ever
//! come through to what they mean. Whatever is unpacked is unpacked into its root and nowhere else, and
//! is refused for a reason or is whole.
#![no_main]

use std::os::fd::OwnedFd;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use openclawmu_worker::archive::unpack;

/// More than any of these archives has.
const ROOM: u64 = 1 << 20;

fuzz_target!(|tar: &[u8]| {
    let outer = std::env::temp_dir().join(format!("fuzz-archive-{}", std::process::id()));
    let root = outer.join("root");
    std::fs::create_dir_all(&root).unwrap();
    let directory = OwnedFd::from(std::fs::File::open(&root).unwrap());
    let frame = frame(tar);
    let unpacked = unpack(directory, frame.as_slice(), ROOM);
    if let Ok(summary) = unpacked {
        let (files, directories, links) = count(&root);
        assert_eq!(
            (files, directories, links),
            (summary.files, summary.directories, summary.links)
        );
    }
    let beside = std::fs::read_dir(&outer).unwrap().count();
    assert_eq!(beside, 1, "something was made outside the root");
    std::fs::remove_dir_all(&outer).unwrap();
});

/// The bytes as a frame of zstd that is not compressed: a header with their length, and blocks.
fn frame(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 100_000;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend((bytes.len() as u64).to_le_bytes());
    let blocks: Vec<&[u8]> =
        if bytes.is_empty() { vec![b""] } else { bytes.chunks(BLOCK).collect() };
    for (at, block) in blocks.iter().enumerate() {
        let last = u32::from(at + 1 == blocks.len());
        let header = last | (block.len() as u32) << 3;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

/// Files, directories and links beneath a directory.
fn count(root: &Path) -> (u64, u64, u64) {
    let (mut found, mut open) = ((0, 0, 0), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                found.1 += 1;
                open.push(path);
            } else if kind.is_symlink() {
                found.2 += 1;
            } else {
                found.0 += 1;
            }
        }
    }
    found
}
