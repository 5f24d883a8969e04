//! `/v1/tenants/{id}/evidence`, `/v1/evidence/key` and `/v1/drift`: what was gathered is put into a
//! report and signed here; what it means is the report's own.

use ::evidence::{
    Declared, Depth, Held, Host, Layer, Lost, Probe, Report, SCHEMA, Standing, Versions, check,
    layers, seal,
};
use control_api::{Drift, EvidenceKey, TenantPath, WorkerDrift};
use sandbox::{CgroupLayout, HostReport, Profile, probes};
use tenants::{Gathered, Made};
use types::TenantId;

use super::{boundary, views};
use crate::Parts;
use crate::call::Call;
use crate::error::Error;
use crate::reply::{Found, Text};

pub(crate) async fn show(call: Call<TenantPath>) -> Result<Text, Error> {
    let (id, parts) = (&call.path.id, call.control.parts());
    let gathered = parts.tenants.gather(id, parts.gateway.port()).await?;
    let mut report = report(parts, id, &gathered);
    report.ledger_digest = parts.witness.ledger_digest(id).await;
    report.audit_head = parts.witness.audit_head().await;
    // A report is verified if nothing but that word is wrong with it.
    report.verified = true;
    report.verified = check(&report).is_empty();
    if !report.verified {
        tracing::error!(tenant = %id, "evidence of a boundary that is not as declared");
    }
    let bytes = seal(&report, &parts.evidence_key).map_err(Error::Evidence)?;
    Ok(Text { kind: "application/json", bytes: bytes.into() })
}

pub(crate) async fn key(call: Call) -> Result<Found<EvidenceKey>, Error> {
    let public = call.control.parts().evidence_key.public();
    let (public_key, installation) = (public.to_string(), public.installation());
    Ok(Found(EvidenceKey { public_key, installation }))
}

pub(crate) async fn drift(call: Call) -> Result<Found<Drift>, Error> {
    let seen = call.control.parts().tenants.drift().await;
    let good = |it: &tenants::Drift| {
        matches!(it.standing, tenants::Standing::Ok | tenants::Standing::Outdated)
    };
    let ok = seen.iter().all(good);
    let worker = |it: tenants::Drift| WorkerDrift {
        tenant: it.tenant,
        pid: it.pid,
        state: it.standing.word().to_owned(),
        findings: it.findings.iter().map(boundary::finding).collect(),
    };
    Ok(Found(Drift { ok, workers: seen.into_iter().map(worker).collect() }))
}

fn report(parts: &Parts, id: &TenantId, gathered: &Gathered) -> Report {
    let host = parts.tenants.host_report();
    let boundary = boundary::of(id, &gathered.inspection, host);
    let (machine, declared) = (machine(host), declared(host, gathered));
    let lost = |it: &sandbox::Degradation| Lost {
        guarantee: it.guarantee.clone(),
        reason: it.reason.clone(),
    };
    Report {
        schema: SCHEMA,
        at: parts.clock.now().into(),
        installation: parts.evidence_key.public().installation(),
        tenant: id.clone(),
        verified: false,
        versions: Versions {
            gateway: parts.version.to_owned(),
            worker: gathered.inspection.version.clone(),
            kernel: host.kernel.clone(),
            bwrap: host.bwrap.clone(),
        },
        not_given: host.degraded.iter().map(lost).collect(),
        layers: logged(layers(&boundary, &declared, &machine), id),
        host: machine,
        declared,
        probes: gathered.probes.iter().map(|made| probe(made, host.landlock_abi)).collect(),
        boundary,
        ledger_digest: None,
        audit_head: None,
    }
}

fn machine(host: &HostReport) -> Host {
    let cgroup = match host.cgroup {
        CgroupLayout::V2 => "v2",
        CgroupLayout::Hybrid => "hybrid",
        CgroupLayout::None => "none",
    };
    Host {
        mode: views::mode(host.mode).to_owned(),
        cgroup: cgroup.to_owned(),
        landlock_abi: host.landlock_abi,
        user_namespaces: host.user_namespaces,
    }
}

fn declared(host: &HostReport, gathered: &Gathered) -> Declared {
    let digest = |it: Profile| (it.name().to_owned(), it.digest().to_owned());
    Declared {
        profiles: Profile::ALL.into_iter().map(digest).collect(),
        binary_digest: host.worker_digest.clone(),
        memory_max: gathered.limits.memory_max,
        pids_max: gathered.limits.pids_max,
        cpu_millis: gathered.limits.cpu_millis,
    }
}

/// The layers, each that is not as declared in the log as well.
fn logged(all: Vec<Layer>, tenant: &TenantId) -> Vec<Layer> {
    for layer in all.iter().filter(|layer| layer.standing != Standing::Ok) {
        let (layer, standing) = (layer.name.as_str(), layer.standing.word());
        tracing::error!(%tenant, layer, standing, "layer not as declared");
    }
    all
}

fn probe(made: &Made, landlock_abi: u32) -> Probe {
    let (depth, expected) = match made.depth {
        probes::Depth::Whole => (Depth::Whole, made.probe.whole),
        probes::Depth::Beneath => (Depth::Beneath, made.probe.beneath),
    };
    let outcome = match &made.outcome {
        Ok(outcome) => outcome.word(),
        Err(reason) => format!("{}: {reason}", Probe::NOT_MADE),
    };
    let mut probe = Probe {
        name: made.probe.name.to_owned(),
        attempt: made.probe.what.to_owned(),
        depth,
        expected: expected.iter().map(|word| (*word).to_owned()).collect(),
        outcome,
        held: Held::NotMade,
    };
    probe.held = probe.meaning(landlock_abi);
    probe
}
