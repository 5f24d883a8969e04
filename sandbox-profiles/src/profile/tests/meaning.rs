//! What a profile says, read plainly: rules from the top, the first that fits decides.

use seccompiler::TargetArch;

use super::machine::Call;
use crate::profile::compile::number;
use crate::profile::source::{Action, Condition, Op, Policy, Rule, Width};

/// First number of the x32 table.
const X32: u32 = 0x4000_0000;

/// What the policy says of a call that came through the machine's own entry.
pub(super) fn verdict(policy: &Policy, call: Call) -> Action {
    if call.number >= X32 {
        return Action::KillProcess;
    }
    let here = |rule: &Rule| rule.arch.as_deref().is_none_or(|only| only == "x86_64");
    let same = |rule: &Rule| numbered(&rule.syscall) == call.number;
    let fits = |rule: &Rule| here(rule) && same(rule) && holds(rule, call.args);
    let first = policy.rules.iter().find(|(_, rule)| fits(rule));
    first.map_or(policy.default, |(action, _)| *action)
}

/// Whether all argument tests of the rule hold.
pub(super) fn holds(rule: &Rule, args: [u64; 6]) -> bool {
    rule.args.iter().all(|it| fits(it, args[usize::from(it.index)]))
}

fn fits(condition: &Condition, argument: u64) -> bool {
    let seen = match condition.width {
        Width::Dword => u64::from(u32::try_from(argument & 0xffff_ffff).unwrap()),
        Width::Qword => argument,
    };
    let value = condition.value.number().unwrap();
    match condition.op {
        Op::Eq => seen == value,
        Op::Ne => seen != value,
        Op::MaskedEq => {
            let mask = condition.mask.as_ref().unwrap().number().unwrap();
            seen & mask == value & mask
        }
    }
}

/// Looking a number up compiles a program, so each is looked up once.
fn numbered(syscall: &str) -> u32 {
    use std::collections::HashMap;
    thread_local! {
        static KNOWN: std::cell::RefCell<HashMap<String, u32>> = std::cell::RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(number) = known.get(syscall) {
            return *number;
        }
        let found = number(syscall, TargetArch::x86_64).unwrap();
        known.insert(syscall.to_owned(), found);
        found
    })
}
