//! How many values an encoded request has, counted before it is decoded: two bytes of the wire
//! become a hundred of memory where they stand for an empty message.

/// Values of one request, all levels together. A worker that was not taken over sends at most 4096
/// messages, of a few values each.
const MAX_VALUES: usize = 1 << 17;

/// The fields of a request whose own values are many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nested(&'static [u64]);

/// Of `LlmRequest`: messages and parameters.
pub(super) const OF_STREAM: Nested = Nested(&[2, 3]);

/// Of `EmbedRequest`: none; its texts are values of one level.
pub(super) const OF_EMBED: Nested = Nested(&[]);

/// Why a message is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Too many values.
    #[error("the request has more than {MAX_VALUES} values")]
    TooMany,
    /// Not what the protocol's encoding allows, or groups, which it does not use.
    #[error("the request cannot be read")]
    Malformed,
}

/// One value of a message.
struct Field<'a> {
    number: u64,
    /// Its bytes where it is of the kind that has a length.
    bytes: Option<&'a [u8]>,
}

/// Whether `message` can be decoded into bounded memory.
pub(super) fn check(message: &[u8], nested: Nested) -> Result<(), Refused> {
    let mut left = MAX_VALUES;
    let mut rest = message;
    while let Some(field) = next(&mut rest)? {
        take(&mut left)?;
        let Some(mut inner) = field.bytes.filter(|_| nested.0.contains(&field.number)) else {
            continue;
        };
        while next(&mut inner)?.is_some() {
            take(&mut left)?;
        }
    }
    Ok(())
}

fn take(left: &mut usize) -> Result<(), Refused> {
    *left = left.checked_sub(1).ok_or(Refused::TooMany)?;
    Ok(())
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Field<'a>>, Refused> {
    if rest.is_empty() {
        return Ok(None);
    }
    let key = varint(rest)?;
    let mut bytes = None;
    match key & 7 {
        0 => drop(varint(rest)?),
        1 => drop(split(rest, 8)?),
        2 => {
            let length = varint(rest)?;
            bytes = Some(split(rest, length)?);
        }
        5 => drop(split(rest, 4)?),
        _ => return Err(Refused::Malformed),
    }
    Ok(Some(Field { number: key >> 3, bytes }))
}

fn split<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Refused> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (head, tail) = rest.split_at_checked(length).ok_or(Refused::Malformed)?;
    *rest = tail;
    Ok(head)
}

/// Ten groups of seven bits at most; bits beyond the 64th are lost, as they are in the decoder.
fn varint(rest: &mut &[u8]) -> Result<u64, Refused> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(Refused::Malformed)?;
        *rest = tail;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Refused::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(message: &[u8]) -> Result<(), Refused> {
        super::check(message, OF_STREAM)
    }

    #[test]
    fn texts_are_no_messages() {
        let text = [2 << 3 | 2, 3, b'a', 0xff, 0xff];
        assert_eq!(super::check(&text, OF_EMBED), Ok(()));
        assert_eq!(check(&text), Err(Refused::Malformed));
        let empty = [2 << 3 | 2, 0].repeat(MAX_VALUES + 1);
        assert_eq!(super::check(&empty, OF_EMBED), Err(Refused::TooMany));
    }

    #[test]
    fn many_empty_messages_are_not_decoded() {
        let empty = [2 << 3 | 2, 0];
        assert_eq!(check(&empty.repeat(MAX_VALUES)), Ok(()));
        assert_eq!(check(&empty.repeat(MAX_VALUES + 1)), Err(Refused::TooMany));
        let parts = [2 << 3 | 2, 0].repeat(60);
        let message = [[2 << 3 | 2, 120].as_slice(), &parts].concat();
        assert_eq!(check(&message.repeat(MAX_VALUES / 61)), Ok(()));
        assert_eq!(check(&message.repeat(MAX_VALUES / 60)), Err(Refused::TooMany));
    }

    #[test]
    fn what_is_cut_or_of_an_unknown_kind_is_refused() {
        let refused: [&[u8]; 5] = [&[0x12], &[0x12, 5, 1], &[0x13], &[0x12, 1, 0x80], &[0xff; 11]];
        for bytes in refused {
            assert_eq!(check(bytes), Err(Refused::Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_ne!(check(&bytes), Err(Refused::TooMany));
        }
    }
}
