//! `apply_patch`: several files changed by one patch. Everything is checked before anything is
//! written.

mod change;
mod parse;

use std::collections::HashSet;

use serde_json::{Value, json};
use tonic::async_trait;
use types::AgentId;

use self::parse::Step;
use super::arguments::Arguments;
use super::paths::Place;
use super::write::MAX_CONTENT;
use super::{Context, Failure, Group, Outcome, Row, Tool, files};
use crate::store::Dir;

/// Bytes of all files together that one patch leaves: all of them are held before one is written.
const MAX_WRITTEN: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct ApplyPatch;

static ROW: Row = Row {
    name: "apply_patch",
    label: "Apply patch",
    group: Group::Fs,
    is_read_only: false,
    description: "Changes files by a patch between the lines *** Begin Patch and *** End Patch. Parts: \
                  *** Add File: PATH with lines that begin with +; *** Delete File: PATH; *** Update \
                  File: PATH, then perhaps *** Move to: PATH, then hunks that begin with @@ (and \
                  perhaps a line that stands before) and whose lines begin with a space, - or +. \
                  *** End of File after a hunk says that it ends the file.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["input"],"properties":{"input":{"type":"string","description":"The whole patch."}}}"#,
};

/// What is done to one place in the end.
#[derive(Debug)]
enum Effect {
    Write(Place, String),
    Remove(Place),
}

impl Effect {
    const fn size(&self) -> usize {
        match self {
            Self::Write(_, text) => text.len(),
            Self::Remove(_) => 0,
        }
    }
}

#[async_trait]
impl Tool for ApplyPatch {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let input = arguments.required(&["input", "patch"], MAX_CONTENT)?;
        arguments.end()?;
        let steps =
            parse::parse(&input).map_err(|err| Failure::Invalid(format!("input: {err}")))?;
        let agent = context.key.agent().clone();
        files::job(context, move |root| apply(root, &agent, &steps)).await
    }
}

fn apply(root: &Dir, agent: &AgentId, steps: &[Step]) -> Result<Outcome, Failure> {
    let (mut effects, mut left) = (Vec::new(), MAX_WRITTEN);
    for step in steps {
        let prepared = prepare(root, agent, step)?;
        left = prepared.iter().try_fold(left, |left, effect| left.checked_sub(effect.size())).ok_or_else(|| {
            Failure::Refused(format!("the files would have more than {MAX_WRITTEN} bytes together: use several patches"))
        })?;
        effects.extend(prepared);
    }
    let mut seen = HashSet::new();
    for effect in &effects {
        let (Effect::Write(place, _) | Effect::Remove(place)) = effect;
        if !seen.insert(place) {
            let what = format!("input: {} is changed twice: one part per file", place.shown());
            return Err(Failure::Invalid(what));
        }
    }
    let mut done = Vec::new();
    for effect in &effects {
        let (line, result) = match effect {
            Effect::Write(place, text) => {
                let written = files::replace(root, agent, place, text.as_bytes());
                (format!("wrote {}", place.shown()), written)
            }
            Effect::Remove(place) => {
                (format!("removed {}", place.shown()), files::remove(root, agent, place))
            }
        };
        // Files are replaced one by one: what is done already must be known.
        result.map_err(|err| match done.len() {
            0 => err,
            _ => Failure::Failed(format!("{err}; done before: {}", done.join(", "))),
        })?;
        done.push(line);
    }
    Ok(Outcome::text(done.join("\n")).with(json!({ "changes": done })))
}

/// What a step comes to, looked up and computed but not done.
fn prepare(root: &Dir, agent: &AgentId, step: &Step) -> Result<Vec<Effect>, Failure> {
    match step {
        Step::Add { path, content } => {
            let place = Place::parse("input: a path", path)?;
            free(root, agent, &place)?;
            Ok(vec![Effect::Write(place, content.clone())])
        }
        Step::Delete { path } => {
            let place = Place::parse("input: a path", path)?;
            files::open(root, agent, &place)?;
            Ok(vec![Effect::Remove(place)])
        }
        Step::Update { path, to, hunks } => {
            let place = Place::parse("input: a path", path)?;
            let max = u64::try_from(MAX_CONTENT).unwrap_or(u64::MAX);
            let bytes = files::read(root, agent, &place, max)?;
            let shown = place.shown();
            let text = String::from_utf8(bytes)
                .map_err(|_err| Failure::Refused(format!("{shown} is not UTF-8 text")))?;
            let new = change::changed(&text, hunks)
                .map_err(|err| Failure::Failed(format!("{shown}: {err}")))?;
            if new.len() > MAX_CONTENT {
                let what = format!("{shown} would have more than {MAX_CONTENT} bytes");
                return Err(Failure::Refused(what));
            }
            let Some(to) = to else { return Ok(vec![Effect::Write(place, new)]) };
            let to = Place::parse("input: a path", to)?;
            if to == place {
                return Ok(vec![Effect::Write(place, new)]);
            }
            free(root, agent, &to)?;
            Ok(vec![Effect::Write(to, new), Effect::Remove(place)])
        }
    }
}

fn free(root: &Dir, agent: &AgentId, place: &Place) -> Result<(), Failure> {
    if files::is_taken(root, agent, place)? {
        return Err(Failure::Failed(format!("{} exists already", place.shown())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::testing::Bench;

    #[tokio::test]
    async fn a_patch_leaves_only_so_much() {
        let bench = Bench::new().await;
        let mut parts = Vec::new();
        for n in 0..10 {
            std::fs::write(bench.workspace(&format!("f{n}")), "x".repeat(1_000_000)).unwrap();
            parts.push(format!("*** Update File: f{n}\n@@\n+y\n"));
        }
        let patch = format!("*** Begin Patch\n{}*** End Patch", parts.concat());
        let refused = bench.refusal("apply_patch", json!({"input": patch})).await;
        assert!(refused.contains("8388608 bytes together"), "{refused}");
        assert_eq!(std::fs::read(bench.workspace("f0")).unwrap().len(), 1_000_000);
    }
}
