//! The compiled programs against the JSON they come from, call by call.

use std::collections::BTreeSet;

use proptest::prelude::*;
use seccompiler::TargetArch;

use super::compile::{compile, number};
use super::source::{Action, CONSTANTS, Condition, Op, Policy, Rule, Value, Width, parse};
use super::*;
use machine::{Call, X86_64, run};

mod machine;
mod meaning;
mod tools;

use meaning::{holds, verdict};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
const ARCH: &str = "x86_64";

fn file(name: &str) -> Result<String, String> {
    std::fs::read_to_string(format!("{FOLDER}/{name}")).map_err(|err| err.to_string())
}

fn policy(profile: Profile) -> Policy {
    parse(&file(&format!("{}.json", profile.name())).unwrap(), file).unwrap()
}

fn call(number: u32, args: [u64; 6]) -> Call {
    Call { number, arch: X86_64, args }
}

/// The program and the JSON agree on the call; gives what they agree on.
fn check(profile: Profile, policy: &Policy, call: Call) -> u32 {
    let found = run(profile.code(), call);
    assert_eq!(found, verdict(policy, call).code(), "{} {call:?}", profile.name());
    found
}

/// Argument values at which a rule's answer may change: each value and mask of the profile, and
/// its neighbours in either half of the register.
fn edges(policy: &Policy) -> Vec<u64> {
    let mut all = vec![0, 1, u64::MAX, 1 << 32, 0x5413];
    for condition in policy.rules.iter().flat_map(|(_, rule)| &rule.args) {
        for value in [Some(&condition.value), condition.mask.as_ref()].into_iter().flatten() {
            let value = value.number().unwrap();
            all.extend([value, !value, value ^ 1, value | 1 << 32, value | 1 << 63]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn each_number_means_what_the_json_says() {
    for profile in Profile::ALL {
        let policy = policy(profile);
        let edges = edges(&policy);
        for number in 0..=1023 {
            check(profile, &policy, call(number, [0; 6]));
            check(profile, &policy, call(number, [u64::MAX; 6]));
        }
        let tested = policy.rules.iter().filter(|(_, rule)| !rule.args.is_empty());
        let tested: BTreeSet<&str> = tested.map(|(_, rule)| rule.syscall.as_str()).collect();
        for name in tested {
            let number = number(name, TargetArch::x86_64).unwrap();
            for (index, value) in (0..6).flat_map(|i| edges.iter().map(move |v| (i, *v))) {
                let mut args = [0; 6];
                args[index] = value;
                check(profile, &policy, call(number, args));
            }
        }
    }
}

/// For every rule: a call that it decides, and for each of its arguments a call that it no longer
/// does.
#[test]
fn each_rule_has_its_case_and_each_argument_its_counter_case() {
    for profile in Profile::ALL {
        let policy = policy(profile);
        let edges = edges(&policy);
        for (position, (action, rule)) in policy.rules.iter().enumerate() {
            if rule.arch.as_deref().is_some_and(|only| only != ARCH) {
                continue;
            }
            let number = number(&rule.syscall, TargetArch::x86_64).unwrap();
            let earlier = |args: [u64; 6]| {
                let same =
                    policy.rules[..position].iter().filter(|it| it.1.syscall == rule.syscall);
                same.map(|(_, other)| other).any(|other| holds(other, args))
            };
            let args = satisfying(rule);
            let args = [args].into_iter().chain(variations(rule, args, &edges));
            let args = args.into_iter().find(|args| !earlier(*args));
            let args = args.unwrap_or_else(|| panic!("never decides: {rule:?}"));
            assert_eq!(check(profile, &policy, call(number, args)), action.code(), "{rule:?}");
            for condition in &rule.args {
                let broken = edges.iter().find_map(|value| {
                    let mut args = args;
                    args[usize::from(condition.index)] = *value;
                    let other = verdict(&policy, call(number, args)) != *action;
                    (!holds(rule, args) && other).then_some(args)
                });
                let broken = broken.unwrap_or_else(|| panic!("no counter-case: {rule:?}"));
                check(profile, &policy, call(number, broken));
            }
        }
    }
}

/// Calls that the rule fits as well, each with one argument at an edge.
fn variations(rule: &Rule, args: [u64; 6], edges: &[u64]) -> Vec<[u64; 6]> {
    let pairs = (0..6).flat_map(|index| edges.iter().map(move |value| (index, *value)));
    let changed = pairs.map(|(index, value)| {
        let mut args = args;
        args[index] = value;
        args
    });
    changed.filter(|args| holds(rule, *args)).collect()
}

fn satisfying(rule: &Rule) -> [u64; 6] {
    let mut args = [0; 6];
    for condition in &rule.args {
        let value = condition.value.number().unwrap();
        args[usize::from(condition.index)] = if condition.op == Op::Ne { !value } else { value };
    }
    assert!(holds(rule, args));
    args
}

#[test]
fn other_entries_into_the_kernel_kill() {
    const I386: u32 = 0x4000_0003;
    const AARCH64: u32 = 0xc000_00b7;
    const X32: u32 = 0x4000_0000;
    let kill = Action::KillProcess.code();
    for profile in Profile::ALL {
        for number in 0..=1023 {
            for arch in [I386, AARCH64, 0] {
                let foreign = Call { arch, ..call(number, [0; 6]) };
                assert_eq!(run(profile.code(), foreign), kill, "{} {foreign:?}", profile.name());
            }
            assert_eq!(run(profile.code(), call(number | X32, [0; 6])), kill);
        }
        assert_eq!(run(profile.code(), call(u32::MAX, [0; 6])), kill);
    }
}

#[test]
fn a_worker_can_never_reach_these() {
    const NEVER: &str = "execve execveat fork vfork socket connect bind listen accept accept4 sendmsg \
        recvmsg sendmmsg recvmmsg kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal \
        pidfd_open pidfd_getfd ioctl ptrace process_vm_readv process_vm_writev kcmp unshare setns \
        mount umount2 pivot_root chroot open_tree move_mount fsopen mount_setattr bpf \
        perf_event_open userfaultfd io_uring_setup keyctl add_key request_key memfd_create \
        memfd_secret setuid setgid setresuid setresgid setgroups capset seccomp personality \
        modify_ldt iopl ioperm symlink link linkat mknod mknodat chmod fchmodat2 chown \
        open_by_handle_at name_to_handle_at setxattr inotify_init1 fanotify_init shmget msgget \
        semget mq_open init_module finit_module kexec_load reboot swapon quotactl acct \
        sched_setscheduler setpriority ioprio_set setrlimit mlock mlockall splice tee vmsplice \
        process_madvise pkey_mprotect chdir fchdir dup2 dup3";
    let (worker, edges) = (policy(Profile::Worker), edges(&policy(Profile::Worker)));
    for name in NEVER.split_whitespace() {
        let number = number(name, TargetArch::x86_64).unwrap();
        for value in &edges {
            let found = check(Profile::Worker, &worker, call(number, [*value; 6]));
            assert_eq!(found, Action::KillProcess.code(), "{name}");
        }
    }
}

#[test]
fn a_worker_sets_no_set_id_bit() {
    let worker = policy(Profile::Worker);
    for mode in 0..=0o7777 {
        for (name, args) in [("fchmod", [3, mode, 0, 0, 0, 0]), ("fchmodat", [3, 0, mode, 0, 0, 0])]
        {
            let number = number(name, TargetArch::x86_64).unwrap();
            let found = check(Profile::Worker, &worker, call(number, args));
            assert_eq!(found == Action::Allow.code(), mode & 0o6000 == 0, "{name} {mode:o}");
        }
    }
}

#[test]
fn memory_is_never_made_executable() {
    let worker = policy(Profile::Worker);
    for name in ["mmap", "mprotect"] {
        let number = number(name, TargetArch::x86_64).unwrap();
        for protection in 0..16 {
            let found = check(Profile::Worker, &worker, call(number, [0, 0, protection, 0, 0, 0]));
            assert_eq!(found == Action::Allow.code(), protection & 4 == 0, "{name} {protection}");
        }
    }
}

/// Constants that are wider than an `int`.
const REQUESTS: &[(&str, u64)] = &[
    ("TIOCGPTN", libc::TIOCGPTN),
    ("TIOCSPTLCK", libc::TIOCSPTLCK),
    ("TCGETS2", libc::TCGETS2),
    ("TCSETS2", libc::TCSETS2),
    ("TCSETSW2", libc::TCSETSW2),
    ("TCSETSF2", libc::TCSETSF2),
    ("FICLONE", libc::FICLONE),
    ("FICLONERANGE", libc::FICLONERANGE),
    ("IOCTL_PLAIN", 0xffff_ff00),
];

#[test]
fn constants_are_the_kernels() {
    let known = [
        ("AF_UNIX", libc::AF_UNIX),
        ("AF_INET", libc::AF_INET),
        ("AF_INET6", libc::AF_INET6),
        ("AF_NETLINK", libc::AF_NETLINK),
        ("SOCK_STREAM", libc::SOCK_STREAM),
        ("SOCK_TYPE_MASK", 0xf),
        ("IPPROTO_TCP", libc::IPPROTO_TCP),
        ("PROT_EXEC", libc::PROT_EXEC),
        ("S_ISUID", libc::S_ISUID.cast_signed()),
        ("S_ISGID", libc::S_ISGID.cast_signed()),
        ("CLONE_THREAD", libc::CLONE_THREAD),
        ("CLONE_NEWNS", libc::CLONE_NEWNS),
        ("CLONE_NEWCGROUP", libc::CLONE_NEWCGROUP),
        ("CLONE_NEWUTS", libc::CLONE_NEWUTS),
        ("CLONE_NEWIPC", libc::CLONE_NEWIPC),
        ("CLONE_NEWUSER", libc::CLONE_NEWUSER),
        ("CLONE_NEWPID", libc::CLONE_NEWPID),
        ("CLONE_NEWNET", libc::CLONE_NEWNET),
        ("F_GETFD", libc::F_GETFD),
        ("F_SETFD", libc::F_SETFD),
        ("F_GETFL", libc::F_GETFL),
        ("F_SETFL", libc::F_SETFL),
        ("F_DUPFD_CLOEXEC", libc::F_DUPFD_CLOEXEC),
        ("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG),
        ("PR_GET_DUMPABLE", libc::PR_GET_DUMPABLE),
        ("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE),
        ("PR_SET_NAME", libc::PR_SET_NAME),
        ("PR_GET_NAME", libc::PR_GET_NAME),
        ("PR_GET_SECCOMP", libc::PR_GET_SECCOMP),
        ("PR_CAPBSET_READ", libc::PR_CAPBSET_READ),
        ("PR_SET_CHILD_SUBREAPER", libc::PR_SET_CHILD_SUBREAPER),
        ("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS),
        ("PR_GET_NO_NEW_PRIVS", libc::PR_GET_NO_NEW_PRIVS),
        ("PR_SET_VMA", libc::PR_SET_VMA),
        ("KEYCTL_JOIN_SESSION_KEYRING", libc::KEYCTL_JOIN_SESSION_KEYRING.try_into().unwrap()),
        (
            "SECCOMP_FILTER_FLAG_NEW_LISTENER",
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER.try_into().unwrap(),
        ),
        ("TIOCSTI", libc::TIOCSTI.try_into().unwrap()),
        ("TIOCLINUX", libc::TIOCLINUX.try_into().unwrap()),
        ("TIOCSETD", libc::TIOCSETD.try_into().unwrap()),
        ("TTY_PLAIN", 0x5400),
        ("SIOCSIFFLAGS", libc::SIOCSIFFLAGS.try_into().unwrap()),
        ("SIOC_MASK", 0xff00),
        ("SIOC_ALL", 0x8900),
        ("SOL_IP", libc::SOL_IP),
        ("SOL_IPV6", libc::SOL_IPV6),
        ("IPT_SO_SET_REPLACE", 64),
        ("IPT_SO_SET_ADD_COUNTERS", 65),
    ];
    let known = known.map(|(name, it)| (name, u64::try_from(it).unwrap()));
    assert_eq!([known.as_slice(), REQUESTS].concat(), CONSTANTS);
}

#[test]
fn a_profile_with_a_mistake_is_refused() {
    let refused = |rule: &str| {
        let text = format!(
            r#"{{"comment":"a test","default":"kill_process","action":"allow","rules":[{rule}]}}"#
        );
        parse(&text, file).and_then(|policy| compile(&policy, ARCH)).is_err()
    };
    assert!(!refused(r#"{"syscall":"read","comment":"a good reason"}"#));
    assert!(refused(r#"{"syscall":"read"}"#));
    assert!(!refused(r#"{"syscalls":["read","write"],"comment":"a good reason"}"#));
    assert!(refused(r#"{"syscalls":[],"comment":"a good reason"}"#));
    assert!(refused(r#"{"syscall":"read","syscalls":["write"],"comment":"a good reason"}"#));
    assert!(refused(r#"{"syscalls":["read","reed"],"comment":"a good reason"}"#));
    assert!(refused(r#"{"syscall":"read","comment":" "}"#));
    assert!(refused(r#"{"syscall":"reed","comment":"a good reason"}"#));
    assert!(refused(r#"{"syscall":"read","comment":"a good reason","argz":[]}"#));
    let test = |text: &str| {
        refused(&format!(r#"{{"syscall":"read","comment":"a good reason","args":[{text}]}}"#))
    };
    assert!(!test(r#"{"index":0,"type":"dword","op":"eq","value":"AF_UNIX"}"#));
    assert!(test(r#"{"index":6,"type":"dword","op":"eq","value":1}"#));
    assert!(test(r#"{"index":0,"type":"dword","op":"eq","value":"AF_NIX"}"#));
    assert!(test(r#"{"index":0,"type":"dword","op":"masked_eq","value":1}"#));
    assert!(test(r#"{"index":0,"type":"dword","op":"eq","mask":1,"value":1}"#));
}

#[test]
fn digests_tell_the_programs_apart() {
    let digests: BTreeSet<_> = Profile::ALL.map(Profile::digest).into();
    assert_eq!(digests.len(), Profile::ALL.len());
    assert!(digests.iter().all(|it| it.len() == 64));
    assert!(Profile::ALL.iter().all(|it| it.instructions() > 50));
}

const NAMES: [&str; 12] = [
    "read",
    "write",
    "open",
    "close",
    "mmap",
    "socket",
    "clone",
    "execve",
    "openat",
    "clone3",
    "futex_waitv",
    "mseal",
];

fn any_rule() -> impl Strategy<Value = (Action, Rule)> {
    let action = prop_oneof![
        Just(Action::Allow),
        Just(Action::KillProcess),
        Just(Action::Eperm),
        Just(Action::Enosys)
    ];
    let condition = (0_u8..6, any::<bool>(), 0_usize..3, 0_u64..4, 0_u64..4, any::<bool>())
        .prop_map(|(index, dword, op, mask, value, high)| Condition {
            index,
            width: if dword { Width::Dword } else { Width::Qword },
            op: [Op::Eq, Op::Ne, Op::MaskedEq][op],
            mask: (op == 2).then_some(Value::Number(mask)),
            value: Value::Number(if high && !dword { value << 32 } else { value }),
        });
    (action, 0..NAMES.len(), prop::collection::vec(condition, 0..4)).prop_map(
        |(action, name, args)| (action, Rule { syscall: NAMES[name].to_owned(), args, arch: None }),
    )
}

proptest! {
    /// The compiler of this crate against the plain reading of the rules.
    #[test]
    fn any_policy_compiles_to_its_meaning(
        rules in prop::collection::vec(any_rule(), 0..40),
        calls in prop::collection::vec(
            (prop_oneof![0_u32..480, any::<u32>()], prop::array::uniform6(prop_oneof![0_u64..5, (0_u64..4).prop_map(|it| it << 32), any::<u64>()])),
            1..40,
        ),
    ) {
        let policy = Policy { default: Action::Eperm, rules };
        let program = compile(&policy, ARCH).unwrap();
        let program: Vec<_> = program
            .iter()
            .map(|it| libc::sock_filter { code: it.code, jt: it.jt, jf: it.jf, k: it.k })
            .collect();
        let named = policy.rules.iter().map(|(_, rule)| number(&rule.syscall, TargetArch::x86_64).unwrap());
        let numbers: Vec<u32> = named.chain(calls.iter().map(|(number, _)| *number)).collect();
        for (number, (_, args)) in numbers.iter().zip(calls.iter().cycle()) {
            let call = call(*number, *args);
            prop_assert_eq!(run(&program, call), verdict(&policy, call).code());
        }
    }
}
