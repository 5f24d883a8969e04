//! `doctor`: what this machine gives, and what to do about each thing that it does not.

use std::path::Path;
use std::process::ExitCode;

use cli::{Options, Output};
use control_api::{Check, Checks, Verdict};
use sandbox::{HostReport, Mode};

use crate::serve::worker_beside_us;

pub(crate) fn run(options: &Options) -> ExitCode {
    let report = sandbox::probe(&options.state_dir());
    let checks = checks(&report, &options.state_dir());
    let mut output = Output::new(options);
    if let Err(err) = output.reply(&checks) {
        output.failure(&err);
        return ExitCode::FAILURE;
    }
    if checks.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn checks(report: &HostReport, state_dir: &Path) -> Checks {
    let mut checks = vec![
        ok("kernel", &report.kernel),
        match report.mode {
            Mode::Root => ok("mode", "root: an id of its own for each tenant"),
            Mode::Rootless => warn("mode", "rootless", "run the gateway as a service of root"),
        },
        landlock(report.landlock_abi),
        worker(),
        ok("state directory", &state_dir.display().to_string()),
    ];
    let lost = report.degraded.iter();
    checks.extend(lost.map(|it| warn(&it.guarantee, &it.reason, &it.remedy)));
    Checks { checks }
}

fn landlock(abi: u32) -> Check {
    if abi >= 6 {
        ok("landlock", &format!("ABI {abi}"))
    } else {
        warn("landlock", &format!("ABI {abi}"), "a kernel of 6.12 or later with landlock in lsm=")
    }
}

fn worker() -> Check {
    match worker_beside_us() {
        Ok(path) if path.is_file() => ok("worker program", &path.display().to_string()),
        Ok(path) => fail("worker program", &format!("{} is missing", path.display())),
        Err(err) => fail("worker program", &types::Chain(&err).to_string()),
    }
}

fn ok(name: &str, detail: &str) -> Check {
    check(name, Verdict::Ok, detail, "")
}

fn warn(name: &str, detail: &str, remedy: &str) -> Check {
    check(name, Verdict::Warn, detail, remedy)
}

fn fail(name: &str, detail: &str) -> Check {
    check(name, Verdict::Fail, detail, "install both programs into one directory: make install")
}

fn check(name: &str, status: Verdict, detail: &str, remedy: &str) -> Check {
    Check { name: name.to_owned(), status, detail: detail.to_owned(), remedy: remedy.to_owned() }
}
