//! What somebody is asked about: one command to its last byte, and the digest that stands for it.

use ring::digest::{Context, SHA256};
use types::AgentId;

/// What the digest begins with: nothing else that is hashed reads as a command.
const DOMAIN: &[u8] = b"openclawmu command 1\0";

/// A command as it will run.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whose.
    pub agent: &'a AgentId,
    /// The program and its arguments, without NUL; at least one word.
    pub argv: &'a [String],
    /// Every variable that it gets beside the sandbox's own.
    pub env: &'a [Variable<'a>],
    /// Where it runs, as it will be.
    pub cwd: &'a str,
    /// The files that arguments name, and what they will be.
    pub files: &'a [Bound],
    /// For people: in which session.
    pub session_key: &'a str,
    /// For people: in which run.
    pub run_id: &'a str,
    /// For people: by which call.
    pub tool_call_id: &'a str,
}

/// A variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Whether nobody may see the value.
    pub secret: bool,
}

impl<'a> Variable<'a> {
    /// Its name, and its value unless nobody may see it.
    pub(crate) fn shown(&self) -> (&'a str, Option<&'a str>) {
        (self.name, (!self.secret).then_some(self.value))
    }
}

/// A file that an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Which word of the command names it.
    pub argument: u32,
    /// What it must be when it is run.
    pub sha256: [u8; 32],
}

/// What stands for one command: two that differ in a byte differ in this.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandDigest([u8; 32]);

impl std::fmt::Debug for CommandDigest {
    /// Not the value: variables that nobody may see are in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommandDigest")
    }
}

impl Ask<'_> {
    /// What stands for the command: agent, words, variables, directory and files. Every part has its
    /// length before it, so that nothing reads as anything else.
    pub fn digest(&self) -> CommandDigest {
        let mut all = Encoding(Context::new(&SHA256));
        all.0.update(DOMAIN);
        all.text(self.agent.as_str());
        all.count(self.argv.len());
        self.argv.iter().for_each(|word| all.text(word));
        all.count(self.env.len());
        for variable in self.env {
            all.text(variable.name);
            all.text(variable.value);
        }
        all.text(self.cwd);
        all.count(self.files.len());
        for file in self.files {
            all.0.update(&file.argument.to_be_bytes());
            all.0.update(&file.sha256);
        }
        all.finish()
    }

    /// The program's word.
    pub(crate) fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// What the word with this number must be, if it names a file.
    pub(crate) fn bound(&self, argument: usize) -> Option<&[u8; 32]> {
        let argument = u32::try_from(argument).ok()?;
        self.files.iter().find(|file| file.argument == argument).map(|file| &file.sha256)
    }
}

struct Encoding(Context);

impl Encoding {
    fn count(&mut self, count: usize) {
        self.0.update(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn finish(self) -> CommandDigest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        CommandDigest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Command {
        agent: &'static str,
        argv: Vec<String>,
        env: Vec<(&'static str, &'static str)>,
        cwd: &'static str,
        files: Vec<Bound>,
    }

    impl Command {
        fn digest(&self) -> CommandDigest {
            let agent = self.agent.parse().unwrap();
            let variable = |&(name, value)| Variable { name, value, secret: false };
            let env: Vec<_> = self.env.iter().map(variable).collect();
            Ask {
                agent: &agent,
                argv: &self.argv,
                env: &env,
                cwd: self.cwd,
                files: &self.files,
                session_key: "",
                run_id: "",
                tool_call_id: "",
            }
            .digest()
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn whatever_differs_has_another_digest() {
        let command = Command {
            agent: "main",
            argv: words(&["git", "push"]),
            env: vec![("A", "b")],
            cwd: "/workspace",
            files: vec![Bound { argument: 1, sha256: [7; 32] }],
        };
        let mut seen = vec![command.digest()];
        assert_eq!(seen, [command.clone().digest()]);
        let mut check = |change: &dyn Fn(&mut Command)| {
            let mut other = command.clone();
            change(&mut other);
            let digest = other.digest();
            assert!(!seen.contains(&digest));
            seen.push(digest);
        };
        check(&|it| it.agent = "other");
        check(&|it| it.argv = words(&["git", "pusH"]));
        check(&|it| it.argv = words(&["git push"]));
        check(&|it| it.argv = words(&["git", "push", ""]));
        check(&|it| it.argv = words(&["gitp", "ush"]));
        check(&|it| it.env = vec![]);
        check(&|it| it.env = vec![("A", "B")]);
        check(&|it| it.env = vec![("Ab", "")]);
        check(&|it| it.env = vec![("A", "b"), ("A", "b")]);
        check(&|it| it.cwd = "/workspace/");
        check(&|it| it.files = vec![]);
        check(&|it| it.files[0].argument = 0);
        check(&|it| it.files[0].sha256[31] = 6);
    }
}
