//! Codes by which strangers are let in: how they are made, told apart and recognised in what somebody
//! sends. Whoever keeps one keeps its digest.

use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use types::Secret;

/// What codes are made of: what is not taken for something else when it is read out. A power of two, so
/// that every code is as likely as any other.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Letters of a code that a tenant gives out: 50 bits, which nobody guesses in the minutes that it is
/// good for.
pub const GIVEN: usize = 10;

/// Letters of a code that a stranger is told: `OpenClaw`'s form. It opens nothing by itself.
pub const TOLD: usize = 8;

/// How long a code is good that a tenant gives out, in milliseconds.
pub const GIVEN_MS: u64 = 10 * 60_000;

/// How long a stranger's code is good, in milliseconds.
pub const TOLD_MS: u64 = 60 * 60_000;

/// What may stand before a code.
const COMMANDS: [&str; 3] = ["/start", "/pair", "/bind"];

/// A code of so many letters, and its digest.
///
/// # Errors
/// When the system gives no random bytes.
pub fn mint(letters: usize) -> Result<(Secret, [u8; 32]), ring::error::Unspecified> {
    let mut bytes = vec![0_u8; letters];
    SystemRandom::new().fill(&mut bytes)?;
    let letter = |it: &u8| LETTERS.get(usize::from(it & 31)).copied().map_or('A', char::from);
    let code: String = bytes.iter().map(letter).collect();
    let digest = digest(&code);
    Ok((Secret::from(code), digest))
}

/// The digest of a code as somebody types it into a form of ours: in either case, with spaces or dashes.
/// `None` where it can be none.
pub fn typed(text: &str) -> Option<[u8; 32]> {
    let code: String = text
        .chars()
        .filter(|it| !matches!(it, ' ' | '-'))
        .map(|it| it.to_ascii_uppercase())
        .take(GIVEN + 1)
        .collect();
    let known = code.bytes().all(|it| LETTERS.contains(&it));
    (known && matches!(code.len(), GIVEN | TOLD)).then(|| digest(&code))
}

/// The digest of the code that a message may be: the code alone, or after a command.
pub(crate) fn read(opening: &str) -> Option<[u8; 32]> {
    let mut words = opening.split_whitespace();
    let first = words.next()?;
    let command = first.split('@').next().unwrap_or_default();
    let is_command = COMMANDS.iter().any(|it| it.eq_ignore_ascii_case(command));
    // A mention may stand before the command in a conversation of more.
    let code = match (is_command, first.starts_with(['@', '<'])) {
        (true, _) => words.next()?,
        (false, true) => {
            let command = words.next().filter(|it| COMMANDS.contains(it));
            command.and_then(|_| words.next())?
        }
        (false, false) => first,
    };
    let whole = words.next().is_none() && code.len() == GIVEN;
    if whole { typed(code) } else { None }
}

fn digest(code: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"openclawmu pairing code\0");
    context.update(code.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_again_as_people_type_it() {
        let (code, digest) = mint(GIVEN).unwrap();
        let code = code.expose();
        assert!(code.len() == GIVEN && code.bytes().all(|it| LETTERS.contains(&it)), "{code}");
        assert_ne!(mint(GIVEN).unwrap().1, digest);
        let (left, right) = code.split_at(5);
        for text in [code.to_owned(), code.to_lowercase(), format!("{left}-{right}")] {
            assert_eq!(typed(&text), Some(digest), "{text}");
        }
        for text in [
            code.to_owned(),
            format!("/start {code}"),
            format!("/pair@our_bot {code}"),
            format!("<@U0BOT> /bind {code}"),
            format!("  {}\n", code.to_lowercase()),
        ] {
            assert_eq!(read(&text), Some(digest), "{text}");
        }
        for text in [
            format!("{code} please"),
            format!("my code is {code}"),
            format!("{code}A"),
            format!("/start {code} more"),
            format!("@somebody {code}"),
            left.to_owned(),
            "/start".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    #[test]
    fn what_can_be_no_code_is_none() {
        for text in ["", "ABCDEFGHJ0", "ABCDEFGHJ", "ABCDEFGHJKL", "ÄBCDEFGHJK", "ABCD EFG"] {
            assert_eq!(typed(text), None, "{text}");
        }
        assert!(typed("abcd-efgh").is_some(), "a stranger's");
    }
}
