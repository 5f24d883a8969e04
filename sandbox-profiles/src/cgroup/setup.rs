//! Making the launcher's subtree: choosing the layout, delegating controllers, sweeping away what
//! dead launchers left.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, Pid, access, getpid};

use super::place::{Controller, Place, find};
use super::{Cgroups, Group, Hierarchy, Layout, directory, files, remove, weight};

const PREFIX: &str = "openclawmu-";
/// What follows the launcher's number in the name of the directory of programs.
const PROGRAMS: &str = "-programs";
/// The leaf of the launcher and the supervisor where version 2 wants processes in leaves only.
const OWN_LEAF: &str = "gateway";
const CONTROLLERS: &str = "+memory +pids +cpu";
/// Weights of reading and writing, where there are any.
const IO: &str = "+io";

pub(super) fn open() -> Cgroups {
    match find().map_err(|err| err.to_string()).and_then(|places| choose(&places)) {
        Ok((layout, places)) => match make(layout, &places) {
            Ok(hierarchies) => Cgroups { layout, hierarchies, reason: None },
            Err((place, err)) => nothing(format!("{}: {err}", place.path.display())),
        },
        Err(reason) => nothing(reason),
    }
}

/// The name of a launcher's directory of leaves.
pub(super) fn name(launcher: Pid, group: Group) -> String {
    match group {
        Group::Workers => format!("{PREFIX}{launcher}"),
        Group::Programs => format!("{PREFIX}{launcher}{PROGRAMS}"),
    }
}

/// Whose directory of leaves it is, by its name.
fn launcher(name: &str) -> Option<Pid> {
    let name = name.strip_prefix(PREFIX)?;
    name.strip_suffix(PROGRAMS).unwrap_or(name).parse().ok().map(Pid::from_raw)
}

/// What [`open`] would find, without making anything: the layout, or why there is none.
pub(crate) fn foresee() -> (Layout, Option<String>) {
    let writable = |place: &Place| {
        access(&place.path, AccessFlags::W_OK)
            .map_err(|err| format!("{}: {err}", place.path.display()))
    };
    let chosen = find().map_err(|err| err.to_string()).and_then(|places| choose(&places));
    let checked = chosen.and_then(|(layout, places)| {
        places.iter().try_for_each(writable)?;
        Ok(layout)
    });
    match checked {
        Ok(layout) => (layout, None),
        Err(reason) => (Layout::None, Some(reason)),
    }
}

pub(super) fn nothing(reason: String) -> Cgroups {
    Cgroups { layout: Layout::None, hierarchies: Vec::new(), reason: Some(reason) }
}

/// Which hierarchies to use: all limits from one of version 2, or else from those of version 1.
pub(super) fn choose(places: &[Place]) -> Result<(Layout, Vec<Place>), String> {
    let full = |place: &&Place| place.v2 && Controller::ALL.iter().all(|it| place.has(*it));
    if let Some(place) = places.iter().find(full) {
        return Ok((Layout::V2, vec![place.clone()]));
    }
    let used: Vec<Place> = places
        .iter()
        .map(|place| {
            // What version 2 has here is not enough, so there it serves for the kill only.
            let controllers = if place.v2 { Vec::new() } else { place.controllers.clone() };
            Place { controllers, ..place.clone() }
        })
        .collect();
    let held = |controller: &Controller| used.iter().any(|place| place.has(*controller));
    if Controller::ALL.iter().all(held) {
        Ok((Layout::Hybrid, used))
    } else {
        Err("no mounted hierarchy has the memory, pids and cpu controllers".to_owned())
    }
}

fn make(layout: Layout, places: &[Place]) -> Result<Vec<Hierarchy>, (&Place, Errno)> {
    let mut made: Vec<Hierarchy> = Vec::new();
    for place in places {
        match subtrees(layout, place) {
            Ok(hierarchy) => made.push(hierarchy),
            Err(err) => {
                for hierarchy in &made {
                    clear(&hierarchy.parent, getpid(), hierarchy.place.v2);
                }
                return Err((place, err));
            }
        }
    }
    Ok(made)
}

fn subtrees(layout: Layout, place: &Place) -> nix::Result<Hierarchy> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parent = open_path(&place.path, flags, Mode::empty())?;
    sweep(&parent, place.v2);
    if layout == Layout::V2 {
        delegate(&parent, place.root)?;
    }
    let make = |group: Group| {
        let name = name(getpid(), group);
        mkdirat(&parent, name.as_str(), Mode::from_bits_truncate(0o755))?;
        let made = directory(&parent, &name)?;
        if layout == Layout::V2 {
            hand_down(&made)?;
        }
        if group == Group::Programs {
            weight::lower(&made, place)?;
        }
        nix::Result::Ok(made)
    };
    match make(Group::Workers).and_then(|workers| Ok((workers, make(Group::Programs)?))) {
        Ok((workers, programs)) => {
            Ok(Hierarchy { place: place.clone(), parent, workers, programs })
        }
        Err(err) => {
            clear(&parent, getpid(), place.v2);
            Err(err)
        }
    }
}

fn hand_down(directory: &OwnedFd) -> nix::Result<()> {
    files::write(directory, ".", "cgroup.subtree_control", CONTROLLERS)?;
    // Not every host has it, and no limit needs it.
    let _io = files::write(directory, ".", "cgroup.subtree_control", IO);
    Ok(())
}

/// Hands the controllers down. Outside the root a cgroup that does so may hold no process, so the
/// launcher steps into a leaf of its own first.
fn delegate(parent: &OwnedFd, root: bool) -> nix::Result<()> {
    if !root {
        match mkdirat(parent, OWN_LEAF, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(err) => return Err(err),
        }
        files::write(parent, OWN_LEAF, "cgroup.procs", "0")?;
    }
    hand_down(parent)
}

/// Removes the subtrees of launchers that are no more; their workers died with them.
fn sweep(parent: &OwnedFd, v2: bool) {
    for pid in files::children(parent).iter().filter_map(|name| launcher(name)) {
        if pid == getpid() || kill(pid, None) == Err(Errno::ESRCH) {
            clear(parent, pid, v2);
        }
    }
}

/// Removes a launcher's subtrees with whatever is in them.
pub(super) fn clear(parent: &OwnedFd, launcher: Pid, v2: bool) {
    for group in Group::ALL {
        let name = name(launcher, group);
        if let Ok(base) = directory(parent, &name) {
            for leaf in files::children(&base) {
                remove(&base, &leaf, v2);
            }
        }
        remove(parent, &name, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: bool = false;
    const V2: bool = true;

    fn place(v2: bool, controllers: &[Controller]) -> Place {
        Place { path: "/x".into(), root: true, v2, controllers: controllers.to_vec() }
    }

    #[test]
    fn layouts() {
        use Controller::{Cpu, Memory, Pids};
        let check = |places: &[&Place], layout: Option<Layout>| {
            let places: Vec<_> = places.iter().copied().cloned().collect();
            assert_eq!(choose(&places).ok().map(|it| it.0), layout);
        };
        let (memory, rest) = (place(V1, &[Memory]), place(V1, &[Pids, Cpu]));
        check(&[&place(V2, &Controller::ALL)], Some(Layout::V2));
        check(&[&memory, &rest], Some(Layout::Hybrid));
        check(&[&memory, &rest, &place(V2, &[])], Some(Layout::Hybrid));
        check(&[&memory], None);
        check(&[&memory, &place(V2, &[Pids, Cpu])], None);
        check(&[], None);
    }

    #[test]
    fn directories_of_leaves_are_known_by_their_names() {
        let pid = Pid::from_raw(4711);
        for group in Group::ALL {
            assert_eq!(launcher(&name(pid, group)), Some(pid));
        }
        for other in ["openclawmu-", "openclawmu-x", "openclawmu-4711-others", "4711-programs"] {
            assert_eq!(launcher(other), None, "{other}");
        }
    }
}
