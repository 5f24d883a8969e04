//! Archives byte by byte, right and wrong.

use tar::Header;

use crate::archive::{FORMAT, INDEX};

/// A header; `change` comes before its checksum.
pub(super) fn head(
    kind: u8,
    name: &[u8],
    size: usize,
    change: impl FnOnce(&mut Header),
) -> Vec<u8> {
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkflag = [kind];
    header.set_size(size.try_into().unwrap());
    header.set_mode(0o644);
    header.set_mtime(1);
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Bytes and what fills their last block.
pub(super) fn blocks(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    bytes.resize(content.len().next_multiple_of(512), 0);
    bytes
}

pub(super) fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    [head(b'0', name, content.len(), |_| {}), blocks(content)].concat()
}

/// A member of the archive's own.
pub(super) fn own(name: &[u8], content: &[u8]) -> Vec<u8> {
    let change = |it: &mut Header| {
        it.set_mode(0o600);
        it.set_mtime(0);
    };
    [head(b'0', name, content.len(), change), blocks(content)].concat()
}

pub(super) fn folder(name: &[u8]) -> Vec<u8> {
    head(b'5', name, 0, |it| it.set_mode(0o755))
}

pub(super) fn link(name: &[u8], target: &[u8]) -> Vec<u8> {
    head(b'2', name, 0, |it| it.as_old_mut().linkname[..target.len()].copy_from_slice(target))
}

/// An extended header with these bytes.
pub(super) fn extended(content: &[u8]) -> Vec<u8> {
    [head(b'x', b"x", content.len(), |_| {}), blocks(content)].concat()
}

/// An extended header with these records.
pub(super) fn records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let record = |(key, value): &(&str, &[u8])| {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 9).find(|it| *it == rest + it.to_string().len()).unwrap();
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    };
    extended(&records.iter().flat_map(record).collect::<Vec<_>>())
}

/// An archive of these members, with its version before them and blocks of zeros after them.
pub(super) fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    squeezed(&[own(FORMAT, b"1\n"), members.concat(), vec![0; 1024]].concat())
}

/// The same with an index as its last member.
pub(super) fn indexed(members: &[Vec<u8>], index: &[u8]) -> Vec<u8> {
    archive(&[members.concat(), own(INDEX, index)])
}

pub(super) fn squeezed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, tar).unwrap();
    encoder.finish().unwrap()
}
