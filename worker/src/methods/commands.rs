//! `commands.list`: the table of commands, as clients want it.

use api::ApiError;
use api::commands::{Argument, Choice, Command, CommandList, Commands, ListParams, Scope};

use super::Call;
use crate::agent::command::{self, COMMANDS};

impl Commands for Call<'_> {
    async fn list(&self, params: ListParams) -> Result<CommandList, ApiError> {
        let with_args = params.include_args != Some(false);
        // Every command can be used everywhere, so that no scope leaves one out.
        let shown = params.scope.unwrap_or(Scope::Both);
        let commands = COMMANDS.iter().map(|command| shape(command, with_args, shown)).collect();
        Ok(CommandList { commands })
    }
}

fn shape(command: &'static command::Command, with_args: bool, shown: Scope) -> Command {
    let names = std::iter::once(&command.name).chain(command.aliases);
    let text_aliases = match shown {
        Scope::Native => Vec::new(),
        Scope::Text | Scope::Both => names.map(|name| format!("/{name}")).collect(),
    };
    let argument = command.argument.as_ref();
    Command {
        name: command.name,
        native_name: command.name,
        text_aliases,
        description: command.description,
        category: command.category,
        source: "native",
        scope: Scope::Both,
        accepts_args: argument.is_some(),
        args: argument.filter(|_| with_args).map(shape_of_argument).into_iter().collect(),
    }
}

fn shape_of_argument(argument: &'static command::Argument) -> Argument {
    let choice = |value: &&'static str| Choice { value, label: value };
    Argument {
        name: argument.name,
        description: argument.description,
        r#type: "string",
        required: false,
        choices: argument.choices.iter().map(choice).collect(),
    }
}
