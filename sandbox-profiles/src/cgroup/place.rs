//! Where in each cgroup hierarchy the calling process is, from the kernel's two lists of it. It
//! only reads.

use std::path::PathBuf;

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// The calling process's cgroup in one hierarchy that we can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory.
    pub(super) path: PathBuf,
    /// Whether it is the root of the hierarchy, as far as one sees.
    pub(super) root: bool,
    /// Whether the hierarchy is of version 2.
    pub(super) v2: bool,
    /// What it can limit, or is to limit.
    pub(super) controllers: Vec<Controller>,
}

impl Place {
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }
}

/// The places of the calling process, those that could hold limits or the kill.
pub(super) fn find() -> std::io::Result<Vec<Place>> {
    let memberships = std::fs::read_to_string("/proc/self/cgroup")?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let available = |place: &PathBuf| {
        std::fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default()
    };
    Ok(places(&memberships, &mounts, available))
}

/// The calling process's own group, and the topmost that is shown, where a hierarchy of version 1 has
/// the controller.
pub(super) fn of_version_1(controller: &str) -> std::io::Result<Vec<PathBuf>> {
    let memberships = std::fs::read_to_string("/proc/self/cgroup")?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(own_and_topmost(controller, &memberships, &mounts))
}

fn own_and_topmost(controller: &str, memberships: &str, mounts: &str) -> Vec<PathBuf> {
    let parts = memberships.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let Some((controllers, own)) = parts.into_iter().find(|(list, _)| has(list)) else {
        return Vec::new();
    };
    let shown = |group| mounts.lines().find_map(|line| within(line, controllers, group));
    let mut found: Vec<_> = [own, "/"].into_iter().filter_map(shown).collect();
    found.dedup();
    found
}

fn places(memberships: &str, mounts: &str, available: impl Fn(&PathBuf) -> String) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(own)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let v2 = controllers.is_empty();
        let Some(path) = mounts.lines().find_map(|line| within(line, controllers, own)) else {
            continue;
        };
        let (list, separator) =
            if v2 { (available(&path), ' ') } else { (controllers.to_owned(), ',') };
        let has = |it: &Controller| list.split(separator).any(|name| name.trim() == it.name());
        let controllers: Vec<_> = Controller::ALL.into_iter().filter(has).collect();
        if v2 || !controllers.is_empty() {
            found.push(Place { path, root: own == "/", v2, controllers });
        }
    }
    found
}

/// The directory of `own`, where the mount of this line shows the hierarchy of `controllers`.
fn within(line: &str, controllers: &str, own: &str) -> Option<PathBuf> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let same = if controllers.is_empty() {
        kind == "cgroup2"
    } else {
        let shown = |name: &str| options.split(',').any(|it| it == name);
        kind == "cgroup" && controllers.split(',').all(shown)
    };
    let below = own.strip_prefix(root.trim_end_matches('/'))?;
    let relative = below.trim_start_matches('/');
    let inside = below.is_empty() || below.starts_with('/');
    (same && inside && !own.contains("/../")).then(|| {
        let point = PathBuf::from(point);
        if relative.is_empty() { point } else { point.join(relative) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn check(memberships: &str, mounts: &str, expected: &[(&str, &str)]) {
        let found = places(memberships, mounts, |_| "cpu memory pids".to_owned());
        let found: Vec<_> = found
            .iter()
            .map(|it| {
                let names: Vec<_> = it.controllers.iter().map(|it| it.name()).collect();
                let version = if it.v2 { "2:" } else { "1:" };
                (it.path.to_str().unwrap().to_owned(), version.to_owned() + &names.join(" "))
            })
            .collect();
        let found: Vec<_> = found.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn own_places_are_found_in_every_layout() {
        check(
            "4:memory:/a/b\n2:cpu,cpuacct:/\n9:name=systemd:/\n0::/\n",
            HYBRID,
            &[
                ("/sys/fs/cgroup/memory/a/b", "1:memory"),
                ("/sys/fs/cgroup/cpu,cpuacct", "1:cpu"),
                ("/sys/fs/cgroup/unified", "2:memory pids cpu"),
            ],
        );
        let v2 = "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        check(
            "0::/system.slice/x.service",
            v2,
            &[("/sys/fs/cgroup/system.slice/x.service", "2:memory pids cpu")],
        );
        let bind = "31 23 0:28 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        check("0::/docker/1/in", bind, &[("/sys/fs/cgroup/in", "2:memory pids cpu")]);
        check("0::/docker/12", bind, &[]);
        check("0::/elsewhere", bind, &[]);
    }

    #[test]
    fn the_own_group_and_the_topmost_are_found() {
        let check = |memberships: &str, expected: &[&str]| {
            let found = own_and_topmost("cpuacct", memberships, HYBRID);
            assert_eq!(found.iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>(), expected);
        };
        let top = "/sys/fs/cgroup/cpu,cpuacct";
        check("4:memory:/m\n2:cpu,cpuacct:/a/b\n0::/\n", &[&format!("{top}/a/b"), top]);
        check("2:cpu,cpuacct:/\n", &[top]);
        check("4:memory:/\n0::/\n", &[]);
    }
}
