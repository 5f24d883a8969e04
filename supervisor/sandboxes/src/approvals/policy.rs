//! Whether a command runs, is asked about or is refused: pure, and nothing ever makes it freer than
//! the strictest of those who have a say.

use api::approvals::{AskWhen, File, Security};
use serde_json::Value;

/// What holds for commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much may run.
    pub security: Security,
    /// When somebody is asked.
    pub ask: AskWhen,
}

impl Policy {
    /// What leaves every decision to others: the sandbox is the boundary.
    pub const OPEN: Self = Self { security: Security::Full, ask: AskWhen::Off };

    /// What settings say: [`Policy::OPEN`] where they say nothing, and nothing may run where what they
    /// say is not known here.
    pub fn of(settings: &Value) -> Self {
        let exec = settings.pointer("/tools/exec");
        let said = |name: &str| exec.and_then(|it| it.get(name)).filter(|it| !it.is_null());
        let security = said("security").map_or(Some(Self::OPEN.security), read);
        let ask = said("ask").map_or(Some(Self::OPEN.ask), read);
        Self { security: security.unwrap_or(Security::Deny), ask: ask.unwrap_or(AskWhen::Always) }
    }

    /// The stricter of both in each respect.
    #[must_use]
    pub fn and(self, security: Option<Security>, ask: Option<AskWhen>) -> Self {
        Self {
            security: security.map_or(self.security, |it| it.min(self.security)),
            ask: ask.map_or(self.ask, |it| it.max(self.ask)),
        }
    }

    /// With what the tenant's file says of everything, of all agents, and of this one.
    #[must_use]
    pub fn within(self, file: &File, agent: &str) -> Self {
        let all = self.and(file.defaults.security, file.defaults.ask);
        ["*", agent]
            .into_iter()
            .filter_map(|name| file.agents.get(name))
            .fold(all, |policy, it| policy.and(it.security, it.ask))
    }

    /// What becomes of a command that the list has, or has not.
    pub const fn verdict(self, listed: bool) -> Outcome {
        match (self.security, self.ask, listed) {
            (Security::Deny, _, _) => Outcome::Denied,
            (_, AskWhen::Always, _) | (_, AskWhen::OnMiss, false) => Outcome::Asked,
            (Security::Allowlist, AskWhen::Off, false) => Outcome::Missed,
            (_, _, true) | (Security::Full, AskWhen::Off, false) => Outcome::Granted,
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It runs.
    Granted,
    /// Somebody is asked.
    Asked,
    /// Nothing runs.
    Denied,
    /// The list does not have it, and nobody is to be asked.
    Missed,
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Asked, Denied, Granted, Missed};
    use super::*;

    #[test]
    fn what_becomes_of_a_command() {
        let check = |security, ask, missed, listed| {
            let policy = Policy { security, ask };
            assert_eq!(policy.verdict(false), missed, "{policy:?} not listed");
            assert_eq!(policy.verdict(true), listed, "{policy:?} listed");
        };
        for ask in [AskWhen::Off, AskWhen::OnMiss, AskWhen::Always] {
            check(Security::Deny, ask, Denied, Denied);
        }
        check(Security::Allowlist, AskWhen::Off, Missed, Granted);
        check(Security::Allowlist, AskWhen::OnMiss, Asked, Granted);
        check(Security::Allowlist, AskWhen::Always, Asked, Asked);
        check(Security::Full, AskWhen::Off, Granted, Granted);
        check(Security::Full, AskWhen::OnMiss, Asked, Granted);
        check(Security::Full, AskWhen::Always, Asked, Asked);
    }

    #[test]
    fn what_settings_say() {
        let check = |exec: &str, security, ask| {
            let settings = format!(r#"{{"tools":{{"exec":{exec}}}}}"#);
            let settings = serde_json::from_str(&settings).unwrap();
            assert_eq!(Policy::of(&settings), Policy { security, ask }, "{exec}");
        };
        check("{}", Security::Full, AskWhen::Off);
        check("null", Security::Full, AskWhen::Off);
        check(r#"{"ask":"on-miss"}"#, Security::Full, AskWhen::OnMiss);
        check(r#"{"security":"allowlist","ask":null}"#, Security::Allowlist, AskWhen::Off);
        check(r#"{"security":"none","ask":7}"#, Security::Deny, AskWhen::Always);
        assert_eq!(Policy::of(&Value::Null), Policy::OPEN);
    }

    #[test]
    fn a_file_makes_it_stricter_and_never_freer() {
        let check = |from: (Security, AskWhen), file: &str, to: (Security, AskWhen)| {
            let policy = Policy { security: from.0, ask: from.1 };
            let file: File = serde_json::from_str(file).unwrap();
            let policy = policy.within(&file, "main");
            assert_eq!((policy.security, policy.ask), to);
        };
        let free = (Security::Full, AskWhen::Off);
        let strict = (Security::Allowlist, AskWhen::Always);
        check(free, r#"{"version":1}"#, free);
        let file = r#"{"version":1,"defaults":{"security":"full","ask":"off"},
            "agents":{"main":{"security":"full","ask":"off"},"*":{"ask":"off"}}}"#;
        check(free, file, free);
        check(strict, file, strict);
        check(
            free,
            r#"{"version":1,"defaults":{"security":"allowlist"},"agents":{"main":{"security":"full"},"*":{"ask":"on-miss"}}}"#,
            (Security::Allowlist, AskWhen::OnMiss),
        );
        check(
            strict,
            r#"{"version":1,"agents":{"main":{"security":"deny","ask":"off"}}}"#,
            (Security::Deny, AskWhen::Always),
        );
        let other = r#"{"version":1,"agents":{"other":{"security":"deny"}}}"#;
        check(free, other, free);
    }
}
