//! The product's own probes, from beside a good worker and with real things outside to reach for.

use sandbox::Launcher;
use sandbox::probes::{Depth, Outside, PROBES};
use serde_json::json;

use crate::worker::Worker;
use crate::{Command, Failure, attempts, say};

/// The tenant whose worker lends its boundary, and the one that is reached for.
const PROBED: (&str, u32) = ("probed", 1);
const NEIGHBOUR: (&str, u32) = ("neighbour", 2);

/// Makes every probe at both depths. True if each was refused as it should be.
pub(crate) fn make(launcher: &Launcher, command: &Command) -> Result<bool, Failure> {
    let canary = attempts::canary(command)?;
    let mut neighbour = start(launcher, NEIGHBOUR)?;
    let mut probed = start(launcher, PROBED)?;
    let outside = Outside { foreign: neighbour.pid(), ..canary.outside.clone() }.seal()?;
    let mut good = true;
    for (index, probe) in PROBES.iter().enumerate() {
        for (depth, accepted) in [(Depth::Whole, probe.whole), (Depth::Beneath, probe.beneath)] {
            if accepted.is_empty() {
                continue;
            }
            let outcome = launcher.probe(probed.number(), (index, depth), &outside)?.word();
            let ok = accepted.contains(&outcome.as_str());
            good &= ok;
            let attempt = format!("{} {depth:?}", probe.name);
            say(&json!({
                "attempt": attempt, "outcome": outcome, "accepted": accepted, "ok": ok,
            }))?;
        }
    }
    for worker in [&mut probed, &mut neighbour] {
        worker.tell("ping")?;
        good &= worker.hear()? == "pong";
    }
    probed.kill(launcher)?;
    neighbour.kill(launcher)?;
    Ok(good)
}

fn start(launcher: &Launcher, (tenant, index): (&str, u32)) -> Result<Worker, Failure> {
    let mut worker = Worker::start(launcher, tenant, index, "hold secret=own")?;
    let ready = worker.hear()?;
    if ready.starts_with("hold ") { Ok(worker) } else { Err(ready.into()) }
}
