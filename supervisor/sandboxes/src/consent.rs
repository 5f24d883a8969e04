//! From a command to the right to run it. What is agreed to is the command to its last byte, and it is
//! looked at once more when the sandbox is ordered.

use sandbox::program;

use crate::Error;
use crate::approvals::{Approved, Ask, Bound, Denied, Policy, Variable, Verdict};
use crate::command::Command;
use crate::environment::Variables;
use crate::programs::Programs;

/// What approvals are asked about, in their words.
pub(crate) struct Asking<'a> {
    command: &'a Command,
    env: Vec<Variable<'a>>,
    files: Vec<Bound>,
}

/// The right to run a command, and what it was given by.
pub(crate) struct Agreed {
    approved: Approved,
    /// The request that somebody decided.
    pub(crate) id: Option<String>,
}

impl<'a> Asking<'a> {
    /// About `command` with the variables that nobody may see.
    pub(crate) fn new(command: &'a Command, secrets: &'a Variables) -> Self {
        let variable = |secret: bool| {
            move |(name, value): &'a (String, String)| Variable { name, value, secret }
        };
        let env = command.env.iter().map(variable(false));
        let files = command
            .files
            .iter()
            .map(|it: &program::Bound| Bound { argument: it.argument, sha256: it.sha256 });
        Self {
            command,
            env: env.chain(secrets.iter().map(variable(true))).collect(),
            files: files.collect(),
        }
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            agent: &self.command.agent,
            argv: &self.command.argv,
            env: &self.env,
            cwd: &self.command.cwd,
            files: &self.files,
            session_key: &self.command.session_key,
            run_id: &self.command.run_id,
            tool_call_id: &self.command.tool_call_id,
        }
    }

    /// Waits until the command may run. `waits` is told where somebody is asked, and until when.
    pub(crate) async fn decide(
        &self,
        programs: &Programs,
        policy: Policy,
        waits: impl AsyncFnOnce(&str, u64) + Send,
    ) -> Result<Agreed, Error> {
        let verdict = programs.owner.approvals.decide(&self.ask(), policy).await;
        match verdict.map_err(denied)? {
            Verdict::Granted(approved) => Ok(Agreed { approved, id: None }),
            Verdict::Asked(asked) => {
                let id = asked.id().to_owned();
                waits(&id, asked.expires_at()).await;
                let approved = asked.answer().await.map_err(denied)?;
                Ok(Agreed { approved, id: Some(id) })
            }
        }
    }

    /// The search path that the command has to have, if the right is to this command.
    pub(crate) fn search_path(&self, agreed: &Agreed) -> Result<Option<&'static str>, Error> {
        if agreed.approved.covers(&self.ask()) {
            Ok(agreed.approved.search_path())
        } else {
            Err(Error::Unapproved(Denied::Withdrawn))
        }
    }
}

fn denied(err: Denied) -> Error {
    if let Denied::Book(cause) = &err {
        tracing::error!(error = %types::Chain(cause), "approvals cannot be read");
    }
    Error::Unapproved(err)
}
