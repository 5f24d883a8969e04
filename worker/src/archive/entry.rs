//! Members of an archive as they are read and written: a header of POSIX form, and before it an
//! extended one for what does not fit, times to the nanosecond among it.

use std::io::{Read, Write};

use serde::{Serialize, Serializer};
use tar::{EntryType, Header};

use super::{BLOCK, Failure, MAX_BYTES, MAX_EXTENDED, MAX_PATH, Refusal, path};

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Beneath the root.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    /// Permissions, and the sticky bit.
    pub(super) mode: u32,
    pub(super) mtime: Time,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file of that many bytes.
    File(u64),
    Directory,
    /// A symbolic link, and where it points.
    Link(Vec<u8>),
}

impl Member {
    /// A member of the archive's own.
    pub(super) fn own(name: &[u8], size: u64) -> Self {
        Self { path: name.to_vec(), kind: Kind::File(size), mode: 0o600, mtime: Time(0, 0) }
    }
}

/// Seconds since the epoch, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) i64, pub(super) u32);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(seconds, nanoseconds) = *self;
        match (seconds < 0, nanoseconds) {
            (true, 1..) => {
                // A decimal fraction counts away from zero, the kernel's nanoseconds forward.
                let whole = seconds.saturating_add(1);
                let sign = if whole == 0 { "-" } else { "" };
                write!(f, "{sign}{whole}.{:09}", 1_000_000_000 - nanoseconds)
            }
            _ => write!(f, "{seconds}.{nanoseconds:09}"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Time {
    /// Reads what [`Time`] shows, and nothing else.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (whole, fraction) = text.split_once('.').ok_or(Refusal::Time)?;
        let seconds: i64 = whole.parse().map_err(|_range| Refusal::Time)?;
        let nanoseconds: u32 = fraction.parse().map_err(|_range| Refusal::Time)?;
        let time = match (whole.starts_with('-'), nanoseconds) {
            (true, 1..=999_999_999) => Self(seconds.saturating_sub(1), 1_000_000_000 - nanoseconds),
            (_, 0..=999_999_999) => Self(seconds, nanoseconds),
            _ => return Err(Refusal::Time),
        };
        if time.to_string() == text { Ok(time) } else { Err(Refusal::Time) }
    }
}

/// What an extended header says, as far as it says it.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<Time>,
}

/// Reads one member's headers; none at the end of the archive, after which nothing may follow.
/// The content of a file is the next on `from`, and is the caller's to read, padding included.
pub(super) fn read(from: &mut impl Read) -> Result<Option<Member>, Failure> {
    let Some(header) = header(from)? else { return end(from).map(|()| None) };
    if header.entry_type() != EntryType::XHeader {
        return member(&header, Extended::default()).map(Some).map_err(Failure::from);
    }
    let size = octal(&header.as_old().size)?;
    if size > MAX_EXTENDED {
        return Err(Refusal::LongHeader.into());
    }
    let mut bytes = Vec::new();
    from.take(size).read_to_end(&mut bytes).map_err(cut)?;
    if bytes.len() != usize::try_from(size).unwrap_or(usize::MAX) {
        return Err(Refusal::Truncated.into());
    }
    read_padding(from, size)?;
    let extended = parse_extended(&bytes)?;
    let Some(header) = self::header(from)? else { return Err(Refusal::StrayHeader.into()) };
    if header.entry_type() == EntryType::XHeader {
        return Err(Refusal::StrayHeader.into());
    }
    member(&header, extended).map(Some).map_err(Failure::from)
}

/// Reads what fills the last block of a member's content.
pub(super) fn read_padding(from: &mut impl Read, size: u64) -> Result<(), Failure> {
    let mut block = [0; BLOCK];
    let padding = block.get_mut(..padding(size)).unwrap_or_default();
    from.read_exact(padding).map_err(cut)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Refusal::Padding.into());
    }
    Ok(())
}

/// Writes a member's headers. The content of a file is to follow, and its padding.
pub(super) fn write(to: &mut impl Write, member: &Member) -> std::io::Result<()> {
    let (kind, size, target) = match &member.kind {
        Kind::File(size) => (EntryType::Regular, *size, &[][..]),
        Kind::Directory => (EntryType::Directory, 0, &[][..]),
        Kind::Link(target) => (EntryType::Symlink, 0, target.as_slice()),
    };
    let mut records = record("mtime", member.mtime.to_string().as_bytes());
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    if !put(&mut old.name, &member.path) {
        records.extend(record("path", &member.path));
    }
    if !put(&mut old.linkname, target) {
        records.extend(record("linkpath", target));
    }
    let fits = size <= MAX_OCTAL;
    if !fits {
        records.extend(record("size", size.to_string().as_bytes()));
    }
    let mut extended = Header::new_ustar();
    extended.set_entry_type(EntryType::XHeader);
    extended.set_mode(0o600);
    extended.set_mtime(0);
    put(&mut extended.as_old_mut().name, &member.path);
    let length = u64::try_from(records.len()).unwrap_or(u64::MAX);
    extended.set_size(length);
    extended.set_cksum();
    header.set_entry_type(kind);
    header.set_mode(member.mode);
    header.set_size(if fits { size } else { 0 });
    header.set_mtime(u64::try_from(member.mtime.0).unwrap_or(0).min(MAX_OCTAL));
    header.set_cksum();
    to.write_all(extended.as_bytes())?;
    to.write_all(&records)?;
    write_padding(to, length)?;
    to.write_all(header.as_bytes())
}

/// Writes what fills the last block of a member's content.
pub(super) fn write_padding(to: &mut impl Write, size: u64) -> std::io::Result<()> {
    to.write_all([0; BLOCK].get(..padding(size)).unwrap_or_default())
}

/// Writes the end of an archive.
pub(super) fn write_end(to: &mut impl Write) -> std::io::Result<()> {
    to.write_all(&[0; BLOCK * 2])
}

/// The largest number in a header's twelve bytes.
const MAX_OCTAL: u64 = (1 << 33) - 1;

/// Bytes from a size to the end of its last block.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % 512).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// Whether all of it is in the field; its start is in any case.
fn put(field: &mut [u8], bytes: &[u8]) -> bool {
    let fitting = field.len().min(bytes.len());
    if let (Some(to), Some(from)) = (field.get_mut(..fitting), bytes.get(..fitting)) {
        to.copy_from_slice(from);
    }
    fitting == bytes.len() && bytes.is_ascii()
}

/// One record of an extended header, which begins with its own length.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// The next header, or none at the first block of zeros.
fn header(from: &mut impl Read) -> Result<Option<Header>, Failure> {
    let mut header = Header::new_old();
    from.read_exact(header.as_mut_bytes()).map_err(cut)?;
    if header.as_bytes().iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    let sum: u64 = header.as_bytes().iter().enumerate().map(sum).sum();
    if octal(&header.as_old().cksum).ok() != Some(sum) {
        return Err(Refusal::Checksum.into());
    }
    if header.as_ustar().is_none_or(|it| it.magic != *b"ustar\0" || it.version != *b"00") {
        return Err(Refusal::Magic.into());
    }
    Ok(Some(header))
}

/// After the first block of zeros: a second one, and nothing else.
fn end(from: &mut impl Read) -> Result<(), Failure> {
    let mut block = [0; BLOCK];
    from.read_exact(&mut block).map_err(cut)?;
    let mut more = [0];
    let is_last = from.read(&mut more).map_err(cut)? == 0;
    if is_last && block.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(Refusal::Trailing.into())
    }
}

fn member(header: &Header, extended: Extended) -> Result<Member, Refusal> {
    let old = header.as_old();
    let declared = octal(&old.size)?;
    let size = extended.size.unwrap_or(declared);
    let link = extended.link.unwrap_or_else(|| field(&old.linkname).to_vec());
    let mut path = extended.path.unwrap_or_else(|| field(&old.name).to_vec());
    if header.as_ustar().is_some_and(|it| it.prefix != [0; 155]) {
        // Long paths are in the extended header.
        return Err(Refusal::BadHeader);
    }
    let of = header.entry_type();
    let kind = if of.is_file() && size <= MAX_BYTES {
        Kind::File(size)
    } else if of.is_file() {
        return Err(Refusal::LargeFile);
    } else if of.is_dir() {
        Kind::Directory
    } else if of.is_symlink() {
        Kind::Link(link)
    } else {
        return Err(refusal_of(of));
    };
    if !matches!(kind, Kind::File(_)) && size != 0 {
        return Err(Refusal::Size);
    }
    if kind == Kind::Directory && path.len() > 1 && path.last() == Some(&b'/') {
        path.pop();
    }
    let mode = u32::try_from(octal(&old.mode)?).map_err(|_range| Refusal::Mode)?;
    if mode & !0o1777 != 0 {
        return Err(Refusal::Mode);
    }
    if let Kind::Link(target) = &kind {
        path::check_target(target, path.split(|byte| *byte == b'/').count().saturating_sub(1))?;
    }
    let mtime = match extended.mtime {
        Some(time) => time,
        None => Time(i64::try_from(octal(&old.mtime)?).map_err(|_range| Refusal::Time)?, 0),
    };
    Ok(Member { path, kind, mode, mtime })
}

/// Why a member of this type is refused.
fn refusal_of(kind: EntryType) -> Refusal {
    const REFUSED: [(EntryType, Refusal); 9] = [
        (EntryType::Link, Refusal::HardLink),
        (EntryType::Char, Refusal::Device),
        (EntryType::Block, Refusal::Device),
        (EntryType::Fifo, Refusal::Fifo),
        (EntryType::Continuous, Refusal::Contiguous),
        (EntryType::XGlobalHeader, Refusal::GlobalHeader),
        (EntryType::GNULongName, Refusal::GnuLongName),
        (EntryType::GNULongLink, Refusal::GnuLongName),
        (EntryType::GNUSparse, Refusal::Sparse),
    ];
    let found = REFUSED.into_iter().find(|(it, _)| *it == kind);
    found.map_or(Refusal::UnknownType, |(_, refusal)| refusal)
}

fn parse_extended(mut bytes: &[u8]) -> Result<Extended, Refusal> {
    let mut found = Extended::default();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or(Refusal::BadHeader)?;
        let length = number(bytes.get(..space).unwrap_or_default())?;
        let length = usize::try_from(length).map_err(|_range| Refusal::BadHeader)?;
        let (record, rest) = bytes.split_at_checked(length).ok_or(Refusal::BadHeader)?;
        let record = record.get(space + 1..).and_then(|it| it.strip_suffix(b"\n"));
        let record = record.ok_or(Refusal::BadHeader)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(Refusal::BadHeader)?;
        let (key, value) = record.split_at_checked(equals).ok_or(Refusal::BadHeader)?;
        take(&mut found, key, value.get(1..).unwrap_or_default())?;
        bytes = rest;
    }
    Ok(found)
}

fn take(found: &mut Extended, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
    let is_new = match key {
        b"path" | b"linkpath" if value.len() > MAX_PATH => return Err(Refusal::LongPath),
        b"path" => found.path.replace(value.to_vec()).is_none(),
        b"linkpath" => found.link.replace(value.to_vec()).is_none(),
        b"size" => found.size.replace(number(value)?).is_none(),
        b"mtime" => {
            let text = std::str::from_utf8(value).map_err(|_not_text| Refusal::Time)?;
            found.mtime.replace(Time::parse(text)?).is_none()
        }
        key if key.starts_with(b"GNU.sparse") => return Err(Refusal::Sparse),
        _ => false,
    };
    if is_new { Ok(()) } else { Err(Refusal::Keyword) }
}

fn number(digits: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(digits).map_err(|_not_text| Refusal::BadHeader)?;
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(Refusal::BadHeader)
}

/// A number in a header: octal digits, ended by a zero byte or a space.
fn octal(field: &[u8]) -> Result<u64, Refusal> {
    let digits = field.split(|byte| matches!(byte, 0 | b' ')).next().unwrap_or_default();
    let rest = field.get(digits.len()..).unwrap_or_default();
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return Err(Refusal::Number);
    }
    digits.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => Ok(value * 8 + u64::from(byte - b'0')),
        _ => Err(Refusal::Number),
    })
}

/// Text in a header, up to its first zero byte.
fn field(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What a failed read means: a refusal that was raised below, or a stream that ended too early.
pub(super) fn cut(err: std::io::Error) -> Failure {
    if err.kind() == std::io::ErrorKind::UnexpectedEof {
        return Refusal::Truncated.into();
    }
    match err.downcast::<Refusal>() {
        Ok(refusal) => refusal.into(),
        Err(source) => Failure::Io { what: "read the archive", source },
    }
}
