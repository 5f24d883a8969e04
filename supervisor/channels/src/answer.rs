//! What is the same in the answers of all networks: who waits how long, and what is not known.

use serde::Deserialize;

use crate::adapter::{Answer, Outcome};

/// How long one waits where nothing says how long, in milliseconds.
const WAIT_MS: u64 = 5_000;

/// The longest that a network can have us wait, in milliseconds: what is longer is a mistake.
const MAX_WAIT_MS: u64 = 3_600_000;

/// Characters of a network's own words that are kept.
const MAX_WORDS: usize = 200;

/// What a status says, where the network's own words do not say better. A refusal without a key may be
/// sent again; an error of theirs may come after the message was taken.
pub(crate) fn outcome(answer: Answer<'_>, words: &str) -> Outcome {
    let why = || {
        let cut: String = words.chars().filter(|it| !it.is_control()).take(MAX_WORDS).collect();
        if cut.is_empty() { format!("answered {}", answer.status) } else { cut }
    };
    match answer.status {
        200..=299 => Outcome::Sent(None),
        401 => Outcome::Shut(why()),
        408 | 425 | 500..=599 => Outcome::Unknown(why()),
        429 => Outcome::Wait(header_wait(answer).unwrap_or(WAIT_MS)),
        _ => Outcome::Refused(why()),
    }
}

/// What `Retry-After` says, in milliseconds.
pub(crate) fn header_wait(answer: Answer<'_>) -> Option<u64> {
    answer.retry_after.and_then(|it| seconds(it.trim()))
}

/// A wait that a body gives in seconds, which may have a fraction.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) {
        return None;
    }
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000);
    Some(whole.saturating_add(part.parse().ok()?).min(MAX_WAIT_MS))
}

/// A wait that a body gives in milliseconds.
pub(crate) fn millis(wait: u64) -> u64 {
    wait.min(MAX_WAIT_MS)
}

/// Reads a body; one that is not of the form says nothing.
pub(crate) fn body<'a, T: Deserialize<'a> + Default>(answer: Answer<'a>) -> T {
    serde_json::from_slice(answer.body).unwrap_or_default()
}

/// A piece of a path.
pub(crate) fn piece(text: &str) -> String {
    let mut piece = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain {
            piece.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15];
            piece.push('%');
            piece.extend(digits.into_iter().filter_map(|it| char::from_digit(it.into(), 16)));
        }
    }
    piece
}

/// One step of a path, which leads to what is below and nowhere else; none where it would.
pub(crate) fn step(text: &str) -> Option<String> {
    (!matches!(text, "" | "." | "..")).then(|| piece(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_wait_is_read() {
        let check = |header: Option<&str>, want: u64| {
            let answer = Answer { status: 429, retry_after: header, body: b"" };
            assert_eq!(outcome(answer, ""), Outcome::Wait(want), "{header:?}");
        };
        check(Some("3"), 3_000);
        check(Some(" 0 "), 0);
        check(Some("1.337"), 1_337);
        check(Some("0.5"), 500);
        check(Some("2.00049"), 2_000);
        check(Some("99999999999999999999999"), MAX_WAIT_MS);
        check(Some("Wed, 21 Oct 2026 07:28:00 GMT"), WAIT_MS);
        check(Some("-1"), WAIT_MS);
        check(Some(""), WAIT_MS);
        check(None, WAIT_MS);
    }

    #[test]
    fn what_a_status_says() {
        let check = |status, want: Outcome| {
            let answer = Answer { status, retry_after: None, body: b"" };
            assert_eq!(outcome(answer, "why\u{7}"), want);
        };
        check(204, Outcome::Sent(None));
        check(401, Outcome::Shut("why".to_owned()));
        check(403, Outcome::Refused("why".to_owned()));
        check(404, Outcome::Refused("why".to_owned()));
        check(302, Outcome::Refused("why".to_owned()));
        check(500, Outcome::Unknown("why".to_owned()));
        check(504, Outcome::Unknown("why".to_owned()));
    }

    #[test]
    fn a_piece_of_a_path_is_one_piece() {
        assert_eq!(piece("!r:a.example/x?y#z é"), "%21r%3aa.example%2fx%3fy%23z%20%c3%a9");
    }
}
