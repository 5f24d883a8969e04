//! Slash commands: a form over HTTP, and the same as JSON through a socket.

use networks::{What, form};

use crate::facts::{Done, Facts, Kind, Place, Room, Unreadable, opening};

/// A command, whichever way it came.
#[derive(Default)]
pub(super) struct Command {
    pub(super) account: String,
    pub(super) space: Option<String>,
    pub(super) command: Option<String>,
    pub(super) text: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) user: Option<String>,
    pub(super) trigger: Option<String>,
}

/// The account that a payload names: the app in its workspace.
pub(super) fn account(app: Option<&str>, team: Option<&str>) -> Result<String, Unreadable> {
    let app = app.ok_or(Unreadable::Missing("api_app_id"))?;
    let team = team.ok_or(Unreadable::Missing("team_id"))?;
    Ok(format!("{app}:{team}"))
}

pub(super) fn form_command(body: &[u8]) -> Result<Facts, Unreadable> {
    let (mut app, mut it) = (None, Command::default());
    for (field, value) in form::fields(body) {
        let slot = match field.as_str() {
            "api_app_id" => &mut app,
            "team_id" => &mut it.space,
            "channel_id" => &mut it.channel,
            "user_id" => &mut it.user,
            "trigger_id" => &mut it.trigger,
            "command" => &mut it.command,
            "text" => &mut it.text,
            _ => continue,
        };
        *slot = Some(value);
    }
    it.account = account(app.as_deref(), it.space.as_deref())?;
    command(it)
}

pub(super) fn command(it: Command) -> Result<Facts, Unreadable> {
    let command = it.command.ok_or(Unreadable::Missing("command"))?;
    let channel = it.channel.ok_or(Unreadable::Missing("channel_id"))?;
    let kind = if channel.starts_with('D') { Kind::Direct } else { Kind::Channel };
    let text = it.text.filter(|it| !it.is_empty()).map(|it| format!(" {it}")).unwrap_or_default();
    let done = Done {
        what: What::Said,
        room: Room { kind, id: channel.clone(), thread: None, space: it.space },
        sender: it.user.ok_or(Unreadable::Missing("user_id"))?,
        is_bot: false,
        is_addressed: true,
        opening: opening(&format!("{command}{text}")),
        place: Place { room: channel, thread: None, reply: None },
    };
    let event = it.trigger.ok_or(Unreadable::Missing("trigger_id"))?;
    Facts { account: Some(it.account), event, done: Some(done) }.bounded()
}
