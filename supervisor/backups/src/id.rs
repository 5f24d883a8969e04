//! The name of a backup. It says whose it is and when it was begun; where its objects lie follows from
//! it and from nothing that anybody sends.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom as _, SystemRandom};
use types::{TenantId, UnixMillis};

/// Bytes that make a name unlike every other of the same second.
const UNIQUE: usize = 8;

/// Characters of the time: `20261129T073000Z`.
const TIME: usize = 16;

/// `TENANT.20261129T073000Z.HEX`. No tenant's id has a dot, so that the parts are never in doubt.
/// Names of one tenant sort by time.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupId {
    tenant: TenantId,
    /// The time and the unique part, with the dot between them.
    rest: String,
}

/// Text that is no name of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a backup is named TENANT.YYYYMMDDTHHMMSSZ.{} hexadecimal digits", UNIQUE * 2)]
pub struct InvalidId;

impl BackupId {
    /// A new name for a backup that begins at `now`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(tenant: &TenantId, now: UnixMillis) -> Result<Self, ring::error::Unspecified> {
        let mut unique = [0; UNIQUE];
        SystemRandom::new().fill(&mut unique)?;
        let rest = format!("{}.{}", stamp(now), hex(&unique));
        Ok(Self { tenant: tenant.clone(), rest })
    }

    /// Whose backup it is.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The name without the tenant: the folder of its objects.
    pub fn folder(&self) -> &str {
        &self.rest
    }

    /// The backup of `tenant` whose objects lie in `folder`.
    ///
    /// # Errors
    /// When no backup's do.
    pub fn of(tenant: &TenantId, folder: &str) -> Result<Self, InvalidId> {
        let (time, unique) = folder.split_once('.').ok_or(InvalidId)?;
        let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        let is_time = time.len() == TIME
            && time.get(..8).is_some_and(digits)
            && time.get(8..9) == Some("T")
            && time.get(9..15).is_some_and(digits)
            && time.get(15..) == Some("Z");
        let is_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let is_unique = unique.len() == UNIQUE * 2 && unique.bytes().all(is_hex);
        if !is_time || !is_unique {
            return Err(InvalidId);
        }
        Ok(Self { tenant: tenant.clone(), rest: folder.to_owned() })
    }
}

impl FromStr for BackupId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (tenant, folder) = text.split_once('.').ok_or(InvalidId)?;
        let tenant: TenantId = tenant.parse().ok().ok_or(InvalidId)?;
        Self::of(&tenant, folder)
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.tenant, self.rest)
    }
}

impl fmt::Debug for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for BackupId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BackupId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A time as names have it.
fn stamp(now: UnixMillis) -> String {
    let time = i64::try_from(now).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written to it.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// What hexadecimal digits, all small, stand for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |it: u8| match it {
        b'0'..=b'9' => Some(it - b'0'),
        b'a'..=b'f' => Some(it - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        let check = |text: &str, ok: bool| {
            let parsed = text.parse::<BackupId>();
            assert_eq!(parsed.is_ok(), ok, "{text}");
            assert!(parsed.is_ok_and(|it| it.to_string() == text) == ok);
        };
        check("acme.20261129T073000Z.0123456789abcdef", true);
        check("a-b_c.20261129T073000Z.0123456789abcdef", true);
        for wrong in [
            "",
            "acme",
            "acme.20261129T073000Z",
            "acme.20261129T073000Z.0123456789ABCDEF",
            "acme.20261129T073000Z.0123456789abcde",
            "acme.20261129T073000Z.0123456789abcdef.",
            "acme.2026112T0073000Z.0123456789abcdef",
            "acme/../b.20261129T073000Z.0123456789abcdef",
            "..20261129T073000Z.0123456789abcdef",
            "acme.20261129T073000Z.0123456789abcde/",
            "acme.äöü29T073000Z.0123456789abcdef",
        ] {
            check(wrong, false);
        }
    }

    #[test]
    fn names_are_new_and_sort_by_time() {
        let tenant = "acme".parse().unwrap();
        let at = |now| BackupId::new(&tenant, now).unwrap();
        assert!(at(1_000) < at(2_000));
        assert_ne!(at(1_000), at(1_000));
        assert_eq!(at(1_764_401_400_000).to_string().get(..21), Some("acme.20251129T073000Z"));
    }

    #[test]
    fn digits_are_read_as_they_are_written() {
        assert_eq!(unhex(&hex(&[0, 9, 171, 255])), Some(vec![0, 9, 171, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0G"), None);
    }
}
