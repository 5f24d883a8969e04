//! Commands: messages that begin with a slash and that the gateway answers itself.
//!
//! One table, which `commands.list` shows as well; what each does is in `command/perform.rs`.

mod perform;

pub(super) use perform::{Done, now, perform, store};

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Without the slash.
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    /// One sentence.
    pub(crate) description: &'static str,
    /// The protocol's word for where clients list it.
    pub(crate) category: &'static str,
    /// What may follow it.
    pub(crate) argument: Option<Argument>,
    kind: Kind,
}

/// What may follow a command; nothing has to.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// What it may be; anything if empty.
    pub(crate) choices: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Help,
    Status,
    Whoami,
    Usage,
    New,
    Compact,
    Stop,
    Model,
    Think,
    Queue,
}

const fn plain(
    name: &'static str,
    aliases: &'static [&'static str],
    category: &'static str,
    kind: Kind,
    description: &'static str,
) -> Command {
    Command { name, aliases, description, category, argument: None, kind }
}

/// Every command.
pub(crate) const COMMANDS: &[Command] = &[
    plain("help", &["commands"], "status", Kind::Help, "Lists the commands."),
    plain("status", &[], "status", Kind::Status, "Shows how this session is set up."),
    plain("whoami", &["id"], "status", Kind::Whoami, "Shows who you are to the gateway."),
    plain("usage", &[], "status", Kind::Usage, "Shows the tokens that this session has used."),
    plain("new", &["reset"], "session", Kind::New, "Begins this session anew.").with(Argument {
        name: "message",
        description: "The first message.",
        choices: &[],
    }),
    plain("compact", &[], "session", Kind::Compact, "Replaces older messages by a summary.")
        .with(Argument { name: "focus", description: "What to pay attention to.", choices: &[] }),
    plain("stop", &["abort"], "session", Kind::Stop, "Stops what runs in this session."),
    plain("model", &["models"], "options", Kind::Model, "Shows or chooses the model.").with(
        Argument { name: "model", description: "PROVIDER/MODEL, or `default`.", choices: &[] },
    ),
    plain(
        "think",
        &["thinking", "t"],
        "options",
        Kind::Think,
        "Shows or sets how much the model thinks.",
    )
    .with(Argument {
        name: "level",
        description: "How much.",
        choices: api::models::THINKING_OPTIONS,
    }),
    plain(
        "queue",
        &[],
        "options",
        Kind::Queue,
        "Shows or sets what happens to a message that comes during a run.",
    )
    .with(Argument {
        name: "mode",
        description: "How it is queued.",
        choices: &["steer", "followup", "collect", "interrupt", "default"],
    }),
];

impl Command {
    const fn with(self, argument: Argument) -> Self {
        let Self { name, aliases, description, category, argument: _, kind } = self;
        Self { name, aliases, description, category, argument: Some(argument), kind }
    }

    /// Whether it stops what runs in its session.
    pub(super) fn stops(&self) -> bool {
        matches!(self.kind, Kind::Stop | Kind::New)
    }

    /// Whether it is answered although a run of its session goes on.
    pub(super) fn is_instant(&self) -> bool {
        matches!(self.kind, Kind::Help | Kind::Status | Kind::Whoami | Kind::Usage | Kind::Stop)
    }
}

/// The command that a message is, and what follows it.
pub(super) fn parse(message: &str) -> Option<(&'static Command, &str)> {
    let rest = message.trim().strip_prefix('/')?;
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let word = word.strip_suffix(':').unwrap_or(word).to_ascii_lowercase();
    let is_it = |command: &&Command| command.name == word || command.aliases.contains(&&*word);
    Some((COMMANDS.iter().find(is_it)?, argument.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_their_names() {
        let check = |message: &str, wanted: Option<(&str, &str)>| {
            let found = parse(message).map(|(command, argument)| (command.name, argument));
            assert_eq!(found, wanted, "{message}");
        };
        check("/help", Some(("help", "")));
        check(" /RESET: hello  there ", Some(("new", "hello  there")));
        check("/t high", Some(("think", "high")));
        check("/nope", None);
        check("help", None);
        check("/etc/passwd is a file", None);
        check("/", None);
    }

    #[test]
    fn no_word_means_two_commands() {
        let words = || COMMANDS.iter().flat_map(|one| one.aliases.iter().chain([&one.name]));
        let mut unique: Vec<_> = words().collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), words().count());
    }
}
