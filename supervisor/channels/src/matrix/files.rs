//! Files that a homeserver is sent: first into its content repository, and then a message that names where
//! that has it. <https://spec.matrix.org/v1.15/client-server-api/#content-repository>

use serde::{Deserialize, Serialize};

use super::{Outgoing, content, put};
use crate::adapter::{Answer, Call, Carries, Enclosed, Letter, Method, Outcome, Proof, Step};
use crate::answer;

/// Milliseconds after which one begins anew where the server did not say where it has the file.
const AGAIN_MS: u64 = 5_000;

/// What a message says of its file.
#[derive(Debug, Serialize)]
pub(super) struct Filed<'a> {
    filename: &'a str,
    url: String,
    info: Info<'a>,
}

#[derive(Debug, Serialize)]
struct Info<'a> {
    mimetype: &'a str,
    size: u64,
}

#[derive(Default, Deserialize)]
struct Kept {
    content_uri: Option<String>,
}

pub(super) fn upload(letter: Letter<'_>, file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
    let Some(kept) = before.first() else {
        let path = format!("/_matrix/media/v3/upload?filename={}", answer::piece(&file.is.name));
        let (method, proof) = (Method::Post, Proof::Header("Bearer "));
        return Step::Before(Call { method, path, body: Vec::new(), proof }, Carries::File);
    };
    let kept: Kept = answer::body(Answer { status: 200, retry_after: None, body: kept });
    let Some(url) = kept.content_uri.filter(|it| it.starts_with("mxc://")) else {
        // Whoever answered that has the file at most, and nobody sees it.
        return Step::Over(Outcome::Wait(AGAIN_MS));
    };
    if before.len() > 1 {
        return Step::Over(Outcome::Refused("it is said already".to_owned()));
    }
    let info = Info { mimetype: &file.is.media_type, size: file.is.size };
    let said = Outgoing {
        msgtype: kind(&file.is.media_type),
        body: &file.is.name,
        file: Some(Filed { filename: &file.is.name, url, info }),
        ..content(letter)
    };
    Step::Last(put(letter, &said), Carries::Own)
}

/// What people's programs show it as. What only looks like a picture is offered as a file.
fn kind(media_type: &str) -> &'static str {
    match media_type.split_once('/') {
        Some(("image", kind)) if kind != "svg+xml" => "m.image",
        Some(("audio", _)) => "m.audio",
        Some(("video", _)) => "m.video",
        _ => "m.file",
    }
}
