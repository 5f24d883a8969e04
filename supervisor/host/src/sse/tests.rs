//! Events in any form, cut anywhere.

use proptest::prelude::*;

use super::*;

/// The events in `pieces`, fed one after the other.
fn events<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Result<Vec<String>, TooLong> {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    let mut take = |data: &[u8]| {
        found.push(String::from_utf8_lossy(data).into_owned());
        Ok::<_, TooLong>(())
    };
    for piece in pieces {
        parser.feed(piece.as_ref(), &mut take)?;
    }
    parser.end(&mut take)?;
    Ok(found)
}

#[test]
fn what_is_an_event() {
    let check = |text: &str, want: &[&str]| {
        assert_eq!(events([text.as_bytes()]).unwrap(), want, "{text:?}");
    };
    check("", &[]);
    check("data: a\n\n", &["a"]);
    check("data:a\n\n", &["a"]);
    check("data:  a\n\n", &[" a"]);
    check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
    check("data: a\r\rdata: b\r\r", &["a", "b"]);
    check("data: a\ndata: b\n\n", &["a\nb"]);
    check("data\n\n", &[""]);
    check("event: ping\n\n", &[]);
    check(": comment\n\ndata: a\n: comment\n\n", &["a"]);
    check("event: x\nid: 1\nretry: 2\ndata: a\n\n", &["a"]);
    check("database: a\n\n", &[]);
    check("\u{feff}data: a\n\n", &["a"]);
    check("data: a", &["a"]);
    check("data: a\n", &["a"]);
    check("\n\n\n\ndata: a\n\n\n\n", &["a"]);
}

#[test]
fn no_line_and_no_event_grows_without_bound() {
    let check = |unit: &[u8]| {
        let count = MAX_EVENT / 1000 + 2;
        assert!(matches!(events(std::iter::repeat_n(unit, count)), Err(TooLong)));
    };
    check(&[b'a'; 1000]);
    check(&[b"data: ".as_slice(), &[b'a'; 1000], b"\n"].concat());
    let longest = [b"data: ".as_slice(), &vec![b'a'; MAX_EVENT - 6], b"\n\n"].concat();
    assert_eq!(events([longest.as_slice()]).unwrap().len(), 1);
}

/// Bytes out of which streams are made, so that random ones come near to real ones.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data".to_vec()),
        Just(b"event: x".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b": ".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just("höß€𝄞".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in stream(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(events(pieces), events([stream.as_slice()]));
        prop_assert_eq!(events(stream.chunks(1)), events([stream.as_slice()]));
    }
}
