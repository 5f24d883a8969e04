//! Roots as plain directories, and a launcher that ends between any two steps.

use std::path::Path;

use nix::fcntl::open;

use super::*;
use crate::mode::Mode as HostMode;

struct World {
    disks: Disks,
    folder: tempfile::TempDir,
    id: TenantId,
}

impl World {
    /// A tenant with a live root in which `who` says `old`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { disks: again(folder.path()), folder, id: "acme".parse().unwrap() };
        world.disks.prepare(&world.id, world.owner(), 1 << 30).unwrap();
        world.say("acme", "old");
        world
    }

    fn staged(self) -> Self {
        self.disks.stage(&self.id, self.owner(), 1 << 30).unwrap();
        self.say("acme.staged", "new");
        self
    }

    fn owner(&self) -> Owner {
        self.disks.owner(1).unwrap()
    }

    fn say(&self, root: &str, what: &str) {
        std::fs::write(self.folder.path().join(root).join("who"), what).unwrap();
    }

    fn live(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("acme/who")).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// The launcher was killed; the next one looks.
    fn killed(self) -> Self {
        Self { disks: again(self.folder.path()), ..self }
    }
}

fn again(folder: &Path) -> Disks {
    let tenants = open(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    Disks::open(tenants, HostMode::Rootless, 0, None, crate::cgroup::Pace::default())
}

#[test]
fn what_is_staged_takes_the_place_and_what_was_there_can_come_back() {
    let world = World::new().staged();
    world.disks.swap(&world.id).unwrap();
    assert_eq!(world.live(), "new");
    assert!(world.disks.is_unsettled(&world.id).unwrap());
    for refused in [
        world.disks.swap(&world.id),
        world.disks.discard(&world.id),
        world.disks.stage(&world.id, world.owner(), 1 << 30).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    world.disks.revert(&world.id).unwrap();
    assert_eq!((world.live().as_str(), world.names()), ("old", vec!["acme".to_owned()]));
    let world = world.staged();
    world.disks.swap(&world.id).unwrap();
    world.disks.settle(&world.id).unwrap();
    assert_eq!((world.live().as_str(), world.names()), ("new", vec!["acme".to_owned()]));
    assert!(matches!(world.disks.revert(&world.id), Err(Error::Refused { .. })));
    assert!(matches!(world.disks.swap(&world.id), Err(Error::Refused { .. })));
}

#[test]
fn what_was_staged_when_the_launcher_was_killed_is_removed() {
    let world = World::new().staged().killed();
    assert_eq!((world.live().as_str(), world.names()), ("old", vec!["acme".to_owned()]));
    // Marked and not exchanged, with a mark that is whole and one that is not.
    let world = world.staged();
    let live = world.disks.inode("acme").unwrap().unwrap();
    world.disks.mark(&world.id, live).unwrap();
    let world = world.killed();
    assert_eq!((world.live().as_str(), world.names()), ("old", vec!["acme".to_owned()]));
    let world = world.staged();
    std::fs::write(world.folder.path().join("acme.swap"), [1, 2]).unwrap();
    let world = world.killed();
    assert_eq!((world.live().as_str(), world.names()), ("old", vec!["acme".to_owned()]));
}

#[test]
fn what_was_exchanged_when_the_launcher_was_killed_waits_for_the_supervisor() {
    let world = World::new().staged();
    world.disks.swap(&world.id).unwrap();
    let world = world.killed();
    assert!(world.disks.is_unsettled(&world.id).unwrap());
    assert_eq!((world.live().as_str(), world.names().len()), ("new", 3));
    // Killed while it was put back: exchanged again, and the rest not done.
    world.disks.exchange(&world.id).unwrap();
    let world = world.killed();
    assert_eq!((world.live().as_str(), world.names()), ("old", vec!["acme".to_owned()]));
    // Killed while the kept one was removed.
    let world = world.staged();
    world.disks.swap(&world.id).unwrap();
    world.disks.unmark(&world.id).unwrap();
    let world = world.killed();
    assert_eq!((world.live().as_str(), world.names()), ("new", vec!["acme".to_owned()]));
    let world = world.staged();
    world.disks.swap(&world.id).unwrap();
    world.disks.erase(&world.id).unwrap();
    assert_eq!(world.names(), Vec::<String>::new());
}
