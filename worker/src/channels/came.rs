//! What came with a message: fetched over the supervisor where it is not in the message itself, put into the agent's workspace, and told of in
//! the message. Nothing of it is read here.

use std::time::Duration;

use networks::Attachment;
use tokio::time::Instant;
use types::Chain;

use super::{Heard, short};
use crate::service::Core;
use crate::tools;

/// How long all attachments of one message may take: the supervisor waits for the message meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);

/// The folder of the workspace into which they are put.
const FOLDER: &str = "inbound";

/// The longest name that is kept, in letters.
const MAX_NAME: usize = 64;

/// Puts what came with a message into the workspace; gives what the model is told of it.
pub(super) async fn fetch(core: &Core, heard: &Heard) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    let mut left = heard.network.is.media.inward;
    let mut notes = Vec::new();
    for (at, attachment) in heard.message.attachments.iter().enumerate() {
        let shown = attachment.name.as_deref().or(attachment.media_type.as_deref());
        let shown = short(shown.unwrap_or("a file"));
        let taken = take(core, heard, (at, attachment), left);
        let taken = tokio::time::timeout_at(until, taken).await;
        notes.push(match taken {
            Ok(Ok((path, bytes))) => {
                left = left.saturating_sub(bytes);
                format!(
                    "[With the message came {shown}: {bytes} bytes, in the workspace as {path}.]"
                )
            }
            Ok(Err(why)) => format!("[With the message came {shown}, which is not here: {why}.]"),
            Err(_elapsed) => {
                format!("[With the message came {shown}, which is not here: it took too long.]")
            }
        });
    }
    notes
}

async fn take(
    core: &Core,
    heard: &Heard,
    (at, attachment): (usize, &Attachment),
    most: u64,
) -> Result<(String, u64), String> {
    if attachment.size.is_some_and(|size| size > most) {
        return Err(format!("it is larger than the {most} bytes that are taken"));
    }
    let bytes = if let Some(bytes) = attachment.bytes() {
        bytes
    } else {
        let (handle, reference) = (&heard.event.handle, &attachment.reference);
        let fetched = core.attachments.fetch(handle, reference, most).await;
        fetched.map_err(|status| status.message().to_owned())?
    };
    let path = format!("{FOLDER}/{}", name(&heard.message.id, at, attachment));
    let (agent, kept) = (heard.key.agent().clone(), path.clone());
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > most {
        return Err(format!("it is larger than the {most} bytes that are taken"));
    }
    let put = core.store.job(move |root| Ok(tools::put(root, &agent, &kept, &bytes))).await;
    put.map_err(|err| Chain(&err).to_string())??;
    Ok((path, size))
}

/// The name of a file: of the message, so that the same message again writes the same file, and of what
/// the sender calls it, as far as that is a plain name.
fn name(message: &str, at: usize, attachment: &Attachment) -> String {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|it| it.is_ascii_alphanumeric() || "._-".contains(*it));
        letters.collect::<String>().trim_start_matches('.').to_owned()
    };
    let last = |text: String| text.chars().rev().take(MAX_NAME).collect::<Vec<_>>();
    let called = plain(attachment.name.as_deref().unwrap_or_default());
    let called: String = last(called).into_iter().rev().collect();
    let kind = attachment.media_type.as_deref().and_then(|it| it.split_once('/'));
    let called = match (called.as_str(), kind) {
        ("", Some((_, kind))) => format!("file.{}", plain(kind)),
        ("", None) => "file".to_owned(),
        _ => called,
    };
    let message: String = last(plain(message)).into_iter().rev().collect();
    format!("{message}-{at}-{called}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        let check = |message: &str, called: Option<&str>, kind: Option<&str>, want: &str| {
            let attachment = Attachment {
                name: called.map(str::to_owned),
                media_type: kind.map(str::to_owned),
                ..Attachment::default()
            };
            assert_eq!(name(message, 1, &attachment), want, "{message} {called:?}");
        };
        check("7", Some("a.png"), None, "7-1-a.png");
        check("../7", Some("../../.ssh/id"), None, "7-1-sshid");
        check("$x:y", None, Some("image/png"), "xy-1-file.png");
        check("", Some("\u{202e}gnp.exe\n"), None, "-1-gnp.exe");
        check("7", Some("…"), None, "7-1-file");
        let long = "x".repeat(300);
        check("7", Some(&long), None, &format!("7-1-{}", "x".repeat(MAX_NAME)));
    }
}
