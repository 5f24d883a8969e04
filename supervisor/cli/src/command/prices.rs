//! `prices ...`

use std::io::Read as _;
use std::path::Path;

use ledger::PriceTable;

use crate::client::Client;
use crate::error::Error;
use crate::options::PriceCommand;
use crate::output::Output;
use crate::view::CheckedPrices;

/// Bytes of a file that are read; one more than a table may have tells that it is too large.
const MAX_FILE: u64 = (4 << 20) + 1;

pub(super) async fn run(
    client: &Client,
    command: PriceCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        PriceCommand::Show => output.reply(&client.get::<control_api::Prices>("/v1/prices").await?),
        PriceCommand::Check { file } => output.reply(&check(&file)?),
        PriceCommand::Shipped => {
            output.raw(PriceTable::SHIPPED);
            output.end()
        }
    }
}

fn check(path: &Path) -> Result<CheckedPrices, Error> {
    let fail = |source| Error::PriceFile { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(fail)?;
    let table = PriceTable::parse(&bytes).map_err(Error::Prices)?;
    Ok(CheckedPrices {
        version: table.version().to_string(),
        models: table.entries().len(),
        oldest: table.entries().iter().map(|it| it.retrieved).min().map(|it| it.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_file_is_read_before_a_gateway_does() {
        let path = std::env::temp_dir().join(format!("openclawmu-prices-{}", std::process::id()));
        let found = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            check(&path)
        };
        let checked = found(PriceTable::SHIPPED).unwrap();
        assert!(checked.models > 0 && checked.oldest.is_some());
        assert!(matches!(found(b"{}"), Err(Error::Prices(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(check(&path), Err(Error::PriceFile { .. })));
    }
}
