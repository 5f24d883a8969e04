//! Rows as JSON, each with the version of its form.
//!
//! Fields may be added without a new version: an older program ignores those that it does not know
//! and leaves them in place when it changes the row, so one can go back a version and forth again.
//! A new version is for what an older program would misread, and it refuses that.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Error;

/// The version of every row's form.
pub(crate) const VERSION: u64 = 1;

/// The field that holds it.
pub(crate) const FIELD: &str = "v";

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    v: u64,
}

/// A row as it is stored at `key`.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, Error> {
    let name = || String::from_utf8_lossy(key).into_owned();
    let unreadable = |source| Error::Row { key: name(), source };
    let Head { v } = serde_json::from_slice(value).map_err(unreadable)?;
    if v > VERSION {
        let what = format!("the record {}", name());
        return Err(Error::Newer { what, found: v, known: VERSION });
    }
    serde_json::from_slice(value).map_err(unreadable)
}

/// A number that is stored as it is.
pub(crate) fn number(key: &[u8], value: &[u8]) -> Result<u64, Error> {
    let key = || String::from_utf8_lossy(key).into_owned();
    serde_json::from_slice(value).map_err(|source| Error::Row { key: key(), source })
}

/// A row as it is to be stored, over the one that is there now.
pub(crate) fn encode<T: Serialize>(row: &T, before: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    let new = serde_json::to_value(row).map_err(Error::Unwritable)?;
    let before = before.and_then(|before| serde_json::from_slice(before).ok());
    let mut merged = before.unwrap_or_else(|| Value::Object(Map::new()));
    merge(&mut merged, new);
    if let Value::Object(fields) = &mut merged {
        fields.insert(FIELD.to_owned(), VERSION.into());
    }
    serde_json::to_vec(&merged).map_err(Error::Unwritable)
}

/// Sets every field of `new`, down to the innermost objects, and leaves the others.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (field, value) in new {
                merge(old.entry(field).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

/// Digests as hexadecimal text.
pub(crate) mod digest {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::hex;

    pub(crate) fn serialize<S: Serializer>(it: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(it))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let bytes = hex::decode(&String::deserialize(from)?);
        let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        digest.ok_or_else(|| D::Error::custom("a digest has 64 hexadecimal digits"))
    }
}

/// Scopes by name. One that a newer version invented grants nothing here.
pub(crate) mod scopes {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use types::Scopes;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(it: &Scopes, to: S) -> Result<S::Ok, S::Error> {
        it.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Scopes, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// Limits, whose own form on the wire refuses unknown fields; here they are left to newer versions.
pub(crate) mod limits {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};
    use types::{Limits, Quota, Sleep};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stored {
        requests_per_minute: Option<u64>,
        tokens_per_day: Option<u64>,
        cost_micros_per_day: Option<u64>,
        concurrency: u32,
        memory_max: u64,
        pids_max: u32,
        cpu_millis: u32,
        disk_max: u64,
        // What said it before there was `sleep`; a row that an older version changed has both.
        #[serde(default)]
        idle_seconds: Option<u32>,
        sleep: Option<Sleep>,
        // A quota that this version cannot read is an error: dropped, it would be no limit.
        #[serde(default)]
        quotas: Vec<Quota>,
    }

    pub(crate) fn serialize<S: Serializer>(it: &Limits, to: S) -> Result<S::Ok, S::Error> {
        it.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Limits, D::Error> {
        let stored = Stored::deserialize(from)?;
        Ok(Limits {
            requests_per_minute: stored.requests_per_minute,
            tokens_per_day: stored.tokens_per_day,
            cost_micros_per_day: stored.cost_micros_per_day,
            concurrency: stored.concurrency,
            memory_max: stored.memory_max,
            pids_max: stored.pids_max,
            cpu_millis: stored.cpu_millis,
            disk_max: stored.disk_max,
            sleep: stored
                .sleep
                .unwrap_or_else(|| stored.idle_seconds.map_or(Sleep::Never, Sleep::from)),
            quotas: stored.quotas,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        b: u8,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        a: Option<u8>,
        inner: Inner,
    }

    #[test]
    fn what_a_newer_version_added_stays() {
        let newer = br#"{"v":1,"a":1,"c":"kept","inner":{"b":2,"d":"kept"}}"#;
        let mut row: Row = decode(b"k", newer).unwrap();
        assert_eq!(row, Row { a: Some(1), inner: Inner { b: 2 } });
        row = Row { a: None, inner: Inner { b: 3 } };
        let written = encode(&row, Some(newer)).unwrap();
        assert_eq!(decode::<Row>(b"k", &written).unwrap(), row);
        let all: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(all["c"], "kept");
        assert_eq!(all["inner"]["d"], "kept");
        assert_eq!(all["a"], Value::Null);
    }

    #[test]
    fn a_form_that_would_be_misread_is_refused() {
        let err = decode::<Row>(b"tenant/a", br#"{"v":2,"a":1,"inner":{"b":2}}"#).unwrap_err();
        assert_eq!(
            err.to_string(),
            "the record tenant/a has format 2, and this version reads formats up to 1: use the newer version"
        );
        decode::<Row>(b"k", b"{").unwrap_err();
    }
}
