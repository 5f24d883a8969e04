//! What programs have of the cores and the disk beside the gateway and its workers.

use std::os::fd::OwnedFd;

use super::place::{Controller, Place};
use super::{files, optional};

/// A tenth of what a cgroup has by default, for all programs together. Where there is work for all cores
/// nobody who has the other ten elevenths waits longer than with a weight of next to nothing, but a
/// program still comes to its end, and so does the launcher, which waits for the start of each; and so
/// does whatever else waits for a lock of the kernel's that a program holds.
const V1: &str = "102";
const V2: &str = "10";

/// Sets the weight of the programs' directory, where the kernel has weights.
pub(super) fn lower(programs: &OwnedFd, place: &Place) -> nix::Result<()> {
    let write = |file: &str, value: &str| optional(files::write(programs, ".", file, value));
    if place.has(Controller::Cpu) && place.v2 {
        write("cpu.weight", V2)?;
        // Only here: version 1 does not know whose a written page is, so its weights hold for little.
        write("io.weight", V2)?;
    } else if place.has(Controller::Cpu) {
        write("cpu.shares", V1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn weights_are_written_where_the_kernel_has_them() {
        let check = |v2: bool, there: &[&str], expected: &[&str]| {
            let programs = tempfile::tempdir().unwrap();
            for file in there {
                fs::write(programs.path().join(file), "").unwrap();
            }
            let place = Place {
                path: programs.path().to_owned(),
                root: true,
                v2,
                controllers: Controller::ALL.to_vec(),
            };
            lower(&fs::File::open(programs.path()).unwrap().into(), &place).unwrap();
            let read = |file: &&str| fs::read_to_string(programs.path().join(file)).unwrap();
            assert_eq!(there.iter().map(read).collect::<Vec<_>>(), expected);
        };
        check(true, &["cpu.weight", "io.weight"], &["10", "10"]);
        check(true, &["cpu.weight"], &["10"]);
        check(false, &["cpu.shares", "io.weight"], &["102", ""]);
        check(false, &[], &[]);
    }
}
