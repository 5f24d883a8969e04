//! What a price file may hold, and which price holds when.

use super::*;

const DAY: UnixMillis = 86_400_000;

fn file(entries: &str) -> String {
    format!(r#"{{"version":"7","entries":[{entries}]}}"#)
}

fn entry(provider: &str, model: &str, from: &str, input: u64) -> String {
    format!(
        r#"{{"provider":"{provider}","model":"{model}","from":"{from}","source":"s","retrieved":"1970-01-01","input":{input},"output":2}}"#
    )
}

#[test]
fn the_newest_price_that_holds_is_the_price() {
    let entries = [
        entry("openai", "m", "1970-01-11", 20),
        entry("openai", "m", "1970-01-03", 10),
        entry("mine", "m", "1970-01-01", 5),
    ];
    let table = PriceTable::parse(file(&entries.join(",")).as_bytes()).unwrap();
    assert_eq!((&**table.version(), table.entries().len()), ("7", 3));
    let check = |name: &str, model: &str, day: u64, want: Option<u64>| {
        let prices = table.prices(name, "openai", model);
        assert_eq!(prices.at(day * DAY).map(|it| it.price.input), want, "{name} {model} {day}");
    };
    check("other", "m", 0, None);
    check("other", "m", 1, None);
    check("other", "m", 2, Some(10));
    check("other", "m", 9, Some(10));
    check("other", "m", 10, Some(20));
    check("mine", "m", 10, Some(5));
    check("other", "m2", 10, None);
    check("other", "M", 10, None);
    assert_eq!(table.prices("other", "anthropic", "m"), Prices::default());
    assert_eq!(&*Prices::always(Price::default(), "c").at(0).unwrap().version, "c");
}

#[test]
fn what_is_refused_is_named() {
    let check = |text: &str, want: &str| {
        let err = PriceTable::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(err.contains(want), "{err} does not name {want}");
    };
    let good = entry("openai", "m", "2026-01-01", 1);
    let with = |from: &str, to: &str| file(&good.replace(from, to));
    PriceTable::parse(file(&good).as_bytes()).unwrap();
    check("", "EOF");
    check("[]", "invalid length 0");
    check(r#"{"version":"1"}"#, "entries");
    check(r#"{"version":"1","entries":[],"currency":"EUR"}"#, "currency");
    check(r#"{"version":"","entries":[]}"#, "version: 1 to 128");
    check(r#"{"version":1,"entries":[]}"#, "version");
    check(&with(r#""input":1"#, r#""input":-1"#), "input");
    check(&with(r#""input":1"#, r#""input":1.5"#), "input");
    check(&with(r#""input":1"#, r#""input":1000000000001"#), "input");
    check(&with(r#""input":1"#, r#""input":1,"input":2"#), "input");
    check(&with(r#""output":2"#, r#""output":"2""#), "output");
    check(&with(r#","output":2"#, ""), "output");
    check(&with(r#""output":2"#, r#""output":2,"cash":2"#), "cash");
    check(&with("2026-01-01", "2026-02-30"), "from");
    check(&with(r#""source":"s""#, r#""source":"""#), "entries[0].source");
    check(&with(r#""model":"m""#, r#""model":"a b""#), "entries[0].model");
    check(&with(r#""output":2"#, r#""output":2,"tiers":[{"above":1}]"#), "tiers");
    let tier = |above| format!(r#"{{"above":{above},"input":1,"output":1}}"#);
    let tiers = format!(r#""output":2,"tiers":[{},{}]"#, tier(5), tier(5));
    check(&with(r#""output":2"#, &tiers), "entries[0].tiers");
    check(&file(&[good.clone(), good.clone()].join(",")), "entries[1].from");
    assert!(matches!(PriceTable::parse(&vec![b' '; MAX_BYTES + 1]), Err(PriceError::Large)));
}

#[test]
fn the_shipped_prices_can_be_read_and_say_where_they_are_from() {
    let table = PriceTable::shipped().unwrap();
    assert!(!table.entries().is_empty());
    for entry in table.entries() {
        assert!(entry.source.starts_with("https://"), "{entry:?}");
        assert!(entry.price.input > 0 && entry.price.output >= entry.price.input, "{entry:?}");
    }
}
