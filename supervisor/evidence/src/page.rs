//! The same evidence for people: one page without a script, with the signed document in it. It is a
//! function of that document, so it can be made again and compared: nobody changes a word of it
//! unseen.

use crate::check::{Complaint, check};
use crate::document::{Error, Opened, open_document};
use crate::report::{Layer, Probe, Report, Standing};

/// How the page begins, and where the document is in it.
const BEGIN: &str = "<!doctype html>\n";
const DOCUMENT: &str = "<pre id=\"document\">";
const END: &str = "</pre>\n</body>\n</html>\n";

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1c1c1c;background:#fff}table{border-collapse:collapse;width:100%;\
margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;\
border-bottom:1px solid #ddd;overflow-wrap:anywhere}th{font-weight:600}.good{color:#12692f}\
.bad{color:#a3180f;font-weight:600}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;\
background:#f5f5f5;padding:1rem}";

/// The page of a signed document.
///
/// # Errors
/// When the document is not one, or its signature does not hold.
pub fn page(document: &[u8]) -> Result<Vec<u8>, Error> {
    let opened = open_document(document, None)?;
    Ok(around(document, &opened))
}

/// The document in a page; none where the file is no page.
pub(crate) fn document(file: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(file).ok()?.strip_prefix(BEGIN)?;
    // What stands before was escaped, so there is one such place.
    let (_, document) = text.split_once(DOCUMENT)?;
    Some(plain(document.strip_suffix(END)?).into_bytes())
}

/// The page around a document that was opened.
pub(crate) fn around(document: &[u8], opened: &Opened) -> Vec<u8> {
    let report = &opened.report;
    let mut out = Page(String::from(BEGIN));
    let title = format!("Boundary of {} at {}", report.tenant, report.at);
    out.add(&format!("<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{}</h1>\n", escaped(&title), escaped(&title)));
    out.verdict(&check(report));
    out.summary(report, &opened.key.to_string());
    out.layers(&report.layers);
    out.probes(&report.probes);
    out.add("<h2>The signed document</h2>\n<p>Check it with <code>openclawmu evidence verify FILE</code>: this page, or the text below as a file.</p>\n");
    out.add(DOCUMENT);
    out.add(&escaped(&String::from_utf8_lossy(document)));
    out.add(END);
    out.0.into_bytes()
}

struct Page(String);

impl Page {
    fn add(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn verdict(&mut self, complaints: &[Complaint]) {
        if complaints.is_empty() {
            self.add("<p class=\"good\">Every layer is as declared, and every attempt from inside was refused.</p>\n");
            return;
        }
        self.add("<p class=\"bad\">The boundary is not as declared.</p>\n");
        let rows = complaints.iter().map(|it| (false, vec![&it.what, &it.expected, &it.found]));
        self.table(&["What", "Should be", "Is"], rows.collect());
    }

    fn summary(&mut self, report: &Report, key: &str) {
        let versions = &report.versions;
        let lost: Vec<String> = report
            .not_given
            .iter()
            .map(|lost| format!("{}: {}", lost.guarantee, lost.reason))
            .collect();
        let nothing = |list: String| if list.is_empty() { "nothing".to_owned() } else { list };
        let none = || "none".to_owned();
        let audit = report.audit_head.as_ref();
        let pairs = [
            ("Installation", report.installation.clone()),
            ("Signed with", key.to_owned()),
            ("Gateway", versions.gateway.clone()),
            ("Worker", versions.worker.clone()),
            ("Kernel", versions.kernel.clone()),
            ("Bubblewrap", versions.bwrap.clone().unwrap_or_else(none)),
            ("Mode", report.host.mode.clone()),
            ("Program", report.boundary.binary_digest.clone().unwrap_or_else(none)),
            ("System call filter", report.boundary.seccomp.digest.clone()),
            ("Ledger of closed days", report.ledger_digest.clone().unwrap_or_else(none)),
            ("Audit log", audit.map_or_else(none, |it| format!("{} {}", it.seq, it.hash))),
            ("Not given by this machine", nothing(lost.join("; "))),
        ];
        self.add("<table>\n");
        for (name, value) in &pairs {
            self.row(&format!("<th>{}</th><td>{}</td>", escaped(name), escaped(value)));
        }
        self.add("</table>\n");
    }

    fn layers(&mut self, layers: &[Layer]) {
        self.add("<h2>Layers</h2>\n");
        let words: Vec<_> = layers.iter().map(|it| it.standing.word().to_owned()).collect();
        let rows = layers.iter().zip(&words).map(|(it, word)| {
            (it.standing == Standing::Ok, vec![&it.name, &it.expected, &it.found, word])
        });
        self.table(&["Layer", "Declared", "Found", ""], rows.collect());
    }

    fn probes(&mut self, probes: &[Probe]) {
        use crate::report::Held::{NotGiven, Refused};
        self.add("<h2>Attempts from inside</h2>\n");
        let told: Vec<_> = probes
            .iter()
            .map(|it| {
                (it.depth.words().to_owned(), it.expected.join(" or "), it.held.words().to_owned())
            })
            .collect();
        let rows = probes.iter().zip(&told).map(|(it, (depth, expected, held))| {
            let good = matches!(it.held, Refused | NotGiven);
            (good, vec![&it.attempt, depth, expected, &it.outcome, held])
        });
        self.table(&["Attempt", "Behind", "Should get", "Got", ""], rows.collect());
    }

    /// A table whose last column says how each row is.
    fn table(&mut self, head: &[&str], rows: Vec<(bool, Vec<&String>)>) {
        let cells = |tag: &str, texts: &mut dyn Iterator<Item = &str>| {
            texts
                .fold(String::new(), |row, text| row + &format!("<{tag}>{}</{tag}>", escaped(text)))
        };
        self.add("<table>\n");
        self.row(&cells("th", &mut head.iter().copied()));
        for (good, texts) in rows {
            let Some((last, texts)) = texts.split_last() else { continue };
            let begin = cells("td", &mut texts.iter().map(|text| text.as_str()));
            let class = if good { "good" } else { "bad" };
            self.row(&format!("{begin}<td class=\"{class}\">{}</td>", escaped(last)));
        }
        self.add("</table>\n");
    }

    fn row(&mut self, cells: &str) {
        self.add(&format!("<tr>{cells}</tr>\n"));
    }
}

/// Letters that mean something in HTML, and how they are written there; the first of them first.
const ESCAPES: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

fn escaped(text: &str) -> String {
    ESCAPES.iter().fold(text.to_owned(), |text, (plain, html)| text.replace(plain, html))
}

fn plain(html: &str) -> String {
    ESCAPES.iter().rev().fold(html.to_owned(), |text, (plain, html)| text.replace(html, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_says_nothing_and_comes_back() {
        for text in ["<b onload='x()'>\"&amp;\"</b>", "&lt;", "&amp;lt;", "plain", "</pre>"] {
            let html = escaped(text);
            assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            assert_eq!(plain(&html), text);
        }
    }
}
