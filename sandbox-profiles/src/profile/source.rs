//! A profile as people write it: JSON in which every rule gives its reason.
//!
//! The build script compiles this file too, so it uses nothing of the crate. It reads no files and
//! knows no system call by number.

use serde::Deserialize;

/// The largest number of rules that one profile may have, its common part included.
const RULES_MAX: usize = 512;

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Action {
    /// The call goes on.
    #[serde(rename = "allow")]
    Allow,
    /// The whole process dies by SIGSYS.
    #[serde(rename = "kill_process")]
    KillProcess,
    /// The call fails as not permitted.
    #[serde(rename = "EPERM")]
    Eperm,
    /// The call fails as unknown to the kernel.
    #[serde(rename = "ENOSYS")]
    Enosys,
    /// The address family is unknown to the kernel.
    #[serde(rename = "EAFNOSUPPORT")]
    Eafnosupport,
    /// The file system does not have that.
    #[serde(rename = "EOPNOTSUPP")]
    Eopnotsupp,
    /// What the descriptor means does not have that.
    #[serde(rename = "ENOTTY")]
    Enotty,
}

impl Action {
    /// The value that a filter program returns for this action.
    pub(crate) fn code(self) -> u32 {
        const ERRNO: u32 = 0x0005_0000;
        match self {
            Self::Allow => 0x7fff_0000,
            Self::KillProcess => 0x8000_0000,
            Self::Eperm => ERRNO | 1,
            Self::Enosys => ERRNO | 0x26,
            Self::Eafnosupport => ERRNO | 0x61,
            Self::Eopnotsupp => ERRNO | 0x5f,
            Self::Enotty => ERRNO | 0x19,
        }
    }
}

/// One file of `profiles/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Who runs under it, and how the list was found.
    pub comment: String,
    /// Files whose rules stand before these, in this order.
    #[serde(default)]
    pub include: Vec<String>,
    /// What happens to a call that no rule names; absent in a file made to be included.
    #[serde(default)]
    pub default: Option<Action>,
    /// What a rule does that does not say.
    pub action: Action,
    /// Looked at from the top; the first that fits decides.
    pub rules: Vec<Row>,
}

/// One rule, or one for each of several calls that share their reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The call's name.
    #[serde(default)]
    pub syscall: Option<String>,
    /// The calls' names, in place of one.
    #[serde(default)]
    pub syscalls: Vec<String>,
    /// Why the rule exists.
    pub comment: String,
    /// What to do where it is not the file's `action`.
    #[serde(default)]
    pub action: Option<Action>,
    /// All must hold; empty means any arguments.
    #[serde(default)]
    pub args: Vec<Condition>,
    /// The only architecture that has the call, where not all have it.
    #[serde(default)]
    pub arch: Option<String>,
}

/// One system call, perhaps only with certain arguments.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The call's name.
    pub syscall: String,
    /// All must hold; empty means any arguments.
    pub args: Vec<Condition>,
    /// The only architecture that has the call, where not all have it.
    pub arch: Option<String>,
}

/// A test of one argument.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How many of its bits the kernel looks at.
    #[serde(rename = "type")]
    pub width: Width,
    /// The comparison.
    pub op: Op,
    /// The bits compared, for `masked_eq`.
    #[serde(default)]
    pub mask: Option<Value>,
    /// What it is compared with.
    pub value: Value,
}

/// The size of an argument. An `int` is a `dword`: the upper half of its register is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Width {
    /// 32 bits.
    Dword,
    /// 64 bits.
    Qword,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Equal in the bits of the mask.
    MaskedEq,
}

/// A number, a kernel constant by name, or several constants or-ed together.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    /// A number.
    Number(u64),
    /// A constant.
    Name(String),
    /// The union of constants.
    Names(Vec<String>),
}

impl Value {
    /// The number meant; none where a name is not in `CONSTANTS`.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => constant(name),
            Self::Names(names) => names.iter().try_fold(0, |all, name| Some(all | constant(name)?)),
        }
    }
}

/// The constants that profiles may name; a test compares them with `libc`.
pub(crate) const CONSTANTS: &[(&str, u64)] = &[
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
    ("SOCK_STREAM", 1),
    ("SOCK_TYPE_MASK", 0xf),
    ("IPPROTO_TCP", 6),
    ("PROT_EXEC", 4),
    ("S_ISUID", 0o4000),
    ("S_ISGID", 0o2000),
    ("CLONE_THREAD", 0x0001_0000),
    ("CLONE_NEWNS", 0x0002_0000),
    ("CLONE_NEWCGROUP", 0x0200_0000),
    ("CLONE_NEWUTS", 0x0400_0000),
    ("CLONE_NEWIPC", 0x0800_0000),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWNET", 0x4000_0000),
    ("F_GETFD", 1),
    ("F_SETFD", 2),
    ("F_GETFL", 3),
    ("F_SETFL", 4),
    ("F_DUPFD_CLOEXEC", 1030),
    ("PR_SET_PDEATHSIG", 1),
    ("PR_GET_DUMPABLE", 3),
    ("PR_SET_DUMPABLE", 4),
    ("PR_SET_NAME", 15),
    ("PR_GET_NAME", 16),
    ("PR_GET_SECCOMP", 21),
    ("PR_CAPBSET_READ", 23),
    ("PR_SET_CHILD_SUBREAPER", 36),
    ("PR_SET_NO_NEW_PRIVS", 38),
    ("PR_GET_NO_NEW_PRIVS", 39),
    ("PR_SET_VMA", 0x5356_4d41),
    ("KEYCTL_JOIN_SESSION_KEYRING", 1),
    ("SECCOMP_FILTER_FLAG_NEW_LISTENER", 8),
    ("TIOCSTI", 0x5412),
    ("TIOCLINUX", 0x541c),
    ("TIOCSETD", 0x5423),
    ("TTY_PLAIN", 0x5400),
    ("SIOCSIFFLAGS", 0x8914),
    ("SIOC_MASK", 0xff00),
    ("SIOC_ALL", 0x8900),
    ("SOL_IP", 0),
    ("SOL_IPV6", 41),
    ("IPT_SO_SET_REPLACE", 64),
    ("IPT_SO_SET_ADD_COUNTERS", 65),
    ("TIOCGPTN", 0x8004_5430),
    ("TIOCSPTLCK", 0x4004_5431),
    ("TCGETS2", 0x802c_542a),
    ("TCSETS2", 0x402c_542b),
    ("TCSETSW2", 0x402c_542c),
    ("TCSETSF2", 0x402c_542d),
    ("FICLONE", 0x4004_9409),
    ("FICLONERANGE", 0x4020_940d),
    ("IOCTL_PLAIN", 0xffff_ff00),
];

fn constant(name: &str) -> Option<u64> {
    CONSTANTS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// A profile with its common part put before its own rules.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What happens to a call that no rule names.
    pub default: Action,
    /// Each with its action filled in.
    pub rules: Vec<(Action, Rule)>,
}

/// Reads a profile; `include` gives the text of a file of `profiles/` by name.
///
/// # Errors
/// A sentence for whoever edits the profile.
pub(crate) fn parse(
    text: &str,
    include: impl Fn(&str) -> Result<String, String>,
) -> Result<Policy, String> {
    let own = read(text)?;
    let default = own.default.ok_or("the profile has no default")?;
    let mut rules = Vec::new();
    for name in &own.include {
        let common = read(&include(name)?)?;
        if common.default.is_some() || !common.include.is_empty() {
            return Err(format!("{name} is included: it has neither a default nor an include"));
        }
        rules.extend(resolve(common));
    }
    rules.extend(resolve(own));
    if rules.len() > RULES_MAX {
        return Err(format!("more than {RULES_MAX} rules"));
    }
    Ok(Policy { default, rules })
}

fn read(text: &str) -> Result<Source, String> {
    let source: Source = serde_json::from_str(text).map_err(|err| err.to_string())?;
    if source.comment.trim().is_empty() {
        return Err("the profile says nothing about itself".to_owned());
    }
    for row in &source.rules {
        check(row).map_err(|what| format!("{:?} {:?}: {what}", row.syscall, row.syscalls))?;
    }
    Ok(source)
}

fn check(rule: &Row) -> Result<(), String> {
    if rule.syscall.is_some() != rule.syscalls.is_empty() {
        return Err("the rule names neither one call nor several".to_owned());
    }
    if rule.comment.trim().len() < 8 {
        return Err("the rule gives no reason".to_owned());
    }
    for condition in &rule.args {
        let mask = condition.mask.as_ref().map(Value::number);
        let sound = condition.index <= 5
            && condition.value.number().is_some()
            && mask != Some(None)
            && (condition.op == Op::MaskedEq) == mask.is_some();
        if !sound {
            return Err(format!("argument rule {condition:?} is unsound"));
        }
    }
    Ok(())
}

fn resolve(source: Source) -> impl Iterator<Item = (Action, Rule)> {
    let action = source.action;
    source.rules.into_iter().flat_map(move |row| {
        let Row { syscall, syscalls, action: own, args, arch, .. } = row;
        let rule = move |syscall| Rule { syscall, args: args.clone(), arch: arch.clone() };
        let names = syscall.into_iter().chain(syscalls);
        names.map(move |name| (own.unwrap_or(action), rule(name)))
    })
}
