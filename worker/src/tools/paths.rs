//! Paths as models and programs in sandboxes see them: `/workspace` and `/home/agent`.
//!
//! Pure: a place is where a file would be. Opening it is for `files`.

use types::AgentId;

use super::Failure;

/// Bytes of a path, as the kernel takes it.
pub(super) const MAX_PATH: usize = 4096;
/// Bytes of one name, as the kernel takes it.
const MAX_NAME: usize = 255;
/// Directories within each other; each is a system call and a descriptor.
const MAX_DEPTH: usize = 64;
/// Where programs see the workspace of their agent.
const WORKSPACE: &str = "/workspace";
/// Where programs see the tenant's home.
const HOME: &str = "/home/agent";

/// Which of the two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    /// The agent's own.
    Workspace,
    /// The tenant's, the same for all its agents.
    Home,
}

/// A place in one of the two directories. It has no `.` and no `..`, and is exact because no link
/// is followed on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    root: Root,
    names: Vec<String>,
}

impl Root {
    /// Where programs see it.
    pub(super) const fn shown(self) -> &'static str {
        match self {
            Self::Workspace => WORKSPACE,
            Self::Home => HOME,
        }
    }

    /// Where the worker has it, beneath the tenant's root.
    pub(super) fn path(self, agent: &AgentId) -> String {
        match self {
            Self::Workspace => crate::agents::workspace_path(agent),
            Self::Home => crate::tools::HOME.to_owned(),
        }
    }
}

impl Place {
    /// The workspace itself.
    pub(super) const fn workspace() -> Self {
        Self { root: Root::Workspace, names: Vec::new() }
    }

    /// The place that `text`, the argument `name`, means; relative to the workspace.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        Self::workspace().join(name, text)
    }

    /// The place that `text` means, seen from this directory.
    pub(super) fn join(&self, name: &str, text: &str) -> Result<Self, Failure> {
        if text.is_empty() || text.len() > MAX_PATH || text.contains('\0') {
            let what = format!("{name} must be a path of 1 to {MAX_PATH} bytes without NUL");
            return Err(Failure::Invalid(what));
        }
        let (mut place, rest) = self.start(name, text)?;
        for part in rest.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(place.names.pop().ok_or_else(|| outside(name))?),
                part if part.len() > MAX_NAME => {
                    let what = format!("{name} has a part of more than {MAX_NAME} bytes");
                    return Err(Failure::Invalid(what));
                }
                part => place.names.push(part.to_owned()),
            }
            if place.names.len() > MAX_DEPTH {
                let what = format!("{name} has more than {MAX_DEPTH} directories");
                return Err(Failure::Invalid(what));
            }
        }
        Ok(place)
    }

    /// Where `text` starts, and what follows.
    fn start<'a>(&self, name: &str, text: &'a str) -> Result<(Self, &'a str), Failure> {
        for (root, prefix) in [(Root::Workspace, WORKSPACE), (Root::Home, HOME), (Root::Home, "~")]
        {
            let rest = text.strip_prefix(prefix);
            if let Some(rest) = rest.filter(|it| it.is_empty() || it.starts_with('/')) {
                return Ok((Self { root, names: Vec::new() }, rest));
            }
        }
        if text.starts_with('/') {
            return Err(outside(name));
        }
        Ok((self.clone(), text))
    }

    /// Which directory it is in.
    pub(super) const fn root(&self) -> Root {
        self.root
    }

    /// The directories on the way, and the last name; none where it is the directory itself.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        self.names.split_last().map(|(last, parents)| (parents, last.as_str()))
    }

    /// The names below the directory.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// As programs see it.
    pub(super) fn shown(&self) -> String {
        let mut shown = self.root.shown().to_owned();
        for name in &self.names {
            shown.push('/');
            shown.push_str(name);
        }
        shown
    }
}

fn outside(name: &str) -> Failure {
    Failure::Refused(format!("{name} must be in {WORKSPACE} or {HOME}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_sandbox_and_do_not_leave() {
        let check = |text: &str, shown: Result<&str, &str>| {
            let place = Place::parse("path", text).map(|it| it.shown());
            let place = place.as_deref().map_err(ToString::to_string);
            assert_eq!(place, shown.map_err(ToOwned::to_owned), "{text}");
        };
        let outside = Err("path must be in /workspace or /home/agent");
        check("a/./b//c", Ok("/workspace/a/b/c"));
        check("/workspace", Ok("/workspace"));
        check("/workspace/a/../b", Ok("/workspace/b"));
        check("/home/agent/x", Ok("/home/agent/x"));
        check("~/x", Ok("/home/agent/x"));
        check("~other/x", Ok("/workspace/~other/x"));
        check("/workspaces/x", outside);
        check("/etc/passwd", outside);
        check("../x", outside);
        check("a/../../x", outside);
        check("/home/agent/../other", outside);
        check("", Err("path must be a path of 1 to 4096 bytes without NUL"));
        check("a\0b", Err("path must be a path of 1 to 4096 bytes without NUL"));
        check(&"x".repeat(256), Err("path has a part of more than 255 bytes"));
        check(&"x/".repeat(65), Err("path has more than 64 directories"));
        let sub = Place::parse("path", "sub").unwrap();
        assert_eq!(sub.join("path", "../x").unwrap().shown(), "/workspace/x");
        assert_eq!(sub.join("path", "y").unwrap().shown(), "/workspace/sub/y");
    }

    proptest! {
        #[test]
        fn no_text_leads_out(text in "[a./~\\\\ ]{0,40}") {
            if let Ok(place) = Place::parse("path", &text) {
                prop_assert!(place.names().iter().all(|it| it != ".." && it != "." && !it.is_empty()));
            }
        }
    }
}
