//! The facts as values. Parsing is strict: a missing line, a number that is none, a mount line
//! without its separator is an error.

use std::collections::BTreeMap;

use super::{Descriptor, Listing, Namespace, RawFacts};
use crate::Error;

/// What the kernel says of one process, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The process id outside.
    pub pid: u32,
    /// Its process id in each pid namespace, from the launcher's inward.
    pub namespace_pids: Vec<u32>,
    /// Real, effective, saved and file-system uid, as the launcher sees them.
    pub uids: [u32; 4],
    /// The same for the group.
    pub gids: [u32; 4],
    /// Its session, as each pid namespace numbers it.
    pub session: Vec<u32>,
    /// The bits that no file it makes will have.
    pub umask: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Threads.
    pub threads: u32,
    /// Who traces it; 0 is nobody.
    pub tracer: u32,
    /// Whether its memory is open to its own uid: dumps, traces, `/proc/<pid>/mem`.
    pub dumpable: bool,
    /// 1 while it dumps core.
    pub core_dumping: u32,
    /// Whether it can gain no privilege by executing.
    pub no_new_privs: bool,
    /// 0 none, 1 strict, 2 filter.
    pub seccomp_mode: u32,
    /// How many filters it is under.
    pub seccomp_filters: u32,
    /// Its five capability sets.
    pub capabilities: Capabilities,
    /// Lines of the uid map, fields separated by one blank.
    pub uid_map: Vec<String>,
    /// Lines of the gid map.
    pub gid_map: Vec<String>,
    /// `allow` or `deny`.
    pub setgroups: String,
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Everything mounted.
    pub mounts: Vec<Mount>,
    /// Open descriptors.
    pub descriptors: Vec<Descriptor>,
    /// How much of the descriptors that list shows.
    pub listing: Listing,
    /// Resource limits by the kernel's name for them.
    pub limits: BTreeMap<String, Resource>,
    /// Cgroup path by controllers, as the launcher sees it; the empty name is version 2.
    pub cgroups: BTreeMap<String, String>,
    /// How much sooner than others the kernel kills it when memory ends.
    pub oom_score_adj: i32,
    /// The interfaces of its network namespace.
    pub interfaces: Vec<String>,
    /// Sockets of its network namespace in use, by the kernel's name for the protocol; `sockets` is
    /// all of them, Unix ones included.
    pub sockets: BTreeMap<String, u64>,
    /// Where `/proc/<pid>/exe` points.
    pub executable: String,
    /// The inode behind it.
    pub executable_inode: u64,
    /// Its root directory.
    pub root: String,
    /// Its working directory.
    pub cwd: String,
    /// Owner and group of its `/tenant`.
    pub tenant_owner: Option<[u32; 2]>,
    /// The cgroup leaf made for it; empty without.
    pub leaf: String,
    /// Memory limit in bytes; none is unlimited.
    pub memory_max: Option<u64>,
    /// Process limit; none is unlimited.
    pub pids_max: Option<u64>,
    /// CPU limit in thousandths of a core; none is unlimited.
    pub cpu_millis: Option<u64>,
}

/// Capability sets as bit masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Kept over an exec if the file has them too.
    pub inheritable: u64,
    /// What may become effective.
    pub permitted: u64,
    /// What the kernel checks.
    pub effective: u64,
    /// The most that an exec can give.
    pub bounding: u64,
    /// Kept over an exec of an ordinary file.
    pub ambient: u64,
}

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number.
    pub id: u64,
    /// Major and minor of the file system.
    pub device: String,
    /// The directory of the file system that is the mount's root.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// Options of the mount.
    pub options: Vec<String>,
    /// Tags of propagation, `shared:…` and `master:…`.
    pub propagation: Vec<String>,
    /// The kind of file system.
    pub kind: String,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

/// A resource limit; none is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// What counts now.
    pub soft: Option<u64>,
    /// What it can be raised to.
    pub hard: Option<u64>,
}

impl Facts {
    /// Parses one look.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the part that has not the documented form.
    pub fn parse(raw: &RawFacts) -> Result<Self, Error> {
        let status = Status(&raw.status);
        let uids = status.four("Uid")?;
        Ok(Self {
            pid: raw.pid,
            namespace_pids: status.numbers("NSpid")?,
            uids,
            dumpable: uids.contains(&raw.owner),
            gids: status.four("Gid")?,
            session: status.numbers("NSsid")?,
            umask: status.radix("Umask", 8)?,
            groups: status.numbers("Groups")?,
            threads: status.number("Threads")?,
            tracer: status.number("TracerPid")?,
            core_dumping: status.number("CoreDumping")?,
            no_new_privs: status.number("NoNewPrivs")? == 1,
            seccomp_mode: status.number("Seccomp")?,
            seccomp_filters: status.number("Seccomp_filters")?,
            capabilities: status.capabilities()?,
            uid_map: map(&raw.uid_map),
            gid_map: map(&raw.gid_map),
            setgroups: raw.setgroups.trim().to_owned(),
            namespaces: raw.namespaces.clone(),
            mounts: all(&raw.mountinfo, 0, "mountinfo", mount)?,
            descriptors: raw.descriptors.clone(),
            listing: raw.listing,
            limits: all(&raw.limits, 1, "limits", limit)?.into_iter().collect(),
            cgroups: all(&raw.cgroup, 0, "cgroup", cgroup)?.into_iter().collect(),
            oom_score_adj: parsed(raw.oom_score_adj.trim(), "oom_score_adj")?,
            interfaces: all(&raw.net_dev, 2, "net/dev", interface)?,
            sockets: all(&raw.sockstat, 0, "net/sockstat", in_use)?.into_iter().collect(),
            executable: raw.executable.clone(),
            executable_inode: raw.executable_inode,
            root: raw.places[0].clone(),
            cwd: raw.places[1].clone(),
            tenant_owner: raw.tenant_owner,
            leaf: raw.leaf.clone(),
            memory_max: bound(&raw.memory_max, "memory_max")?,
            pids_max: bound(&raw.pids_max, "pids_max")?,
            cpu_millis: cpu(&raw.cpu_max)?,
        })
    }
}

impl Facts {
    /// Protocols with a socket in its network namespace that somebody could reach: none, in a
    /// worker. A runtime's own pairs have no name and are counted under `sockets` only.
    pub fn reachable(&self) -> impl Iterator<Item = &str> {
        let in_use = self.sockets.iter().filter(|(name, count)| *name != "sockets" && **count > 0);
        in_use.map(|(name, _)| name.as_str())
    }
}

struct Status<'a>(&'a str);

impl<'a> Status<'a> {
    fn field(&self, name: &'static str) -> Result<&'a str, Error> {
        let lines = self.0.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Error::Malformed { what: name }),
        }
    }

    fn number(&self, name: &'static str) -> Result<u32, Error> {
        parsed(self.field(name)?, name)
    }

    fn numbers(&self, name: &'static str) -> Result<Vec<u32>, Error> {
        self.field(name)?.split_whitespace().map(|it| parsed(it, name)).collect()
    }

    fn four(&self, name: &'static str) -> Result<[u32; 4], Error> {
        let numbers = self.numbers(name)?;
        <[u32; 4]>::try_from(numbers).map_err(|_numbers| Error::Malformed { what: name })
    }

    fn radix(&self, name: &'static str, radix: u32) -> Result<u32, Error> {
        let number = u32::from_str_radix(self.field(name)?, radix);
        number.map_err(|_err| Error::Malformed { what: name })
    }

    fn capabilities(&self) -> Result<Capabilities, Error> {
        let mask = |name| {
            let set = u64::from_str_radix(self.field(name)?, 16);
            set.map_err(|_err| Error::Malformed { what: name })
        };
        Ok(Capabilities {
            inheritable: mask("CapInh")?,
            permitted: mask("CapPrm")?,
            effective: mask("CapEff")?,
            bounding: mask("CapBnd")?,
            ambient: mask("CapAmb")?,
        })
    }
}

fn parsed<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_err| Error::Malformed { what })
}

/// Every line after the first `skip` as `read` sees it; a line that it does not know is an error.
fn all<T>(
    text: &str,
    skip: usize,
    what: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Error> {
    text.lines().skip(skip).map(|line| read(line).ok_or(Error::Malformed { what })).collect()
}

fn map(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &str) -> Option<Mount> {
    let (own, system) = line.split_once(" - ")?;
    let mut own = own.split(' ');
    let id = own.next()?.parse().ok()?;
    let _parent: u64 = own.next()?.parse().ok()?;
    let (device, root, point, options) = (own.next()?, own.next()?, own.next()?, own.next()?);
    let propagation = own.map(str::to_owned).collect();
    let mut system = system.split(' ');
    let (kind, _source, super_options) = (system.next()?, system.next()?, system.next()?);
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    Some(Mount {
        id,
        device: device.to_owned(),
        root: root.to_owned(),
        point: point.to_owned(),
        options: list(options),
        propagation,
        kind: kind.to_owned(),
        super_options: list(super_options),
    })
}

/// `Max open files            1024                 1024                 files`
fn limit(line: &str) -> Option<(String, Resource)> {
    let (name, rest) = line.split_at_checked(26)?;
    let mut rest = rest.split_whitespace();
    let mut value = || match rest.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some((name.trim().to_owned(), Resource { soft: value()?, hard: value()? }))
}

/// `4:memory:/path`, and `0::/path` for version 2.
fn cgroup(line: &str) -> Option<(String, String)> {
    let mut parts = line.splitn(3, ':');
    let _hierarchy: u32 = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// `    lo:       0       0 …`
fn interface(line: &str) -> Option<String> {
    let (name, _) = line.split_once(':')?;
    Some(name.trim().to_owned())
}

/// `TCP: inuse 0 orphan 0 …`, and `sockets: used 0` for all.
fn in_use(line: &str) -> Option<(String, u64)> {
    let (name, counts) = line.split_once(": ")?;
    let mut counts = counts.split(' ');
    match counts.next()? {
        "inuse" | "used" => Some((name.to_owned(), counts.next()?.parse().ok()?)),
        _ => None,
    }
}

fn bound(text: &str, what: &'static str) -> Result<Option<u64>, Error> {
    match text.trim() {
        "" | "max" => Ok(None),
        number => parsed(number, what).map(Some),
    }
}

/// Quota and period in microseconds, as thousandths of a core.
fn cpu(text: &str) -> Result<Option<u64>, Error> {
    const WHAT: &str = "cpu_max";
    let malformed = Error::Malformed { what: WHAT };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (quota, period) = text.split_once(' ').ok_or(malformed)?;
    let period: u64 = parsed(period, WHAT)?;
    let Some(quota) = bound(quota, WHAT)? else { return Ok(None) };
    let millis = quota.checked_mul(1000).and_then(|it| it.checked_div(period));
    millis.map(Some).ok_or(Error::Malformed { what: WHAT })
}
