//! Parameters of a call, in each form that Telegram takes: the query, a form, several parts, JSON.

use http::request::Parts;
use serde_json::{Map, Value};

use crate::networks::serve::{Part, parts};

/// All of them, and the files that came with them. Values that are JSON are read as such, as Telegram does.
pub(super) fn params(head: &Parts, body: &[u8]) -> (Value, Vec<Part>) {
    let (mut params, mut files) = (Map::new(), Vec::new());
    for (name, value) in pairs(head.uri.query().unwrap_or_default()) {
        params.insert(name, read(&value));
    }
    let kind = head.headers.get("content-type").and_then(|it| it.to_str().ok());
    let kind = kind.unwrap_or_default();
    if kind.starts_with("application/json") {
        if let Ok(Value::Object(object)) = serde_json::from_slice(body) {
            params.extend(object);
        }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        for (name, value) in pairs(&String::from_utf8_lossy(body)) {
            params.insert(name, read(&value));
        }
    } else {
        for part in parts(kind, body).unwrap_or_default() {
            if part.filename.is_some() {
                files.push(part);
            } else {
                params.insert(part.name, read(&String::from_utf8_lossy(&part.content)));
            }
        }
    }
    (Value::Object(params), files)
}

fn read(text: &str) -> Value {
    // A text that looks like a number is a number to some methods and a text to others.
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((plain(name), plain(value)))
    };
    text.split('&').filter_map(pair).collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |it: Option<u8>| it.and_then(|it| char::from(it).to_digit(16)).unwrap_or(0);
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(rest.next()) * 16 + digit(rest.next())).unwrap(),
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
