//! `IDENTITY.md`: what is set for an agent, so that the agent itself knows it. The rest of the file
//! is the tenant's and stays.

use super::AgentSettings;
use super::files::MAX_FILE;
use crate::Error;
use crate::store::Dir;

const FILE: &str = "IDENTITY.md";

/// Writes what has changed into the file: the line of each field, or a new one at the end.
pub(super) fn mirror(
    workspace: &Dir,
    before: &AgentSettings,
    after: &AgentSettings,
) -> Result<(), Error> {
    let max = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let read = workspace.read_start(FILE, max).map_err(Error::io("read IDENTITY.md"))?;
    // A link or a folder of that name is left alone.
    if read.is_none() && workspace.is_taken(FILE).map_err(Error::io("read IDENTITY.md"))? {
        return Ok(());
    }
    let Ok(old) = String::from_utf8(read.unwrap_or_default()) else { return Ok(()) };
    let mut text = old.clone();
    let fields = [
        ("Name", &before.name, &after.name),
        ("Emoji", &before.emoji, &after.emoji),
        ("Avatar", &before.avatar, &after.avatar),
    ];
    for (label, before, after) in fields {
        if before != after {
            text = with(&text, label, after.as_deref());
        }
    }
    if text == old || text.len() > MAX_FILE {
        return Ok(());
    }
    workspace.replace(FILE, text.as_bytes()).map_err(Error::io("write IDENTITY.md"))
}

/// The text with the line of `label` saying `value`, or without it.
fn with(text: &str, label: &str, value: Option<&str>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| is_of(line, label));
    // A line break in a value would begin a line of its own.
    let value = value.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
    match (at, value) {
        (Some(at), Some(value)) => {
            lines.splice(at..=at, [format!("- {label}: {value}")]);
        }
        (Some(at), None) => drop(lines.remove(at)),
        (None, Some(value)) => lines.push(format!("- {label}: {value}")),
        (None, None) => {}
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// Whether a line says what `label` is, for example `- **Name:** Ada`.
fn is_of(line: &str, label: &str) -> bool {
    let plain: String = line.chars().filter(|c| !matches!(c, '*' | '_')).collect();
    let plain = plain.trim().trim_start_matches('-').trim();
    plain.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_in_place_of_those_that_say_the_same() {
        let check = |text: &str, value: Option<&str>, wanted: &str| {
            assert_eq!(with(text, "Name", value), wanted);
        };
        check("# Who\n", Some("Ada"), "# Who\n- Name: Ada\n");
        check("- **Name:** _pick one_\n- Vibe: calm\n", Some("Ada"), "- Name: Ada\n- Vibe: calm\n");
        check("- Name: Ada\n", None, "\n");
        check("x", Some("A\n- Emoji: b"), "x\n- Name: A - Emoji: b\n");
        check("Names: many\n", None, "Names: many\n");
    }
}
