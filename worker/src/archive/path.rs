//! What the path of a member and the target of a link may be. Pure: nothing is looked up.

use super::{FORMAT, INDEX, MAX_DEPTH, MAX_NAME, MAX_PATH, Refusal};

/// The path of a member as names, none of which can mean anything but itself.
pub(super) fn names(path: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    if path.len() > MAX_PATH {
        return Err(Refusal::LongPath);
    }
    if path.contains(&0) {
        return Err(Refusal::Nul);
    }
    if path.first() == Some(&b'/') {
        return Err(Refusal::Absolute);
    }
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    for name in &names {
        match *name {
            b"" => return Err(Refusal::EmptyName),
            b"." | b".." => return Err(Refusal::Dots),
            name if name.len() > MAX_NAME => return Err(Refusal::LongName),
            _ => {}
        }
    }
    if names.len() > MAX_DEPTH {
        return Err(Refusal::Depth);
    }
    if path == FORMAT || path == INDEX {
        return Err(Refusal::Reserved);
    }
    Ok(names)
}

/// Whether a link stays inside, wherever the links that it passes through lead: it may climb first,
/// from where it is and not beyond the root, and then only descend. Descending through another link
/// is as good as that link is. Climbing after it is not, for the parent of where a link leads is not
/// where the link is.
pub(super) fn check_target(target: &[u8], depth: usize) -> Result<(), Refusal> {
    if target.is_empty() {
        return Err(Refusal::EmptyLink);
    }
    if target.len() > MAX_PATH {
        return Err(Refusal::LongPath);
    }
    if target.contains(&0) {
        return Err(Refusal::Nul);
    }
    if target.first() == Some(&b'/') {
        return Err(Refusal::AbsoluteLink);
    }
    let (mut climbed, mut descended) = (0, false);
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if descended => return Err(Refusal::LeavingLink),
            b".." => climbed += 1,
            name if name.len() > MAX_NAME => return Err(Refusal::LongName),
            _ => descended = true,
        }
    }
    if climbed > depth { Err(Refusal::LeavingLink) } else { Ok(()) }
}

/// The directories that are open: each was made by the member before and is not left yet, so that
/// every other member is in one of them, and none is ever reached through a link.
#[derive(Debug, Default)]
pub(super) struct Open(Vec<Vec<u8>>);

impl Open {
    /// How many of the open directories remain when a member of this path comes.
    pub(super) fn kept(&self, names: &[&[u8]]) -> Result<usize, Refusal> {
        let above = names.split_last().map_or(&[][..], |(_, above)| above);
        let same = self.0.iter().zip(above).take_while(|(open, name)| open == *name).count();
        if same == above.len() { Ok(same) } else { Err(Refusal::NoDirectory) }
    }

    /// Leaves all but the outermost.
    pub(super) fn leave(&mut self, kept: usize) {
        self.0.truncate(kept);
    }

    /// A directory was made in the innermost.
    pub(super) fn enter(&mut self, name: &[u8]) {
        self.0.push(name.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_climb_first_and_no_further_than_the_root() {
        let check = |target: &str, depth, expected| {
            assert_eq!(check_target(target.as_bytes(), depth), expected, "{target}");
        };
        check("a/b", 0, Ok(()));
        check("./a//b/", 0, Ok(()));
        check("../../a", 2, Ok(()));
        check("..", 1, Ok(()));
        check("..", 0, Err(Refusal::LeavingLink));
        check("../../a", 1, Err(Refusal::LeavingLink));
        check("a/../b", 3, Err(Refusal::LeavingLink));
        check("/a", 3, Err(Refusal::AbsoluteLink));
        check("", 3, Err(Refusal::EmptyLink));
        check("a\0b", 3, Err(Refusal::Nul));
    }
}
