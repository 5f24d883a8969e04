//! The forms of a report. Columns are never renamed, moved or removed: new ones come last.
//!
//! `from,to,tenant,group,name,requests,inputTokens,cachedTokens,outputTokens,reasoningTokens,costMicros,
//! sandboxMs,egressBytes,unbilledCostMicros`: the first and last day, the tenant's id, what the rows are
//! of, which of those, and sums. Input tokens include cached ones, output tokens those of reasoning; money
//! is in millionths of a dollar. CSV is that of RFC 4180. JSON has the same names, as `rows`, and a `total`.

use std::io::{self, Write};

use ledger::Amount;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Query, Row};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header and a line for each row.
    Csv,
    /// One document.
    Json,
}

const UNBILLED: &str = "unbilledCostMicros";

pub(super) fn write(
    query: &Query,
    format: Format,
    rows: &[Row],
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Csv => csv(query, rows, out),
        Format::Json => json(query, rows, out),
    }
}

fn csv(query: &Query, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let sums = Amount::ZERO.columns().map(|(name, _)| name);
    let head = ["from", "to", "tenant", "group", "name"];
    let head: Vec<&str> = head.into_iter().chain(sums).chain([UNBILLED]).collect();
    write!(out, "{}\r\n", head.join(","))?;
    let (from, to, by) = (query.from, query.to, query.by.as_str());
    for row in rows {
        write!(out, "{from},{to},{},{by},{}", cell(row.tenant.as_str()), cell(&row.name))?;
        for (_, sum) in row.used.columns() {
            write!(out, ",{sum}")?;
        }
        write!(out, ",{}\r\n", row.unbilled.cost_micros)?;
    }
    out.flush()
}

/// A cell that no spreadsheet takes for a formula and that nothing in it can end.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

fn json(query: &Query, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let (from, to, by) = (query.from, query.to, query.by.as_str());
    write!(out, "{{\"v\":1,\"from\":\"{from}\",\"to\":\"{to}\",\"group\":\"{by}\",\"rows\":[")?;
    let (mut used, mut unbilled) = (Amount::ZERO, Amount::ZERO);
    let mut comma = "\n";
    for row in rows {
        out.write_all(comma.as_bytes())?;
        comma = ",\n";
        used.add(&row.used);
        unbilled.add(&row.unbilled);
        let named = Named {
            tenant: row.tenant.as_str(),
            name: &row.name,
            sums: sums(row.used, row.unbilled),
        };
        serde_json::to_writer(&mut *out, &named)?;
    }
    out.write_all(b"\n],\"total\":")?;
    serde_json::to_writer(&mut *out, &sums(used, unbilled))?;
    out.write_all(b"}\n")?;
    out.flush()
}

#[derive(Serialize)]
struct Named<'a> {
    tenant: &'a str,
    name: &'a str,
    #[serde(flatten)]
    sums: Map<String, Value>,
}

/// Every sum by its name, those that are nothing included.
fn sums(used: Amount, unbilled: Amount) -> Map<String, Value> {
    let unbilled = (UNBILLED, unbilled.cost_micros);
    let sums = used.columns().into_iter().chain([unbilled]);
    sums.map(|(name, sum)| (name.to_owned(), sum.into())).collect()
}

#[cfg(test)]
mod tests {
    use ledger::Day;

    use super::super::Group;
    use super::*;

    fn text(format: Format, names: &[&str]) -> String {
        let day = Day::of(1_795_305_600_000);
        let query = Query { from: day, to: day.next(), tenant: None, by: Group::Agent };
        let used = Amount { requests: 1, cost_micros: 7, ..Amount::ZERO };
        let unbilled = Amount { cost_micros: 2, ..Amount::ZERO };
        let row = |name: &&str| {
            let tenant = "acme".parse().unwrap();
            Row { tenant, name: (*name).to_owned(), used, unbilled }
        };
        let rows: Vec<Row> = names.iter().map(row).collect();
        let mut out = Vec::new();
        write(&query, format, &rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_of_csv() {
        assert_eq!(
            text(Format::Csv, &["main"]),
            "from,to,tenant,group,name,requests,inputTokens,cachedTokens,outputTokens,reasoningTokens,costMicros,sandboxMs,egressBytes,unbilledCostMicros\r\n\
             2026-11-22,2026-11-23,acme,agent,main,1,0,0,0,0,7,0,0,2\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula_or_ends_early() {
        let check = |text: &str, shown: &str| assert_eq!(cell(text), shown);
        check("main", "main");
        check("", "");
        check("=1+1", "'=1+1");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("a,b", "\"a,b\"");
        check("=\"x\"\r\ny", "\"'=\"\"x\"\"\r\ny\"");
    }

    #[test]
    fn json_has_the_same_columns_and_a_total() {
        let value: Value = serde_json::from_str(&text(Format::Json, &["a\"b", "c"])).unwrap();
        assert_eq!(value["rows"][0]["name"], "a\"b");
        assert_eq!(value["rows"][1]["costMicros"], 7);
        assert_eq!(value["total"]["costMicros"], 14);
        assert_eq!(value["total"]["unbilledCostMicros"], 4);
        assert_eq!(value["total"]["sandboxMs"], 0);
    }
}
