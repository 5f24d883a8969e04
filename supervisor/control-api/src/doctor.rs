//! What `openclawmu doctor` says of a machine.

use serde::{Deserialize, Serialize};

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// One entry per thing that was looked at.
    pub checks: Vec<Check>,
}

impl Checks {
    /// Whether anything keeps the gateway from running.
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == Verdict::Fail)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is, for example `cgroup`.
    pub name: String,
    /// How it is.
    pub status: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing need be done.
    pub remedy: String,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A guarantee is weaker, and the gateway runs.
    Warn,
    /// The gateway cannot run.
    Fail,
}

impl Verdict {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_doctor() {
        let check = Check {
            name: "cgroup".to_owned(),
            status: Verdict::Warn,
            detail: "v1".to_owned(),
            remedy: String::new(),
        };
        let checks = Checks { checks: vec![check] };
        assert!(!checks.failed());
        assert_eq!(
            serde_json::to_string(&checks).unwrap(),
            r#"{"checks":[{"name":"cgroup","status":"warn","detail":"v1","remedy":""}]}"#
        );
    }
}
