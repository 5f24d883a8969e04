//! Keys by name as the bytes that a terminal sends for them. Pure.

use serde_json::Value;

use crate::tools::Failure;
use crate::tools::arguments::{Arguments, invalid};

/// Keys, and bytes in hexadecimal, of one call.
const MAX_KEYS: usize = 256;
const MAX_HEX: usize = 1024;
/// Bytes of literal text of one call.
const MAX_LITERAL: usize = 4096;
/// Bytes of one name.
const MAX_NAME: usize = 32;

/// Keys with names, and what an xterm sends for them.
const NAMED: [(&str, &str); 37] = [
    ("enter", "\r"),
    ("return", "\r"),
    ("cr", "\r"),
    ("tab", "\t"),
    ("btab", "\x1b[Z"),
    ("s-tab", "\x1b[Z"),
    ("escape", "\x1b"),
    ("esc", "\x1b"),
    ("space", " "),
    ("backspace", "\x7f"),
    ("bspace", "\x7f"),
    ("delete", "\x1b[3~"),
    ("dc", "\x1b[3~"),
    ("insert", "\x1b[2~"),
    ("ic", "\x1b[2~"),
    ("up", "\x1b[A"),
    ("down", "\x1b[B"),
    ("right", "\x1b[C"),
    ("left", "\x1b[D"),
    ("home", "\x1b[H"),
    ("end", "\x1b[F"),
    ("pageup", "\x1b[5~"),
    ("ppage", "\x1b[5~"),
    ("pagedown", "\x1b[6~"),
    ("npage", "\x1b[6~"),
    ("f1", "\x1bOP"),
    ("f2", "\x1bOQ"),
    ("f3", "\x1bOR"),
    ("f4", "\x1bOS"),
    ("f5", "\x1b[15~"),
    ("f6", "\x1b[17~"),
    ("f7", "\x1b[18~"),
    ("f8", "\x1b[19~"),
    ("f9", "\x1b[20~"),
    ("f10", "\x1b[21~"),
    ("f11", "\x1b[23~"),
    ("f12", "\x1b[24~"),
];

/// What `keys`, `hex` and `literal` mean together, in this order.
pub(super) fn bytes(arguments: &mut Arguments) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for key in texts(arguments, &["keys"], MAX_KEYS)? {
        let sent = key_of(&key);
        bytes.extend(sent.ok_or_else(|| {
            let shown: String = key.chars().take(32).collect();
            invalid(
                &["keys"],
                &format!("has {shown:?}, which is no key: try Enter, C-c, M-x or Up"),
            )
        })?);
    }
    for hex in texts(arguments, &["hex"], MAX_HEX)? {
        let digits = hex.strip_prefix("0x").unwrap_or(&hex);
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= 2);
        bytes.push(byte.ok_or_else(|| invalid(&["hex"], "must hold bytes such as 1b"))?);
    }
    bytes.extend(arguments.text(&["literal"], MAX_LITERAL)?.unwrap_or_default().bytes());
    Ok(bytes)
}

/// Text as a terminal pastes it where the program has asked for that.
pub(super) fn bracketed(text: &str) -> Vec<u8> {
    // An end mark in the text would end the paste, and what follows would be typed.
    let inner = text.replace('\x1b', "");
    format!("\x1b[200~{inner}\x1b[201~").into_bytes()
}

fn texts(
    arguments: &mut Arguments,
    names: &[&'static str],
    max: usize,
) -> Result<Vec<String>, Failure> {
    let wrong = || invalid(names, &format!("must be a list of at most {max} texts"));
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong())
        }
    };
    match arguments.value(names)? {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= max => items.into_iter().map(text).collect(),
        Some(_) => Err(wrong()),
    }
}

/// What a key sends.
fn key_of(key: &str) -> Option<Vec<u8>> {
    if key.len() > MAX_NAME {
        return None;
    }
    let mut chars = key.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return Some(c.to_string().into_bytes());
    }
    let lower = key.to_ascii_lowercase();
    if let Some((_, sent)) = NAMED.iter().find(|(name, _)| *name == lower) {
        return Some(sent.as_bytes().to_vec());
    }
    let control = ["c-", "ctrl-", "ctrl+", "^"].iter().find_map(|it| lower.strip_prefix(it));
    if let Some(rest) = control {
        return control_of(rest).map(|byte| vec![byte]);
    }
    // Alt sends ESC before the key; the key keeps its case.
    let with_alt = ["m-", "alt-", "alt+"].iter().find(|it| lower.starts_with(**it))?;
    let mut sent = key_of(key.get(with_alt.len()..)?)?;
    sent.insert(0, 0x1b);
    Some(sent)
}

fn control_of(rest: &str) -> Option<u8> {
    match *rest.as_bytes() {
        [c @ (b'a'..=b'z' | b'[' | b'\\' | b']' | b'^' | b'_')] => Some(c & 0x1f),
        [b' ' | b'@'] => Some(0),
        [b'?'] => Some(0x7f),
        _ if rest == "space" => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_send_what_a_terminal_sends() {
        let check = |key: &str, sent: Option<&[u8]>| {
            assert_eq!(key_of(key).as_deref(), sent, "{key}");
        };
        check("Enter", Some(b"\r"));
        check("C-c", Some(b"\x03"));
        check("^C", Some(b"\x03"));
        check("ctrl+d", Some(b"\x04"));
        check("C-[", Some(b"\x1b"));
        check("Up", Some(b"\x1b[A"));
        check("F12", Some(b"\x1b[24~"));
        check("M-x", Some(b"\x1bx"));
        check("M-X", Some(b"\x1bX"));
        check("M-Up", Some(b"\x1b\x1b[A"));
        check("ü", Some("ü".as_bytes()));
        check("Nothing", None);
        check("C-ü", None);
        check("", None);
    }

    #[test]
    fn a_paste_cannot_end_itself() {
        assert_eq!(bracketed("a\x1b[201~b"), b"\x1b[200~a[201~b\x1b[201~");
    }

    proptest! {
        #[test]
        fn any_key_is_bytes_or_none(key in "((C|M|c|m|alt|ctrl)[-+^])*\\PC{0,6}") {
            prop_assert!(key_of(&key).is_none_or(|sent| sent.len() <= key.len() * 2 + 5));
        }
    }
}
