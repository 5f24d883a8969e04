//! `edit`: exact pieces of a text file, each replaced by another.
//!
//! Every piece must be there exactly once, and the file is written once, with all of them.

use serde_json::{Value, json};
use tonic::async_trait;

use super::arguments::{Arguments, invalid};
use super::paths::{MAX_PATH, Place};
use super::write::MAX_CONTENT;
use super::{Context, Failure, Group, Outcome, Row, Tool, files};

/// Pieces of one call.
const MAX_EDITS: usize = 64;

#[derive(Debug)]
pub(super) struct Edit;

static ROW: Row = Row {
    name: "edit",
    label: "Edit",
    group: Group::Fs,
    is_read_only: false,
    description: "Replaces exact pieces of a text file of the workspace or the home. Each oldText must \
                  be there exactly once, with its spaces and line ends; give more lines around it \
                  where it is not unique. Give either oldText and newText, or edits.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["path"],"properties":{"path":{"type":"string","description":"The file, relative to the workspace or absolute."},"oldText":{"type":"string","description":"What is replaced."},"newText":{"type":"string","description":"What takes its place."},"edits":{"type":"array","maxItems":64,"description":"Several at once, applied in order.","items":{"type":"object","additionalProperties":false,"required":["oldText","newText"],"properties":{"oldText":{"type":"string"},"newText":{"type":"string"}}}}}}"#,
};

/// One piece and what takes its place.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    old: String,
    new: String,
}

#[async_trait]
impl Tool for Edit {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let path = arguments.required(&["path", "file_path"], MAX_PATH)?;
        let pieces = pieces(&mut arguments)?;
        arguments.end()?;
        let place = Place::parse("path", &path)?;
        let agent = context.key.agent().clone();
        files::job(context, move |root| {
            let max = u64::try_from(MAX_CONTENT).unwrap_or(u64::MAX);
            let bytes = files::read(root, &agent, &place, max)?;
            let shown = place.shown();
            let text = String::from_utf8(bytes)
                .map_err(|_err| Failure::Refused(format!("{shown} is not UTF-8 text")))?;
            let (new, line) = replaced(&text, &pieces, &shown)?;
            files::replace(root, &agent, &place, new.as_bytes())?;
            let count = pieces.len();
            let details = json!({ "path": shown, "replacements": count, "firstChangedLine": line });
            Ok(Outcome::text(format!("Replaced {count} pieces of {shown}")).with(details))
        })
        .await
    }
}

fn pieces(arguments: &mut Arguments) -> Result<Vec<Piece>, Failure> {
    let alone = piece(arguments)?;
    match (arguments.value(&["edits"])?, alone) {
        (None, Some(piece)) => Ok(vec![piece]),
        (Some(_), Some(_)) => Err(invalid(&["edits"], "and oldText are both given: give one")),
        (None, None) => Err(invalid(&["oldText"], "is missing")),
        (Some(Value::Array(edits)), None) if (1..=MAX_EDITS).contains(&edits.len()) => {
            edits.into_iter().map(one_of_several).collect()
        }
        (Some(_), None) => Err(invalid(&["edits"], &format!("must be 1 to {MAX_EDITS} pieces"))),
    }
}

fn one_of_several(edit: Value) -> Result<Piece, Failure> {
    let mut arguments = Arguments::new(edit)?;
    let piece = piece(&mut arguments)?.ok_or_else(|| invalid(&["edits"], "lacks an oldText"))?;
    arguments.end()?;
    Ok(piece)
}

fn piece(arguments: &mut Arguments) -> Result<Option<Piece>, Failure> {
    let old = arguments.text(&["oldText", "old_string", "oldString", "old_text"], MAX_CONTENT)?;
    let new = arguments.text(&["newText", "new_string", "newString", "new_text"], MAX_CONTENT)?;
    match (old, new) {
        (None, None) => Ok(None),
        (Some(old), Some(_)) if old.is_empty() => Err(invalid(&["oldText"], "is empty")),
        (Some(old), Some(new)) if old == new => {
            Err(invalid(&["newText"], "is the same as oldText"))
        }
        (Some(old), Some(new)) => Ok(Some(Piece { old, new })),
        (Some(_), None) => Err(invalid(&["newText"], "is missing")),
        (None, Some(_)) => Err(invalid(&["oldText"], "is missing")),
    }
}

/// The text with every piece replaced, and the first line that is another one.
fn replaced(text: &str, pieces: &[Piece], shown: &str) -> Result<(String, usize), Failure> {
    // Models write \n: a file whose every line ends in \r\n is matched and written back as such.
    let is_crlf = is_crlf(text);
    let plain = |text: &str| if is_crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
    let mut now = plain(text);
    let mut first = usize::MAX;
    for (index, piece) in pieces.iter().enumerate() {
        let (old, new) = (plain(&piece.old), plain(&piece.new));
        let at = only(&now, &old, index, shown)?;
        let (before, rest) = now.split_at_checked(at).unwrap_or((&now, ""));
        first = first.min(before.matches('\n').count() + 1);
        now = [before, &new, rest.get(old.len()..).unwrap_or_default()].concat();
        if now.len() > MAX_CONTENT {
            return Err(Failure::Refused(format!(
                "{shown} would have more than {MAX_CONTENT} bytes"
            )));
        }
    }
    Ok((if is_crlf { now.replace('\n', "\r\n") } else { now }, first))
}

/// Whether every line of a text ends in `\r\n`.
pub(super) fn is_crlf(text: &str) -> bool {
    text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count()
}

/// Where `old` is, which must be at one place only; overlapping places count.
fn only(text: &str, old: &str, index: usize, shown: &str) -> Result<usize, Failure> {
    let number = index + 1;
    let Some(at) = text.find(old) else {
        return Err(Failure::Failed(format!("oldText of piece {number} is not in {shown}")));
    };
    let step = old.chars().next().map_or(1, char::len_utf8);
    let behind = text.get(at + step..).unwrap_or_default();
    if behind.contains(old) {
        let count = text.matches(old).count().max(2);
        let what =
            format!("oldText of piece {number} is {count} times in {shown}: it must be unique");
        return Err(Failure::Failed(what));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_unique_and_line_ends_stay() {
        let check = |text: &str, old: &str, new: &str, want: Result<&str, &str>| {
            let pieces = [Piece { old: old.to_owned(), new: new.to_owned() }];
            let got = replaced(text, &pieces, "f").map(|it| it.0).map_err(|it| it.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want);
        };
        check("a b c", "b", "x", Ok("a x c"));
        check("a\r\nb\r\n", "a\nb", "x\ny", Ok("x\r\ny\r\n"));
        check("a\r\nb\nc", "a\nb", "x", Err("oldText of piece 1 is not in f"));
        check("a\r\nb\nc", "a\r\nb", "x", Ok("x\nc"));
        check("a a", "a", "x", Err("oldText of piece 1 is 2 times in f: it must be unique"));
        check("aaa", "aa", "x", Err("oldText of piece 1 is 2 times in f: it must be unique"));
        check("üü", "ü", "x", Err("oldText of piece 1 is 2 times in f: it must be unique"));
        check("\u{feff}ü", "ü", "", Ok("\u{feff}"));
    }

    #[test]
    fn arguments_go_by_several_names_and_not_by_two_at_once() {
        let check = |value: Value, want: Result<usize, &str>| {
            let got = pieces(&mut Arguments::new(value).unwrap()).map(|it| it.len());
            assert_eq!(got.map_err(|it| it.to_string()), want.map_err(ToOwned::to_owned));
        };
        check(json!({"old_string": "a", "new_string": "b"}), Ok(1));
        check(json!({"edits": [{"oldText": "a", "newText": ""}]}), Ok(1));
        check(json!({"edits": []}), Err("edits must be 1 to 64 pieces"));
        check(json!({"edits": [{"oldText": "a"}]}), Err("newText is missing"));
        check(
            json!({"edits": [], "oldText": "a", "newText": "b"}),
            Err("edits and oldText are both given: give one"),
        );
        check(json!({"oldText": "", "newText": "b"}), Err("oldText is empty"));
        check(json!({"oldText": "a", "newText": "a"}), Err("newText is the same as oldText"));
        check(json!({}), Err("oldText is missing"));
    }
}
