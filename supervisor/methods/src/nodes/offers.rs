//! What nodes offer beside commands: tools of plugins and skills. It is held against its bounds and
//! taken note of; the gateway's agents do not use it.

use api::ApiError;
use api::nodes::{NodeSkill, NodeSkillsParams, PluginTool, PluginToolsParams};

/// Tools that one node offers.
const MAX_TOOLS: usize = 256;

/// Skills that one node offers.
const MAX_SKILLS: usize = 64;

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// The longest description of a skill, in characters.
const MAX_DESCRIPTION: usize = 1024;

/// The longest skill, in characters.
const MAX_CONTENT: usize = 65_536;

pub(super) fn tools(params: PluginToolsParams) -> Result<Vec<PluginTool>, ApiError> {
    let invalid =
        |what: &str| ApiError::invalid(format!("invalid node.pluginTools.update params: {what}"));
    if params.tools.len() > MAX_TOOLS {
        return Err(invalid(&format!("tools has at most {MAX_TOOLS} entries")));
    }
    for tool in &params.tools {
        if tool.plugin_id.is_empty() || tool.description.is_empty() {
            return Err(invalid("pluginId and description are not empty"));
        }
        if !is_tool(&tool.name) {
            return Err(invalid("name is a letter and up to 63 letters, digits, _ and -"));
        }
        if tool.parameters.as_ref().is_some_and(|it| !it.get().starts_with('{')) {
            return Err(invalid("parameters is an object"));
        }
    }
    Ok(params.tools)
}

pub(super) fn skills(params: NodeSkillsParams) -> Result<Vec<NodeSkill>, ApiError> {
    let invalid =
        |what: &str| ApiError::invalid(format!("invalid node.skills.update params: {what}"));
    if params.skills.len() > MAX_SKILLS {
        return Err(invalid(&format!("skills has at most {MAX_SKILLS} entries")));
    }
    for skill in &params.skills {
        if !is_skill(&skill.name) {
            return Err(invalid("name is up to 64 lowercase letters, digits and single -"));
        }
        if !(1..=MAX_DESCRIPTION).contains(&skill.description.chars().count()) {
            return Err(invalid(&format!("description has 1 to {MAX_DESCRIPTION} characters")));
        }
        if !(1..=MAX_CONTENT).contains(&skill.content.chars().count()) {
            return Err(invalid(&format!("content has 1 to {MAX_CONTENT} characters")));
        }
    }
    Ok(params.skills)
}

fn is_tool(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|it| it.is_ascii_alphabetic());
    let rest = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-');
    first && rest && name.len() <= MAX_NAME
}

fn is_skill(name: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let edges = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain) && !edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_an_object_and_come_back_as_they_were() {
        let check = |parameters: &str, fits: bool| {
            let tool = r#"{"pluginId":"p","name":"n","description":"d","parameters":"#;
            let params = format!(r#"{{"tools":[{tool}{parameters}}}]}}"#);
            let found = tools(serde_json::from_str(&params).unwrap());
            let kept = found
                .as_ref()
                .is_ok_and(|it| serde_json::to_string(it).is_ok_and(|it| it.contains(parameters)));
            assert_eq!(kept, fits, "{parameters}: {found:?}");
        };
        check("{}", true);
        check(r#"{"type":  "object"}"#, true);
        check("[]", false);
        check("7", false);
    }

    #[test]
    fn what_names_are() {
        for name in ["a", "A-b_9", &"x".repeat(64)] {
            assert!(is_tool(name), "{name}");
        }
        for name in ["", "9a", "-a", "a b", &"x".repeat(65)] {
            assert!(!is_tool(name), "{name}");
        }
        for name in ["a", "9", "a-b-c"] {
            assert!(is_skill(name), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a--b", &"x".repeat(65)] {
            assert!(!is_skill(name), "{name}");
        }
    }
}
