//! Bytes as hexadecimal digits, one form only: small letters. Two forms of one signature would be two
//! documents.

/// The digits of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.filter_map(|half| char::from_digit(u32::from(half), 16)).collect()
}

/// Exactly `N` bytes, of exactly twice as many digits.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digits = text.as_chunks::<2>();
    if !digits.1.is_empty() || digits.0.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.0) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        assert_eq!(encode(&[0, 0x9f, 0xa0]), "009fa0");
        assert_eq!(decode(b"009fa0"), Some([0, 0x9f, 0xa0]));
        for wrong in [&b"009FA0"[..], b"009fa", b"009fa00", b"009fag", b" 09fa0", b""] {
            assert_eq!(decode::<3>(wrong), None);
        }
    }
}
