//! A command line as what the supervisor runs, with the files that it names bound to their content.
//!
//! What a person agrees to must be what runs. Where somebody may have to agree, the files of the
//! workspace that are words of the command are bound by digest; a shell could be told to run a
//! file in more ways than can be read here, so that it then may name none.

use std::io::Read as _;

use proto::host::{BoundFile, Command, Size, Variable};
use ring::digest;
use types::AgentId;

use super::words::{self, Line};
use crate::store::Dir;
use crate::tools::files;
use crate::tools::paths::Place;
use crate::tools::{Context, Failure};

/// Bytes of one file that is bound, and how many may be.
const MAX_FILE: u64 = 64 << 20;
const MAX_FILES: usize = 64;
/// Parts of a shell text that are compared with the names of files.
const MAX_PARTS: usize = 4096;
/// Bytes that are read at once for a digest.
const BLOCK: usize = 64 << 10;

/// A command as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) folder: Place,
    pub(super) env: Vec<(String, String)>,
    pub(super) timeout_s: u32,
    pub(super) terminal: Option<Size>,
}

/// Builds the command. `is_bound`: whether somebody may have to agree.
pub(super) async fn prepare(
    context: &Context,
    asked: &Asked,
    is_bound: bool,
) -> Result<Command, Failure> {
    let (agent, asked) = (context.key.agent().clone(), asked.clone());
    let mut command = files::job(context, move |root| {
        files::check_folder(root, &agent, &asked.folder)?;
        let (argv, files) = match words::split(&asked.line) {
            Line::Words(argv) if is_bound => {
                let files = bound(root, &agent, &asked.folder, &argv)?;
                (argv, files)
            }
            Line::Words(argv) => (argv, Vec::new()),
            Line::Shell => {
                if is_bound {
                    names_no_file(root, &agent, &asked)?;
                }
                let argv = ["bash".to_owned(), "-c".to_owned(), asked.line];
                (argv.to_vec(), Vec::new())
            }
        };
        let env = asked.env.into_iter().map(|(name, value)| Variable { name, value }).collect();
        let (cwd, timeout_s, terminal) = (asked.folder.shown(), asked.timeout_s, asked.terminal);
        let agent = agent.to_string();
        Ok(Command { agent, argv, env, cwd, timeout_s, terminal, files, ..Command::default() })
    })
    .await?;
    context.key.as_str().clone_into(&mut command.session_key);
    command.run_id.clone_from(&context.run_id);
    command.tool_call_id.clone_from(&context.call_id);
    command.request_id.clone_from(&context.run_id);
    Ok(command)
}

/// The files that words of the command name, each with its digest.
fn bound(
    root: &Dir,
    agent: &AgentId,
    folder: &Place,
    argv: &[String],
) -> Result<Vec<BoundFile>, Failure> {
    let mut files = Vec::new();
    for (index, word) in argv.iter().enumerate() {
        // A program without a slash is looked for among the installed ones, not in the workspace.
        if index == 0 && !word.contains('/') {
            continue;
        }
        let Some(place) = file(root, agent, folder, word) else { continue };
        if files.len() == MAX_FILES {
            let what = format!("command names more than {MAX_FILES} files, and must be approved");
            return Err(Failure::Refused(what));
        }
        let argument = u32::try_from(index).unwrap_or(u32::MAX);
        files.push(BoundFile { argument, sha256: digest_of(root, agent, &place)? });
    }
    Ok(files)
}

/// Refuses a shell text that names a file: what it would run cannot be bound.
fn names_no_file(root: &Dir, agent: &AgentId, asked: &Asked) -> Result<(), Failure> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "|&;<>()$`\"'={}[],:".contains(c);
    let parts: Vec<_> = asked.line.split(ends).filter(|it| !it.is_empty()).collect();
    if parts.len() > MAX_PARTS {
        let what = format!("command has more than {MAX_PARTS} words, and must be approved");
        return Err(Failure::Refused(what));
    }
    let found = parts.iter().find_map(|part| file(root, agent, &asked.folder, part));
    let Some(place) = found else { return Ok(()) };
    Err(Failure::Refused(format!(
        "commands must be approved here, and a shell that names {} cannot be: run the file \
         directly, as a plain command without shell syntax",
        place.shown()
    )))
}

/// The place that `word` names, if there is a regular file.
fn file(root: &Dir, agent: &AgentId, folder: &Place, word: &str) -> Option<Place> {
    let place = folder.join("command", word).ok()?;
    files::is_file(root, agent, &place).then_some(place)
}

fn digest_of(root: &Dir, agent: &AgentId, place: &Place) -> Result<String, Failure> {
    let broken = |err: std::io::Error| {
        tracing::debug!(error = %err, "a file could not be bound");
        Failure::Failed(format!("{} cannot be read", place.shown()))
    };
    let mut file = files::open(root, agent, place)?.take(MAX_FILE + 1);
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut block = vec![0; BLOCK];
    let mut size = 0;
    loop {
        let read = file.read(&mut block).map_err(broken)?;
        if read == 0 {
            break;
        }
        size += u64::try_from(read).unwrap_or(u64::MAX);
        digest.update(block.get(..read).unwrap_or_default());
    }
    if size > MAX_FILE {
        let shown = place.shown();
        let what = format!("{shown} is larger than {MAX_FILE} bytes, too large to be approved");
        return Err(Failure::Refused(what));
    }
    let mut hex = String::with_capacity(64);
    for byte in digest.finish().as_ref() {
        for half in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(half.into(), 16));
        }
    }
    Ok(hex)
}
