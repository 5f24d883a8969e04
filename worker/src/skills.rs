//! Skills of the tenant's agents: found in three places, judged by what they need, told to the
//! model by name and description.
//!
//! Nothing of a skill is run here, and no value of a key or variable is known here.

mod cache;
mod file;
mod front;
mod gate;
mod scan;
mod settings;

use api::skills::{Problem, StatusReport};
use types::AgentId;

use crate::Error;
use crate::service::Core;
use scan::Found;

pub(crate) use cache::Cache;
pub use file::{InvalidSkill, SkillFile};
pub use front::InvalidFront;
pub(crate) use settings::SkillSettings;

/// Skills that a model is told of.
const MAX_TOLD: usize = 150;

/// Bytes of what a model is told of skills.
const MAX_TOLD_BYTES: usize = 30_000;

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
        Ok((skills, _)) => told(&skills),
        Err(err) => {
            tracing::error!(error = %types::Chain(&err), "the skills cannot be read");
            String::new()
        }
    }
}

type Judged = (Vec<api::skills::SkillStatus>, Vec<Problem>);

async fn judged(core: &Core, agent: &AgentId) -> Result<Judged, Error> {
    let (cache, of) = (core.skills.clone(), agent.clone());
    let now = core.live.now();
    let platform = std::sync::Arc::clone(&now.skills);
    let job = move |root: &crate::store::Dir| cache.look(root, &of, &platform);
    let look = core.store.job(job).await?;
    if look.changed {
        let payload = serde_json::json!({"agentId": agent, "ts": core.store.now()});
        core.events.emit("skills.changed", "", &payload);
    }
    Ok(judge(look.found, &now))
}

/// One skill per name: the places come in the order in which they hide each other.
fn judge(found: Vec<Found>, now: &crate::settings::Current) -> Judged {
    let gate = gate::Gate::new(now);
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

fn told(skills: &[api::skills::SkillStatus]) -> String {
    let mut list = String::new();
    let mut left_out = 0;
    for (count, skill) in skills.iter().filter(|skill| skill.model_visible).enumerate() {
        let one = format!(
            "  <skill>\n    <name>{}</name>\n    <description>{}</description>\n    \
             <location>{}</location>\n  </skill>\n",
            plain(&skill.name),
            plain(&skill.description),
            plain(&skill.file_path)
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

/// Text that closes no tag.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
