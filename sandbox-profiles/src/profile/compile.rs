//! From rules to a filter program: `seccompiler` makes the argument tests and knows the numbers, a
//! binary search over number ranges made here finds the rule.
//!
//! `seccompiler` alone makes a linear list, which the kernel walks for every call number when the
//! filter is loaded; that was the largest part of a worker's start. The build script compiles this
//! file too.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule, TargetArch,
    compile_from_json, sock_filter,
};

use super::source::{Action, Condition, Op, Policy, Rule, Value, Width};

/// The kernel's limit on one program.
const PROGRAM_MAX: usize = 4096;
/// First number of the x32 table, which x86-64 kernels may answer under the same architecture.
const X32: u32 = 0x4000_0000;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQ: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GE: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;

/// What happens to the calls of one number.
#[derive(Clone, PartialEq)]
enum Leaf {
    Always(Action),
    Tested(usize),
}

/// Compiles a policy for `arch`, a name as `rustc` writes it.
///
/// # Errors
/// A sentence for whoever edits the profile.
pub(crate) fn compile(policy: &Policy, arch: &str) -> Result<Vec<sock_filter>, String> {
    let target = TargetArch::try_from(arch).map_err(|err| err.to_string())?;
    let mut chains: BTreeMap<u32, Vec<&(Action, Rule)>> = BTreeMap::new();
    for pair in &policy.rules {
        if pair.1.arch.as_deref().is_none_or(|only| only == arch) {
            chains.entry(number(&pair.1.syscall, target)?).or_default().push(pair);
        }
    }
    let mut blocks = Vec::new();
    let mut ranges = vec![(0, Leaf::Always(policy.default))];
    for (number, chain) in &chains {
        let leaf = leaf(chain, policy.default, &mut blocks)?;
        extend(&mut ranges, *number, leaf);
        if !chains.contains_key(&(number + 1)) {
            extend(&mut ranges, number + 1, Leaf::Always(policy.default));
        }
    }
    let mut program = prelude(target);
    program.extend(search(&ranges, &blocks)?);
    if program.len() > PROGRAM_MAX {
        return Err(format!("{} instructions", program.len()));
    }
    Ok(program)
}

/// The number of a call, read out of a program that `seccompiler` makes for that one call: its
/// table is not public.
pub(crate) fn number(syscall: &str, target: TargetArch) -> Result<u32, String> {
    let json = format!(
        r#"{{"one":{{"mismatch_action":"allow","match_action":"kill_process","filter":[{{"syscall":"{syscall}"}}]}}}}"#
    );
    let programs = compile_from_json(json.as_bytes(), target)
        .map_err(|err| format!("{syscall}: {err} ({err:?})"))?;
    let compared = programs.values().flatten().filter(|it| it.code == JUMP_EQ).nth(1);
    compared.map(|it| it.k).ok_or_else(|| format!("{syscall}: no number"))
}

fn extend(ranges: &mut Vec<(u32, Leaf)>, start: u32, leaf: Leaf) {
    if ranges.last().is_some_and(|(last, _)| *last == start) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|(_, last)| *last != leaf) {
        ranges.push((start, leaf));
    }
}

fn leaf(
    chain: &[&(Action, Rule)],
    default: Action,
    blocks: &mut Vec<BpfProgram>,
) -> Result<Leaf, String> {
    let mut block = Vec::new();
    let mut end = default;
    for (action, rule) in chain {
        if rule.args.is_empty() {
            end = *action;
            break;
        }
        let tests = rule.args.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        let tests = SeccompRule::new(tests).map_err(|err| err.to_string())?;
        block.extend(BpfProgram::from(tests));
        block.push(op(RETURN, action.code()));
    }
    if block.is_empty() {
        return Ok(Leaf::Always(end));
    }
    block.push(op(RETURN, end.code()));
    blocks.push(block);
    Ok(Leaf::Tested(blocks.len() - 1))
}

fn condition(it: &Condition) -> Result<SeccompCondition, String> {
    let number = |value: &Value| value.number().ok_or("an unknown constant");
    let width = match it.width {
        Width::Dword => SeccompCmpArgLen::Dword,
        Width::Qword => SeccompCmpArgLen::Qword,
    };
    let op = match (it.op, &it.mask) {
        (Op::Eq, _) => SeccompCmpOp::Eq,
        (Op::Ne, _) => SeccompCmpOp::Ne,
        (Op::MaskedEq, Some(mask)) => SeccompCmpOp::MaskedEq(number(mask)?),
        (Op::MaskedEq, None) => return Err("masked_eq without a mask".to_owned()),
    };
    SeccompCondition::new(it.index, width, op, number(&it.value)?).map_err(|err| err.to_string())
}

/// Kills at once whatever comes by another architecture's entry, or by x32.
fn prelude(target: TargetArch) -> BpfProgram {
    let kill = op(RETURN, Action::KillProcess.code());
    let arch = match target {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    };
    vec![
        op(LOAD, OFFSET_ARCH),
        branch(JUMP_EQ, arch, 1, 0),
        kill.clone(),
        op(LOAD, OFFSET_NUMBER),
        branch(JUMP_GE, X32, 0, 1),
        kill,
    ]
}

fn search(ranges: &[(u32, Leaf)], blocks: &[BpfProgram]) -> Result<BpfProgram, String> {
    match ranges {
        [] => Err("nothing to search".to_owned()),
        [(_, Leaf::Always(action))] => Ok(vec![op(RETURN, action.code())]),
        [(_, Leaf::Tested(block))] => {
            blocks.get(*block).cloned().ok_or_else(|| "a lost block".to_owned())
        }
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let pivot = high.first().map(|(start, _)| *start).ok_or("an empty half")?;
            let (below, above) = (search(low, blocks)?, search(high, blocks)?);
            let mut program = if let Ok(near) = u8::try_from(below.len()) {
                vec![branch(JUMP_GE, pivot, near, 0)]
            } else {
                let far = u32::try_from(below.len()).map_err(|err| err.to_string())?;
                vec![branch(JUMP_GE, pivot, 0, 1), op(JUMP, far)]
            };
            program.extend(below);
            program.extend(above);
            Ok(program)
        }
    }
}

fn op(code: u16, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
