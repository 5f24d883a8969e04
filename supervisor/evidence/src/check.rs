//! Whether a report is good, and whether it agrees with itself. What it says of itself is not
//! believed: layers are made again from the boundary, outcomes are held against expectations again.

use std::collections::BTreeSet;
use std::fmt::Display;

use control_api::Boundary;

use crate::layers::layers;
use crate::report::{Depth, Held, Probe, Report, Standing};

/// Fewer attempts than this are no evidence.
pub const MIN_PROBES: usize = 10;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    /// What.
    pub what: String,
    /// How it should be.
    pub expected: String,
    /// How it is.
    pub found: String,
}

/// Everything in the report that is not as it should be; empty means that the boundary held.
pub fn check(report: &Report) -> Vec<Complaint> {
    let mut found = Found(Vec::new());
    found.layers(report);
    found.facts(report);
    found.limits(report);
    found.probes(report);
    found.same("tenant of the boundary", report.tenant.as_str(), report.boundary.tenant.as_str());
    found.same("mode", &report.host.mode, &report.boundary.mode);
    found.same("version of the worker", &report.versions.gateway, &report.versions.worker);
    found.holds(
        "verdict on the boundary",
        report.boundary.verified == report.boundary.findings.is_empty(),
        "that of its findings",
        "another",
    );
    let good = found.0.is_empty();
    found.same("verdict of the report", good, report.verified);
    found.0
}

struct Found(Vec<Complaint>);

impl Found {
    fn holds(
        &mut self,
        what: &str,
        holds: bool,
        expected: impl Display + Copy,
        found: impl Display + Copy,
    ) {
        if !holds {
            let (expected, found) = (expected.to_string(), found.to_string());
            self.0.push(Complaint { what: what.to_owned(), expected, found });
        }
    }

    fn same<T: PartialEq + Display + Copy>(&mut self, what: &str, expected: T, found: T) {
        self.holds(what, expected == found, expected, found);
    }

    fn layers(&mut self, report: &Report) {
        let made = layers(&report.boundary, &report.declared, &report.host);
        for layer in made.iter().filter(|layer| layer.standing != Standing::Ok) {
            let what = format!("layer {}: {}", layer.name, layer.standing.word());
            self.holds(&what, false, &layer.expected, &layer.found);
        }
        self.holds(
            "list of layers",
            made == report.layers,
            "what follows from the boundary",
            "another",
        );
    }

    /// What needs no finding to be seen.
    fn facts(&mut self, report: &Report) {
        let Report { boundary, declared, host, .. } = report;
        for (name, own, outside) in namespaces(boundary) {
            let shared = own == 0 || own == outside;
            self.holds(&format!("{name} namespace"), !shared, "its own", own);
        }
        self.same("no_new_privs", true, boundary.no_new_privs);
        self.same("seccomp mode", 2, boundary.seccomp.mode);
        self.holds("seccomp filters", boundary.seccomp.filters >= 2, 2, boundary.seccomp.filters);
        let profile = declared.profiles.get(&boundary.seccomp.profile).cloned();
        let right = profile.as_ref() == Some(&boundary.seccomp.digest);
        self.holds("seccomp digest", right, shown(profile.as_ref()), &boundary.seccomp.digest);
        let sets = &boundary.capabilities;
        for set in
            [&sets.effective, &sets.permitted, &sets.bounding, &sets.inheritable, &sets.ambient]
        {
            self.same("capabilities", "0000000000000000", set.as_str());
        }
        self.same("landlock", host.landlock_abi, boundary.landlock.abi);
        let binary = declared.binary_digest.as_ref();
        let right = binary.is_some() && binary == boundary.binary_digest.as_ref();
        self.holds("binary", right, shown(binary), shown(boundary.binary_digest.as_ref()));
        let interfaces = boundary.network_interfaces.join(" ");
        self.same("network interfaces", "lo", interfaces.as_str());
        self.same("sockets", "", boundary.listening_sockets.join(" ").as_str());
    }

    /// Where there are cgroups, they hold what was ordered.
    fn limits(&mut self, report: &Report) {
        let Report { boundary, declared, host, .. } = report;
        if host.cgroup == "none" {
            return;
        }
        let number = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
        for (what, wanted, found) in [
            ("memory limit", declared.memory_max, boundary.cgroup.memory_max),
            ("pids limit", u64::from(declared.pids_max), boundary.cgroup.pids_max),
            ("cpu limit", u64::from(declared.cpu_millis), boundary.cgroup.cpu_max),
        ] {
            self.same(what, number(Some(wanted)).as_str(), number(found).as_str());
        }
    }

    fn probes(&mut self, report: &Report) {
        for probe in &report.probes {
            let what = format!("probe {}, {}", probe.name, probe.depth.words());
            let meaning = probe.meaning(report.host.landlock_abi);
            let good = matches!(meaning, Held::Refused | Held::NotGiven);
            let expected = probe.expected.join(" or ");
            self.holds(&what, good, expected.as_str(), &probe.outcome);
            self.holds(&what, probe.held == meaning, meaning.words(), probe.held.words());
            let known = probe.expected.iter().all(|word| is_refusal(word));
            self.holds(&what, known, "refusals", expected.as_str());
        }
        let at = |depth: Depth| {
            let at = report.probes.iter().filter(move |probe| probe.depth == depth);
            at.map(|probe: &Probe| probe.name.as_str()).collect::<BTreeSet<_>>().len()
        };
        let whole = at(Depth::Whole);
        self.holds("probes", whole >= MIN_PROBES, format_args!("{MIN_PROBES} or more"), whole);
        let distinct = whole + at(Depth::Beneath) == report.probes.len();
        self.holds("probes", distinct, "each once", "one twice");
    }
}

fn namespaces(of: &Boundary) -> [(&'static str, u64, u64); 7] {
    let (own, outside) = (&of.namespaces, &of.supervisor_namespaces);
    [
        ("user", own.user, outside.user),
        ("mnt", own.mnt, outside.mnt),
        ("pid", own.pid, outside.pid),
        ("net", own.net, outside.net),
        ("ipc", own.ipc, outside.ipc),
        ("uts", own.uts, outside.uts),
        ("cgroup", own.cgroup, outside.cgroup),
    ]
}

/// Only the name of an errno, or of the signal of the system call filter, is a refusal.
fn is_refusal(word: &str) -> bool {
    let errno = word.strip_prefix('E').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
    });
    errno || word == "SIGSYS"
}

fn shown(text: Option<&String>) -> &str {
    text.map_or("unknown", String::as_str)
}

#[cfg(test)]
mod tests;
