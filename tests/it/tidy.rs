//! The house rules that neither the compiler nor a lint can hold. Starts nothing.

mod edges;
mod packages;
mod sources;

use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// Every file of ours below `folder` whose name ends so: its path from the root, and its text.
pub(super) fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            let foreign = ["target", "node_modules", "venv", ".git"].map(Path::new);
            if root().join(&path).is_dir() && !foreign.iter().any(|it| path.ends_with(it)) {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push((path.display().to_string(), read(&path)));
            }
        }
    }
    assert!(!found.is_empty(), "no file ends in {ending}");
    found
}

/// The dependency graph of the lock file on this kind of machine.
fn metadata() -> Metadata {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--locked", "--filter-platform", &target].map(str::to_owned).to_vec();
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).features(CargoOpt::AllFeatures);
    command.other_options(options).exec().unwrap()
}

/// What stands between quotes in `text`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}
