//! Forms as browsers send them: `application/x-www-form-urlencoded`.

/// Fields that are looked at: several times what any network sends.
const MAX_FIELDS: usize = 64;

/// The fields of a form, in their order. What is no UTF-8 is replaced.
pub fn fields(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    body.split(|it| *it == b'&').filter(|it| !it.is_empty()).take(MAX_FIELDS).map(|pair| {
        let mut halves = pair.splitn(2, |it| *it == b'=');
        let mut next = || decoded(halves.next().unwrap_or_default());
        (next(), next())
    })
}

fn decoded(text: &[u8]) -> String {
    let digit = |it: Option<&u8>| it.and_then(|it| char::from(*it).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let pair = (digit(text.get(at + 1)), digit(text.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                bytes.extend(u8::try_from(high << 4 | low));
                at += 3;
            }
            (byte, _) => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_filled_in() {
        let check = |body: &str, want: &[(&str, &str)]| {
            let found: Vec<_> = fields(body.as_bytes()).collect();
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, want, "{body}");
        };
        check("", &[]);
        check("a=1&b=x+y&c=%2Fz%C3%A9&d", &[("a", "1"), ("b", "x y"), ("c", "/zé"), ("d", "")]);
        check("a=%zz&b=%4&=x&&c=1=2", &[("a", "%zz"), ("b", "%4"), ("", "x"), ("c", "1=2")]);
        check("a=%ff", &[("a", "\u{fffd}")]);
        assert_eq!(fields("a=1&".repeat(1000).as_bytes()).count(), MAX_FIELDS);
    }
}
