//! Skills of the tenant's agents: found in three places, judged by what they need, told to the
//! model by name and description.
//!
//! What a skill has installed is run in the tenant's sandbox; no value of a key or variable is known
//! here.

mod bins;
mod cache;
mod file;
mod front;
mod gate;
mod install;
mod run;
mod scan;
mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use api::skills::{InstallReport, Problem, SkillStatus, StatusReport};
use types::AgentId;

use crate::Error;
use crate::service::Core;
use crate::store::Dir;
use scan::Found;

pub(crate) use cache::Cache;
pub use file::{InvalidSkill, SkillFile};
pub use front::InvalidFront;
pub(crate) use settings::SkillSettings;

/// Skills that a model is told of.
const MAX_TOLD: usize = 150;

/// Bytes of what a model is told of skills.
const MAX_TOLD_BYTES: usize = 30_000;

/// Where the tool `read` finds skills that are not in the workspace, by their names.
const NAMED: &str = "/skills/";

/// The skill that a path means, where it is one of those.
pub(crate) fn named(path: &str) -> Option<&str> {
    path.strip_prefix(NAMED)?.strip_suffix(scan::FILE)?.strip_suffix('/')
}

/// Every skill of an agent with what it lacks.
pub(crate) async fn status(core: &Core, agent: &AgentId) -> Result<StatusReport, Error> {
    let (skills, problems) = judged(core, agent).await?;
    Ok(StatusReport {
        workspace_dir: format!("{}/agents/{agent}/workspace", scan::ROOT),
        managed_skills_dir: format!("{}/skills", scan::ROOT),
        agent_id: agent.to_string(),
        skills,
        problems,
    })
}

/// What a model is told of the skills that it may use; empty where there are none, or where they
/// cannot be read, which is logged: a turn without skills is better than none.
pub(crate) async fn prompt(core: &Core, agent: &AgentId) -> String {
    match judged(core, agent).await {
        Ok((skills, _)) => told(&skills, agent),
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "the skills cannot be read");
            String::new()
        }
    }
}

/// The text of a skill that has no file in the workspace, by its name; `None` where the agent has no
/// such skill or may not use it.
pub(crate) async fn text(
    core: &Core,
    agent: &AgentId,
    name: &str,
) -> Result<Option<String>, Error> {
    let (skills, _) = judged(core, agent).await?;
    let Some(skill) = skills.into_iter().find(|it| it.name == name && it.model_visible) else {
        return Ok(None);
    };
    let platform = std::sync::Arc::clone(&core.live.now().skills);
    if let Some(folder) = skill.base_dir.strip_prefix(scan::PLATFORM) {
        let found = platform.iter().find(|it| folder.strip_prefix('/') == Some(it.name.as_str()));
        return Ok(found.map(|it| String::from_utf8_lossy(&it.text).into_owned()));
    }
    let path = skill.base_dir.strip_prefix(scan::ROOT).unwrap_or_default().trim_matches('/');
    let path = path.to_owned();
    let text =
        core.store.job(move |root| scan::text(root, &path).map_err(Error::io("read a skill")));
    text.await
}

/// Installs what a skill needs, one of its ways, into the tenant's own home.
pub(crate) async fn install(
    core: &Core,
    agent: &AgentId,
    (name, way): (&str, &str),
    timeout: Duration,
) -> Result<InstallReport, Error> {
    let found = find(core, agent).await?;
    let file =
        found.iter().find_map(|it| it.file.as_ref().as_ref().ok().filter(|it| it.name == name));
    let Some(file) = file else {
        return Ok(InstallReport::failed(format!("the agent has no skill `{name}`")));
    };
    let chosen = gate::ways(file).find(|(id, _)| id == way);
    let Some((_, chosen)) = chosen else {
        return Ok(InstallReport::failed(format!(
            "skill `{name}` has no installer `{way}` for this system"
        )));
    };
    let installer = match install::installer(chosen) {
        Ok(installer) => installer,
        Err(why) => return Ok(InstallReport::failed(why)),
    };
    let ran = match run::run(core, agent, installer, (timeout, run::Approval::Awaited)).await {
        Ok(ran) => ran,
        Err(status) => return Ok(InstallReport::failed(status.message().to_owned())),
    };
    core.skills.bins().forget();
    let message = match ran.ended.reason.as_str() {
        _ if ran.is_fine() => "installed".to_owned(),
        "exit" => format!("the installer ended with code {}", ran.ended.code),
        reason => format!("the installer was ended: {reason} {}", ran.ended.detail),
    };
    Ok(InstallReport {
        ok: ran.is_fine(),
        message: message.trim_end().to_owned(),
        code: (ran.ended.reason == "exit").then_some(ran.ended.code),
        stdout: ran.stdout,
        stderr: ran.stderr,
        warnings: Vec::new(),
    })
}

/// Programs that the skills of an agent name and that its sandbox has.
pub(crate) async fn bins(core: &Core, agent: &AgentId) -> Result<Vec<String>, Error> {
    let wanted = wanted(&find(core, agent).await?);
    Ok(core.skills.bins().of(core, agent, wanted).await.into_iter().collect())
}

type Judged = (Vec<SkillStatus>, Vec<Problem>);

async fn judged(core: &Core, agent: &AgentId) -> Result<Judged, Error> {
    let found = find(core, agent).await?;
    let bins = core.skills.bins().of(core, agent, wanted(&found)).await;
    Ok(judge(found, &core.live.now(), &bins))
}

async fn find(core: &Core, agent: &AgentId) -> Result<Vec<Found>, Error> {
    let (cache, of) = (core.skills.clone(), agent.clone());
    let platform = std::sync::Arc::clone(&core.live.now().skills);
    let job = move |root: &Dir| cache.look(root, &of, &platform);
    let look = core.store.job(job).await?;
    if look.changed {
        let payload = serde_json::json!({"agentId": agent, "ts": core.store.now()});
        core.events.emit("skills.changed", "", &payload);
    }
    Ok(look.found)
}

/// The programs that skills need.
fn wanted(found: &[Found]) -> BTreeSet<String> {
    let files = found.iter().filter_map(|it| it.file.as_ref().as_ref().ok());
    let names = files.flat_map(|it| it.meta.requires.bins.iter().chain(&it.meta.requires.any_bins));
    names.cloned().collect()
}

/// One skill per name: the places come in the order in which they hide each other.
fn judge(found: Vec<Found>, now: &crate::settings::Current, bins: &BTreeSet<String>) -> Judged {
    let gate = gate::Gate::new(now, bins);
    let (mut skills, mut problems) = (Vec::new(), Vec::new());
    let mut names = std::collections::HashSet::new();
    for Found { origin, folder, file } in found {
        match &*file {
            Ok(file) if names.insert(file.name.clone()) => {
                skills.push(gate.judge(file, origin, &folder));
            }
            Ok(_hidden) => {}
            Err(invalid) => problems.push(Problem {
                file_path: format!("{folder}/{}", scan::FILE),
                message: invalid.to_string(),
            }),
        }
    }
    skills.sort_by(|one, other| one.name.cmp(&other.name));
    (skills, problems)
}

fn told(skills: &[SkillStatus], agent: &AgentId) -> String {
    let mut list = String::new();
    let mut left_out = 0;
    for (count, skill) in skills.iter().filter(|skill| skill.model_visible).enumerate() {
        let one = format!(
            "  <skill>\n    <name>{}</name>\n    <description>{}</description>\n    \
             <location>{}</location>\n  </skill>\n",
            plain(&skill.name),
            plain(&skill.description),
            plain(&location(skill, agent))
        );
        if count >= MAX_TOLD || list.len() + one.len() > MAX_TOLD_BYTES {
            left_out += 1;
            continue;
        }
        list.push_str(&one);
    }
    if list.is_empty() {
        return list;
    }
    if left_out > 0 {
        let note = format!("  <!-- {left_out} more are not shown -->\n");
        list.push_str(&note);
    }
    format!(
        "The skills below are written instructions for particular tasks. Where one of them is for \
         the task at hand, read its file before you begin, and keep to it.\n\n\
         <available_skills>\n{list}</available_skills>"
    )
}

/// Where the model finds the text: in the workspace as its tools see it, or under its name.
fn location(skill: &SkillStatus, agent: &AgentId) -> String {
    let workspace = format!("{}/agents/{agent}/workspace/", scan::ROOT);
    match skill.file_path.strip_prefix(&workspace) {
        Some(path) => format!("/workspace/{path}"),
        None => format!("{NAMED}{}/{}", skill.name, scan::FILE),
    }
}

/// Text that closes no tag.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
