//! A price file. What is read is within its bounds, and every price of it can be used at any time.
#![no_main]

use ledger::{PriceTable, Tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let table = match PriceTable::parse(file) {
        Ok(table) => table,
        Err(err) => return assert!(!err.to_string().is_empty()),
    };
    assert!(!table.version().is_empty());
    for entry in table.entries() {
        let prices = table.prices(&entry.provider, "", &entry.model);
        let at = prices.at(entry.from.start()).expect("a price holds from its first day on");
        let (input, output) = (u64::from(u32::MAX), 7);
        let used = Tokens { input, output, cached: 3, reasoning: 2 };
        let (cost, most) = (at.price.cost(&used), at.price.most(input, output));
        assert!(cost <= most);
        assert!(at.price.affordable(input, most) >= output || most == u64::MAX);
    }
});
