//! Files that an answer names to be sent with it: lines of their own, `MEDIA:` and a path of the workspace.

use std::collections::HashSet;

use networks::File;

use super::{Heard, aside};
use crate::agent;
use crate::service::Core;
use crate::store;

/// What a line begins with that names a file.
const MARK: &str = "MEDIA:";

/// The tool that reads files.
const READ: &str = "read";

/// Files of one answer: more than a network shows together.
const MAX_FILES: usize = 8;

/// The longest name that is told, in characters.
const MAX_NAME: usize = 128;

/// What the model is told of it, where the network takes files.
pub(super) fn told(most: u64) -> String {
    let (kib, mib) = (most >> 10, most >> 20);
    let most = if mib == 0 { format!("{kib} KiB") } else { format!("{mib} MiB") };
    format!(
        "To send a file of your workspace, at most {most} large, write a line of its own with \
         {MARK} and its path; up to {MAX_FILES} are sent with an answer, after its text."
    )
}

/// How large a file may be that the agent sends in this conversation, in bytes; 0 where the network takes
/// none, or the agent may not read files: then it gives none away either.
pub(super) async fn most(core: &Core, heard: &Heard) -> u64 {
    let key = heard.key.clone();
    let row = core.store.job(move |root| store::session(root, key.agent(), key.as_str())).await;
    let Ok(row) = row else { return 0 };
    let may_read = agent::allowed_in(core, &heard.key, row.as_ref()).has(READ);
    if may_read { heard.network.is.media.outward } else { 0 }
}

/// An answer without the lines that name files, and their paths.
pub(super) fn split(answer: &str) -> (String, Vec<String>) {
    let (mut text, mut paths) = (String::with_capacity(answer.len()), Vec::new());
    let mut is_code = false;
    for line in answer.split_inclusive('\n') {
        let bare = line.trim();
        is_code ^= bare.starts_with("```") || bare.starts_with("~~~");
        match bare.strip_prefix(MARK).map(path).filter(|it| !is_code && !it.is_empty()) {
            Some(path) => paths.push(path.to_owned()),
            None => text.push_str(line),
        }
    }
    if paths.is_empty() { (answer.to_owned(), paths) } else { (text.trim().to_owned(), paths) }
}

/// As much of an answer as is shown while it is written: a last line that may come to name a file is not.
pub(super) fn shown(answer: &str) -> String {
    let (whole, last) = answer.rsplit_once('\n').map_or(("", answer), |it| it);
    let bare = last.trim_start();
    let may_name = !bare.is_empty() && (MARK.starts_with(bare) || bare.starts_with(MARK));
    split(if may_name { whole } else { answer }).0
}

/// A path as models write it: also between quotes.
fn path(text: &str) -> &str {
    let text = text.trim();
    let quoted = ['`', '"', '\''].iter().find_map(|it| text.strip_prefix(*it)?.strip_suffix(*it));
    quoted.unwrap_or(text).trim()
}

/// Sets the files aside of which intent `intent` consists; gives the messages that they are, and what people
/// are told of those that cannot be sent.
pub(super) async fn take(
    core: &Core,
    heard: &Heard,
    intent: &str,
    paths: &[String],
) -> (Vec<networks::Part>, Vec<String>) {
    let most = if paths.is_empty() { 0 } else { most(core, heard).await };
    let (mut parts, mut notes) = (Vec::new(), Vec::new());
    let mut names = HashSet::new();
    for (at, path) in paths.iter().enumerate() {
        let mut name = name(path);
        let taken = if heard.network.is.media.outward == 0 {
            Err(format!("{} takes no files", heard.network.is.title))
        } else if most == 0 {
            Err("the agent may not read files".to_owned())
        } else if at >= MAX_FILES {
            Err(format!("{MAX_FILES} are sent at once"))
        } else {
            let id = aside::id(intent, at);
            let set = aside::set(core, (heard.key.agent(), path), &id, most).await;
            set.map(|size| (id, size))
        };
        match taken {
            Ok((id, size)) => {
                // Who looks for a file knows it by its name.
                if !names.insert(name.clone()) {
                    name = format!("{at}-{name}");
                }
                let media_type = File::media_type(&name).to_owned();
                let file = Some(File { id, name, media_type, size });
                parts.push(networks::Part { file, ..networks::Part::default() });
            }
            Err(why) => notes.push(format!("[{name} could not be sent: {why}.]")),
        }
    }
    (parts, notes)
}

/// What a file is called: the last of its path, without what only confuses.
fn name(path: &str) -> String {
    let last = path.rsplit('/').find(|it| !it.is_empty()).unwrap_or_default();
    let hidden = |it: char| {
        it.is_control()
            || matches!(it, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain: String = last.chars().filter(|it| !hidden(*it)).collect();
    let skipped = plain.chars().count().saturating_sub(MAX_NAME);
    let name: String = plain.chars().skip(skipped).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_files_are_taken_out() {
        let check = |answer: &str, text: &str, paths: &[&str]| {
            let (found, named) = split(answer);
            assert_eq!(
                (found.as_str(), named),
                (text, paths.iter().map(|it| (*it).to_owned()).collect()),
                "{answer}"
            );
        };
        check("no file\n", "no file\n", &[]);
        check("here:\nMEDIA:a/b.png\n", "here:", &["a/b.png"]);
        check(
            "MEDIA: /workspace/a b.png\nMEDIA:`c.pdf`\nand so",
            "and so",
            &["/workspace/a b.png", "c.pdf"],
        );
        check("MEDIA:\"x\"", "", &["x"]);
        check("it says MEDIA:x", "it says MEDIA:x", &[]);
        check("```\nMEDIA:x\n```", "```\nMEDIA:x\n```", &[]);
        check("MEDIA:", "MEDIA:", &[]);
    }

    #[test]
    fn what_may_come_to_name_a_file_is_not_shown() {
        for (answer, want) in [
            ("a\nM", "a"),
            ("a\nMEDIA:/x", "a"),
            ("a\nMEDIA:/x\nb", "a\nb"),
            ("a\nMore", "a\nMore"),
            ("MEDI", ""),
            ("a\n", "a\n"),
        ] {
            assert_eq!(shown(answer), want, "{answer}");
        }
    }

    #[test]
    fn a_name_is_the_last_of_its_path() {
        for (path, want) in [
            ("a/b.png", "b.png"),
            ("/workspace/", "workspace"),
            ("", "file"),
            ("a/..", ".."),
            ("x\u{202e}gnp.exe\n", "xgnp.exe"),
        ] {
            assert_eq!(name(path), want, "{path}");
        }
        assert_eq!(name(&"x".repeat(300)).len(), MAX_NAME);
    }
}
